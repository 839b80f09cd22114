"""Cuts the rows into five splits by time: train is the earliest, test the latest, and no group is in two splits.

A deployed model meets later requests than it was trained on; a random cut would hide drift and test the model on its
training days. A group belongs to the split where it begins. Its rows that are later than the beginning of the next
split are removed, to keep the splits in time order.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from pipeline.dataset import SPLITS
from pipeline.extract.config import ExtractConfig
from pipeline.extract.rows import Row
from traffic.errors import NotEnoughData

T = TypeVar("T")


class Parts(NamedTuple):
    """Rows of each split in time order, and the number of rows removed at the borders."""

    rows: dict[str, list[Row]]
    straddling: int


def cut(count: int, fractions: Sequence[float]) -> list[int]:
    """Sizes of consecutive parts of `count` items: their sum is `count`, and each is within one item of its fraction.

    Raises: ValueError if the fractions do not add up to 1.
    """
    if abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions add up to {sum(fractions)}")
    ends = [round(count * sum(fractions[: n + 1])) for n in range(len(fractions))]
    ends[-1] = count
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def by_time(rows: Sequence[Row], config: ExtractConfig, task: str) -> Parts:
    """The five splits of `rows`, which are in time order.

    Groups are ordered by their first rows; each goes into the split where its middle falls.

    Raises: NotEnoughData if a split would be empty.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group or row.id, []).append(row)
    sizes = iter(cut(len(rows), config.splits.in_order()))
    parts: dict[str, list[Row]] = {name: [] for name in SPLITS}
    names = iter(SPLITS)
    name, end, placed = next(names), next(sizes), 0
    for group in groups.values():
        while placed + len(group) / 2 > end:
            name, end = next(names), end + next(sizes)
        parts[name] += group
        placed += len(group)
    # Rows of a user spread over the whole log; only the first rows of the groups are in time order.
    straddling = 0 if "user" in config.splits.group_by else _keep_in_order(parts)
    for part in parts.values():
        part.sort(key=_when)
    refuse_empty(parts, config, task)
    return Parts(parts, straddling)


def _when(row: Row) -> tuple[object, str]:
    return row.ts, row.id


def _keep_in_order(parts: dict[str, list[Row]]) -> int:
    """Removes rows that are later than the first row of a later split; returns their number."""
    next_start = None
    removed = 0
    for name in reversed(SPLITS):
        if not parts[name]:
            continue
        first = min(parts[name], key=_when)
        if next_start is not None:
            in_order = [row for row in parts[name] if _when(row) < _when(next_start)]
            removed += len(parts[name]) - len(in_order)
            parts[name] = in_order
        next_start = first
    return removed


def refuse_empty(parts: dict[str, list[Row]], config: ExtractConfig, task: str) -> None:
    """Raises: NotEnoughData if a split has no rows."""
    empty = [name for name, part in parts.items() if not part]
    if empty:
        count = sum(map(len, parts.values()))
        raise NotEnoughData(
            f"{task}: {count} rows leave nothing for {', '.join(empty)}; the smallest fraction needs at least "
            f"{round(1 / min(config.splits.in_order()))} rows, more where many are alike (near_duplicates.group_at)"
        )


def capped(rows: Sequence[T], limit: int | None, config: ExtractConfig) -> list[T]:
    """At most `limit` rows in their order: the latest, or a seeded sample."""
    if limit is None or len(rows) <= limit:
        return list(rows)
    if config.cap == "latest":
        return list(rows[len(rows) - limit :])
    chosen = sorted(random.Random(config.seed).sample(range(len(rows)), limit))
    return [rows[n] for n in chosen]
