"""A suspect: a row whose answer is probably wrong, and why; and the file that lists them."""

from collections.abc import Iterable
from typing import NamedTuple

from pipeline import spreadsheets
from pipeline.extract.rows import Row
from traffic import classifiers

FILE = "suspects.csv"
COLUMNS = ("record_id", "split", "call_site", "label_source", "given", "suggested", "quality", "reason", "text")
_EXCERPT = 300


class Finding(NamedTuple):
    """One row that a check doubts, by its place in the rows that it was given."""

    place: int
    quality: float
    """From 0, surely wrong, to 1; only comparable between findings of the same reason."""
    reason: str
    suggested: str = ""
    """A better answer, where the check has one."""


class Suspect(NamedTuple):
    """A finding with its row."""

    row: Row
    split: str
    finding: Finding


def csv_bytes(suspects: Iterable[Suspect]) -> bytes:
    """`suspects.csv`: the most doubtful first, one line per row."""
    ordered = sorted(suspects, key=lambda suspect: (suspect.finding.quality, suspect.row.id))
    return spreadsheets.csv_text(COLUMNS, map(_cells, ordered)).encode()


def _cells(suspect: Suspect) -> tuple[str, ...]:
    row, split, finding = suspect
    # Of the pruned prompt, which has been through every redaction that the rows themselves have.
    text = " ".join(classifiers.text_of(row.pruned).split())
    text = text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
    quality = f"{finding.quality:.4f}"
    return (
        row.id, split, row.call_site, row.label_source, row.answer, finding.suggested, quality, finding.reason, text
    )  # fmt: skip
