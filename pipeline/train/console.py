"""Progress of a training run for people: a bar on a terminal, lines in a log."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from pipeline.train.job import Event
from traffic import number_format

LINE_SECONDS = 10.0
"""Without a terminal: a line for the first step, then at most one in this time."""


class Speed:
    """Seconds per step and time left, from the moments at which steps end."""

    def __init__(self, examples_per_step: int) -> None:
        self._examples = examples_per_step
        self._began: tuple[int, float] | None = None
        self._step, self._now = 0, 0.0

    def begin(self, step: int, now: float) -> None:
        """Training starts or continues after this step."""
        self._began = (step, now)

    def end_of(self, step: int, now: float) -> None:
        if self._began is None:
            self._began = (step - 1, now)
        self._step, self._now = step, now

    @property
    def seconds_per_step(self) -> float:
        """0 before the first step."""
        if self._began is None or self._step <= self._began[0]:
            return 0.0
        return (self._now - self._began[1]) / (self._step - self._began[0])

    def line(self, total: int) -> str:
        """`4.6 examples/s, 1.6 min left`; empty before there is a speed."""
        seconds = self.seconds_per_step
        if not seconds:
            return ""
        speed = f"{self._examples / seconds:.1f} examples/s"
        remaining_s = seconds * (total - self._step)
        return f"{speed}, {number_format.duration(remaining_s)} left" if remaining_s else speed


def pace(event: Event) -> str:
    """What a run with `max_seconds` decided: `480 examples: this machine trains 1.4 a second; 30 steps, 6 min left`."""
    examples, speed = event.metrics["examples"], event.metrics["examples_per_second"]
    remaining = f"{event.total} steps, {number_format.duration(examples / speed)} left"
    return f"{examples:.0f} examples: this machine trains {speed:.1f} a second; {remaining}"


@contextlib.contextmanager
def display(
    examples_per_step: int, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[Event], None]]:
    """The function that shows an event of the training process on `stream`, stderr by default."""
    stream = stream or sys.stderr
    speed = Speed(examples_per_step)
    if stream.isatty():
        with _bar(stream) as update:
            yield lambda event: update(event, _follow(speed, event, clock()))
        return
    yield _Lines(stream, speed, clock).show


def _follow(speed: Speed, event: Event, now: float) -> str:
    if event.kind == "phase" and event.phase == "training":
        speed.begin(event.step, now)
    elif event.kind == "step":
        speed.end_of(event.step, now)
    return speed.line(event.total)


class _Lines:
    """One line per phase and validation, and for steps now and then."""

    def __init__(self, stream: TextIO, speed: Speed, clock: Callable[[], float]) -> None:
        self._stream, self._speed, self._clock = stream, speed, clock
        self._began = clock()
        self._last: float | None = None
        self._loss = ""

    def show(self, event: Event) -> None:
        now = self._clock()
        speed = _follow(self._speed, event, now)
        if event.kind == "phase":
            self._write(now, event.phase)
        elif event.kind == "pace":
            self._write(now, pace(event))
        elif event.kind == "eval":
            self._write(now, f"step {event.step} of {event.total}: validation loss {event.metrics['eval_loss']:.3f}")
        elif "loss" in event.metrics:
            self._loss = f", loss {event.metrics['loss']:.3f}"
        elif event.kind == "step" and (self._last is None or now - self._last >= LINE_SECONDS):
            self._last = now
            self._write(now, f"step {event.step} of {event.total}{self._loss}: {speed}")

    def _write(self, now: float, text: str) -> None:
        self._stream.write(f"  {now - self._began:4.0f} s  {text}\n")
        self._stream.flush()


@contextlib.contextmanager
def _bar(stream: TextIO) -> Iterator[Callable[[Event, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}")
    with Progress(*columns, console=Console(file=stream)) as bar:
        task = bar.add_task("starting", total=None, speed="")
        parts = {"phase": "starting"}

        def update(event: Event, speed: str) -> None:
            if event.kind == "phase":
                parts["phase"] = event.phase
            elif event.kind == "pace":
                bar.console.print(pace(event))
            elif event.kind == "eval":
                parts["validation"] = f"validation loss {event.metrics['eval_loss']:.3f}"
            elif "loss" in event.metrics:
                parts["loss"] = f"loss {event.metrics['loss']:.3f}"
            moved = event.kind == "step"
            bar.update(
                task,
                description=", ".join(parts.values()),
                completed=event.step if moved else None,
                total=event.total if moved else None,
                speed=speed if moved else None,
            )

        yield update
