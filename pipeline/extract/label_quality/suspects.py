"""Suspects (rows whose answer is probably wrong, with the reason) and the file that lists them."""

from collections.abc import Iterable
from typing import NamedTuple

from pipeline import spreadsheets
from pipeline.extract.rows import Row
from traffic import classifiers

FILE = "suspects.csv"
COLUMNS = ("record_id", "split", "call_site", "label_source", "given", "suggested", "quality", "reason", "text")
_EXCERPT = 300


class Finding(NamedTuple):
    """One doubtful row, by its index in the rows that were checked."""

    row_index: int
    quality: float
    """0 (certainly wrong) to 1; comparable only between findings with the same reason."""
    reason: str
    suggested: str = ""
    """Suggested answer, empty where the check has none."""


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
    # The pruned prompt is already redacted.
    text = " ".join(classifiers.text_of(row.pruned).split())
    text = text if len(text) <= _EXCERPT else text[: _EXCERPT - 1] + "…"
    quality = f"{finding.quality:.4f}"
    return (
        row.id, split, row.call_site, row.label_source, row.answer, finding.suggested, quality, finding.reason, text
    )  # fmt: skip
