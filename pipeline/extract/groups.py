"""Removes near-identical requests and groups similar requests and sessions into one split.

Requests that differ only in case, whitespace and punctuation are copies, unless their answers differ. Similarly worded
requests are all kept, because each adds information, but they form a group: a pair across the train and test splits
would measure memorisation.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from pipeline.dataset import SPLITS, Groups
from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger, one_of_each
from pipeline.extract.near_duplicates import components, near_pairs
from pipeline.extract.rows import Row
from pipeline.extract.shingles import shingles, spelled
from traffic.prompts import SYSTEM_ROLES


class Alike(NamedTuple):
    """Rows in time order, and the index pairs of near-duplicates among them."""

    rows: list[Row]
    pairs: list[tuple[int, int]]
    """The most similar first."""


def variable_text(row: Row) -> str:
    """The variable part of a request: the pruned prompt without its system message."""
    return "\n".join(message["content"] for message in row.pruned if message["role"] not in SYSTEM_ROLES)


def without_copies(rows: Sequence[Row], config: ExtractConfig, ledger: Ledger) -> Alike:
    """One row per cluster of near-identical texts, and the pairs of kept rows that are similar."""
    near = config.near_duplicates
    row_shingles = shingles([variable_text(row) for row in rows])
    pairs, alike = near_pairs(row_shingles, near.group_at, same_numbers=near.same_numbers, seed=config.seed)
    system_prompts = [
        (row.call_site, tuple(m["content"] for m in row.pruned if m["role"] in SYSTEM_ROLES)) for row in rows
    ]
    copies = (
        pair
        for pair in pairs[alike >= near.drop_at - 1e-9].tolist()
        if system_prompts[pair[0]] == system_prompts[pair[1]]
    )
    clusters: dict[int, list[Row]] = defaultdict(list)
    for row, cluster in zip(rows, components(len(rows), copies), strict=True):
        clusters[cluster].append(row)
    same_text = [group for cluster in clusters.values() for group in _by(cluster, lambda r: spelled(variable_text(r)))]
    agreed = one_of_each(same_text)
    conflicts = sum(len(group) - len(agreeing) for group, (_, agreeing) in zip(same_text, agreed, strict=True))
    merged: dict[tuple[int, str], list[Row]] = defaultdict(list)
    cluster_of = {row.id: cluster for cluster, group in clusters.items() for row in group}
    for row, _ in agreed:
        merged[cluster_of[row.id], row.answer].append(row)
    kept = sorted((row for row, _ in one_of_each(merged.values())), key=lambda row: (row.ts, row.id))
    ledger.add(
        "near_conflicting_answers",
        conflicts,
        "another answer to the same text (except for case and whitespace) was more frequent, corrected or later",
    )
    ledger.add(
        "near_duplicates",
        len(rows) - len(kept) - conflicts,
        "the same text (except for case, whitespace and punctuation) with the same answer",
    )
    kept_index = {row.id: n for n, row in enumerate(kept)}
    new_indexes = np.array([kept_index.get(row.id, -1) for row in rows], np.int64)
    order = np.lexsort((pairs[:, 1], pairs[:, 0], -alike))
    moved = np.sort(new_indexes[pairs[order]], axis=1)
    return Alike(kept, [(a, b) for a, b in moved.tolist() if a >= 0])


def _by(rows: Sequence[Row], key: Callable[[Row], str]) -> list[list[Row]]:
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return list(groups.values())


def form(alike: Alike, config: ExtractConfig) -> Groups:
    """Sets the group of every row. `max_group_share` limits all groups except those by user."""
    rows, by = alike.rows, config.splits.group_by
    limit = max(1, int(config.splits.max_group_share * len(rows)))
    union = _Union(len(rows))
    if "user" in by:
        union.join(_linked(row.user_id for row in rows), len(rows))
    clusters = 0
    if "near_duplicates" in by:
        union.join(alike.pairs, limit)
        clusters = sum(size > 1 for size in Counter(components(len(rows), alike.pairs)).values())
    if "session" in by:
        union.join(_linked(row.session_id for row in rows), limit)
    sizes = Counter(union.root(index) for index in range(len(rows)))
    for index, row in enumerate(rows):
        row.group = rows[union.root(index)].id
    several = [size for size in sizes.values() if size > 1]
    return Groups(
        by=by,
        groups=len(several),
        rows=sum(several),
        largest=max(sizes.values(), default=0),
        near_duplicate_clusters=clusters,
        cut=union.refused,
    )


def without_leaks(parts: dict[str, list[Row]], config: ExtractConfig, ledger: Ledger) -> dict[str, list[Row]]:
    """Removes rows with a near-duplicate in an earlier split, found by a MinHash with another seed.

    Such pairs were missed by the first search, or belong to a group that exceeded the maximum size.
    """
    near = config.near_duplicates
    removed: set[str] = set()
    if "near_duplicates" in config.splits.group_by:
        rows = [row for name in SPLITS for row in parts[name]]
        sides = np.repeat(np.arange(len(SPLITS)), [len(parts[name]) for name in SPLITS])
        row_shingles = shingles([variable_text(row) for row in rows])
        pairs, _ = near_pairs(
            row_shingles, near.group_at, same_numbers=near.same_numbers, seed=config.seed + 1, sides=sides
        )
        # Pairs are sorted by split; a removed row does not cause further removals.
        for earlier, later in sorted(pairs.tolist()):
            if rows[earlier].id not in removed:
                removed.add(rows[later].id)
    ledger.add("near_of_earlier_split", len(removed), "a near-duplicate is in an earlier split")
    return {name: [row for row in part if row.id not in removed] for name, part in parts.items()}


def _linked(names: Iterable[str | None]) -> list[tuple[int, int]]:
    """Index pairs that link each name to its previous occurrence; None is skipped."""
    last: dict[str, int] = {}
    links = []
    for index, name in enumerate(names):
        if name is not None:
            if name in last:
                links.append((last[name], index))
            last[name] = index
    return links


class _Union:
    """Union-find that refuses sets above a size; the smallest member represents its set."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))
        self._size = [1] * count
        self.refused = 0

    def root(self, index: int) -> int:
        while self._parent[index] != index:
            self._parent[index] = self._parent[self._parent[index]]
            index = self._parent[index]
        return index

    def join(self, pairs: Iterable[tuple[int, int]], limit: int) -> None:
        for first, second in pairs:
            top, other = sorted((self.root(first), self.root(second)))
            if top == other:
                continue
            if self._size[top] + self._size[other] > limit:
                self.refused += 1
            else:
                self._parent[other] = top
                self._size[top] += self._size[other]
