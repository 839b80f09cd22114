"""`dataset.yaml`: what is in the set, where it comes from, and what was left out."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from pipeline.dataset import Split, TaskDataset
from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row, Scan
from traffic.adapters import CallSitePrompts

NO_COHORT = "plan"
"""Parquet has no struct without fields: a log without any cohort gets this key, always null."""
UNKNOWN = "unknown"
"""Stands in the card's counts for rows without a value; in the rows themselves it is null."""


def max_tokens(completions: Iterable[str]) -> int:
    """Cap on output tokens: the longest completion at 2 bytes a token, and a margin; a multiple of 8.

    No tokenizer is known yet. English takes about 4 bytes a token, identifiers, numbers and JSON about
    2.5, so a completion as long as the longest one seen always fits.
    """
    longest = max((len(text.encode()) for text in completions), default=0)
    return -(-(longest // 2 + 9) // 8) * 8


def describe(
    task: str,
    prompts: CallSitePrompts,
    checks_source: str,
    scan: Scan,
    ledger: Ledger,
    parts: Mapping[str, Sequence[Row]],
    config: ExtractConfig,
) -> TaskDataset:
    """The card of the rows in `parts`, still without a name. Raises: AssertionError if counts do not add up."""
    rows = [row for part in parts.values() for row in part]
    keys = sorted({key for row in rows for key in row.cohort}) or [NO_COHORT]
    labels = prompts.checks.labels
    return TaskDataset(
        name="",
        task=task,
        call_sites={task: prompts},
        rows_considered=scan.attempts,
        filters=ledger.close(len(rows)),
        rows=len(rows),
        splits={name: _split(part) for name, part in parts.items()},
        label_sources=_counts(row.label_source for row in rows),
        cohorts={key: _counts(row.cohort.get(key, UNKNOWN) for row in rows) for key in keys},
        source_first=_iso(scan.first),
        source_last=_iso(scan.last),
        prompt_chars_original=_mean(_chars(row.messages) for row in rows),
        prompt_chars_pruned=_mean(_chars(row.pruned) for row in rows),
        checks_source=checks_source,
        labels=_counts(row.answer for row in rows) if labels else {},
        unseen_labels=_unseen(parts) if labels else {},
        config=msgspec.to_builtins(config),
    )


def _split(rows: Sequence[Row]) -> Split:
    return Split(rows=len(rows), first=_iso(rows[0].ts), last=_iso(rows[-1].ts)) if rows else Split(rows=0)


def _unseen(parts: Mapping[str, Sequence[Row]]) -> dict[str, int]:
    known = {row.answer for row in parts["train"]}
    return _counts(row.answer for row in parts["test"] if row.answer not in known)


def _counts(values: Iterable[str]) -> dict[str, int]:
    """Most frequent first, ties by name."""
    return dict(sorted(Counter(values).items(), key=lambda item: (-item[1], item[0])))


def _iso(ts: datetime) -> str:
    return ts.isoformat()


def _chars(messages: Iterable[Mapping[str, Any]]) -> int:
    return sum(len(message["content"]) for message in messages)


def _mean(values: Iterable[int]) -> int:
    numbers = list(values)
    return round(sum(numbers) / len(numbers))
