"""`gold.jsonl`: ground truth of the demo's log, the correct answer and injected fault of each attempt."""

from pathlib import Path
from typing import Any

import msgspec

from traffic.artifacts import read_lines


class Gold(msgspec.Struct, frozen=True, kw_only=True):
    """One line of gold.jsonl: the correct answer to an attempt and its injected fault."""

    id: str
    feature: str
    """Call site."""
    task_type: str
    tier_true: int
    question: str
    """The user's message."""
    answer: str | None
    """A good answer."""
    tool_calls: list[dict[str, Any]] | None
    gold: Any
    """The correct answer where there is exactly one, else None."""
    gold_kind: str | None
    language: str
    cohort: str
    """Plan."""
    duplicate_of: str | None
    retry_of: str | None
    attempt: int
    injected_fault: str | None
    logged_correct: bool | None


def read(path: Path) -> list[Gold]:
    """All lines of the file. Raises: NotFound, InputError with the line."""
    return read_lines(path, Gold, "; `python -m demo.traffic LOG` writes it beside the log")
