"""Leakage between splits, measured on the finished splits and independent of the code that made them.

Near-duplicates are searched with a MinHash of another seed than the one that formed the groups.
"""

import re
from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.dataset import SPLITS, Leakage
from pipeline.extract.config import ExtractConfig
from pipeline.extract.groups import variable_text
from pipeline.extract.near_duplicates import near_pairs
from pipeline.extract.rows import Row
from pipeline.extract.shingles import shingles
from traffic.prompts import normalise

NGRAM = 8
"""Words in a run."""

# Thai to Khmer, kana, Han: scripts that put no spaces between words; each letter counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def report(parts: Mapping[str, Sequence[Row]], config: ExtractConfig) -> dict[str, Leakage]:
    """What each split but the first has in common with those before it; runs of words with the train split alone."""
    rows = [row for name in SPLITS for row in parts[name]]
    sides = np.repeat(np.arange(len(SPLITS)), [len(parts[name]) for name in SPLITS])
    side = sides.tolist()
    near = config.near_duplicates
    found = shingles([variable_text(row) for row in rows])
    pairs, _ = near_pairs(found, near.group_at, same_numbers=near.same_numbers, seed=config.seed + 2, sides=sides)
    leaks = {
        "exact": _seen(rows, side, lambda row: (row.call_site, *(normalise(m["content"]) for m in row.pruned))),
        "near": set(pairs[:, 1].tolist()),
        "sessions": _seen(rows, side, lambda row: row.session_id),
        "users": _seen(rows, side, lambda row: row.user_id),
    }
    start = len(parts["train"])
    runs = [_runs(row) for row in rows]
    leaks["ngrams"] = {place for place, found_here in enumerate(runs) if len(found_here)}
    leaks["ngrams_in_train"] = _in_train(runs, start)
    result = {}
    for name in SPLITS[1:]:
        places = range(start, start + len(parts[name]))
        result[name] = Leakage(
            rows=len(places),
            **{kind: sum(place in found for place in places) for kind, found in leaks.items()},
        )
        start += len(places)
    return result


def _seen(rows: Sequence[Row], side: Sequence[int], key: Callable[[Row], Hashable]) -> set[int]:
    """Places of the rows whose key, unless it is None, a row of an earlier split has."""
    first: dict[Hashable, int] = {}
    found = set()
    for place, row in enumerate(rows):
        name = key(row)
        if name is not None and first.setdefault(name, side[place]) < side[place]:
            found.add(place)
    return found


def _in_train(runs: Sequence[NDArray[np.uint64]], start: int) -> set[int]:
    """Places from `start` on that have a run of one before it."""
    later = np.concatenate([np.zeros(0, np.uint64), *runs[start:]])
    place = np.repeat(np.arange(start, len(runs)), [len(each) for each in runs[start:]])
    trained = np.concatenate([np.zeros(0, np.uint64), *runs[:start]])
    return set(place[np.isin(later, trained)].tolist())


def _runs(row: Row) -> NDArray[np.uint64]:
    """A hash of every run of 8 words; the hashes hold within this process only."""
    words = _WORD.findall(variable_text(row).casefold())
    codes = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), np.uint64, len(words))
    found = np.zeros(max(0, len(words) - NGRAM + 1), np.uint64)
    for n in range(NGRAM):
        found = (found + codes[n : n + len(found)]) * _MULTIPLIER
        found ^= found >> np.uint64(29)
    return found
