"""Progress bar of a candidate's answers, on stderr."""

import contextlib
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """A running bar."""

    def __init__(self, progress: Progress, description: str, total: int, completed: int) -> None:
        self._progress, self._total = progress, total
        self._task = progress.add_task(description, total=total, completed=completed)

    def advance(self) -> None:
        """One item more."""
        self._progress.advance(self._task)

    def show_missing(self, count: int) -> None:
        """All but `count` items are done."""
        self._progress.update(self._task, completed=self._total - count)


@contextlib.contextmanager
def bar(description: str, total: int, completed: int = 0) -> Iterator[Bar]:
    """`evaluate DESCRIPTION [====] 12/80`."""
    columns = (TextColumn("evaluate {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Bar(progress, description, total, completed)


Show = Callable[[int], None]
"""Called with the number of missing answers."""
