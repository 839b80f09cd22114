"""The five splits, cut by time: train is the earliest, test the latest.

A model that is put into service today meets tomorrow's requests; a random cut would hide drift and
score it on the same days that it learnt from.
"""

import random
from collections.abc import Sequence
from typing import TypeVar

from pipeline.dataset import SPLITS
from pipeline.extract.config import ExtractConfig
from traffic.errors import NotEnoughData

T = TypeVar("T")


def cut(count: int, fractions: Sequence[float]) -> list[int]:
    """Sizes of consecutive parts of `count` items; they add up to `count`, each within one item of its fraction.

    Raises: ValueError if the fractions do not add up to 1.
    """
    if abs(sum(fractions) - 1) > 1e-6:
        raise ValueError(f"fractions add up to {sum(fractions)}")
    ends = [round(count * sum(fractions[: n + 1])) for n in range(len(fractions))]
    ends[-1] = count
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def by_time(rows: Sequence[T], config: ExtractConfig, task: str) -> dict[str, list[T]]:
    """`rows`, already in the order of time, as the five splits.

    Raises: NotEnoughData if there are fewer than `min_rows`, or a split would be empty.
    """
    if len(rows) < config.min_rows:
        raise NotEnoughData(
            f"{task}: {len(rows)} rows are left after all filters, {config.min_rows} are needed; "
            f"ingest more of the log, or lower it with --set min_rows={max(5, len(rows))}"
        )
    sizes = cut(len(rows), config.splits.in_order())
    empty = [name for name, size in zip(SPLITS, sizes, strict=True) if size == 0]
    if empty:
        raise NotEnoughData(
            f"{task}: {len(rows)} rows leave nothing for {', '.join(empty)}; the smallest fraction needs at least "
            f"{round(1 / min(config.splits.in_order()))} rows"
        )
    start = 0
    parts: dict[str, list[T]] = {}
    for name, size in zip(SPLITS, sizes, strict=True):
        parts[name] = list(rows[start : start + size])
        start += size
    return parts


def capped(rows: list[T], config: ExtractConfig) -> list[T]:
    """At most `max_train_rows` of the train split, still in the order of time."""
    limit = config.max_train_rows
    if limit is None or len(rows) <= limit:
        return rows
    if config.cap == "latest":
        return rows[-limit:]
    chosen = sorted(random.Random(config.seed).sample(range(len(rows)), limit))
    return [rows[n] for n in chosen]
