"""Gold file of a log: one JSON object per line and request, joined by `id`; all other fields may be null or missing.

id, feature                    the request, and its call site
tier_true, task_type           1 trivial, 2 moderate, 3 hard; classification, intent, moderation, extraction, ...
gold                           the correct answer
source_item                    rows that share it are the same underlying item
duplicate_of, near_duplicate_of, retry_of   ids
injected_fault, logged_correct kind of an injected wrong answer; whether the logged answer is right (null: unknown)
pii, pii_values                types and values of injected personal data, anywhere in the request
drift                          true for labels that occur only in the log's last part
"""

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

CLOSED = ("classification", "intent", "moderation")


class Gold(msgspec.Struct, frozen=True):
    """Gold data of one request."""

    id: str
    feature: str | None = None
    tier_true: int | None = None
    task_type: str | None = None
    gold: Any = None
    source_item: str | None = None
    duplicate_of: str | None = None
    near_duplicate_of: str | None = None
    injected_fault: str | None = None
    logged_correct: bool | None = None
    pii: tuple[str, ...] | None = None
    pii_values: tuple[str, ...] | None = None
    drift: bool | None = None


def read_gold(path: Path) -> Iterator[Gold]:
    decode = msgspec.json.Decoder(Gold).decode
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
        for line in lines:
            yield decode(line)


def tasks_of(gold: Iterable[Gold]) -> list[str]:
    """The most frequent Tier 1 call site with a closed set of answers, and the two most frequent extractions."""
    closed: dict[str, int] = {}
    extracting: dict[str, int] = {}
    for row in gold:
        if row.tier_true == 1 and row.feature is not None:
            counts = closed if row.task_type in CLOSED else extracting if row.task_type == "extraction" else {}
            counts[row.feature] = counts.get(row.feature, 0) + 1
    return _busiest(closed)[:1] + _busiest(extracting)[:2]


def _busiest(counts: dict[str, int]) -> list[str]:
    return sorted(counts, key=lambda site: (-counts[site], site))


def clusters(gold: dict[str, Gold], *, near: bool) -> dict[str, str]:
    """Root of each request by id: the one that it copies, or itself. `near`: near-duplicates count as copies."""

    def first(row_id: str) -> str:
        seen = {row_id}
        while True:
            row = gold.get(row_id)
            link = None if row is None else row.duplicate_of or (row.near_duplicate_of if near else None)
            if link is None or link in seen:
                return row_id
            seen.add(link)
            row_id = link

    return {row_id: first(row_id) for row_id in gold}
