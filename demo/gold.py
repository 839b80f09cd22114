"""`gold.jsonl`: ground truth of the demo's log, the correct answer and injected fault of each attempt."""

from pathlib import Path
from typing import Any

import msgspec

from traffic.errors import InputError, NotFound


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
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise NotFound(f"no {path}; `python -m demo.traffic LOG` writes it beside the log") from None
    decoder = msgspec.json.Decoder(Gold)
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(decoder.decode(line))
        except msgspec.DecodeError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return rows
