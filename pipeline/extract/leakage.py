"""Measures leakage between the finished splits, independently of the code that formed them.

The MinHash seed differs from the one that formed the groups.
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
"""Words per n-gram."""

# Thai to Khmer, kana, Han: scripts that put no spaces between words; each letter counts as a word.
_UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?:(?![{_UNSPACED}])\w)+")
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def report(parts: Mapping[str, Sequence[Row]], config: ExtractConfig) -> dict[str, Leakage]:
    """Overlap of every split except train with the earlier splits; n-grams are compared with train alone."""
    rows = [row for name in SPLITS for row in parts[name]]
    sides = np.repeat(np.arange(len(SPLITS)), [len(parts[name]) for name in SPLITS])
    side = sides.tolist()
    near = config.near_duplicates
    row_shingles = shingles([variable_text(row) for row in rows])
    pairs, _ = near_pairs(
        row_shingles, near.group_at, same_numbers=near.same_numbers, seed=config.seed + 2, sides=sides
    )
    leaks = {
        "exact": _in_earlier_split(
            rows, side, lambda row: (row.call_site, *(normalise(m["content"]) for m in row.pruned))
        ),
        "near": set(pairs[:, 1].tolist()),
        "sessions": _in_earlier_split(rows, side, lambda row: row.session_id),
        "users": _in_earlier_split(rows, side, lambda row: row.user_id),
    }
    start = len(parts["train"])
    row_ngrams = [_ngram_hashes(row) for row in rows]
    leaks["ngrams"] = {index for index, ngrams in enumerate(row_ngrams) if len(ngrams)}
    leaks["ngrams_in_train"] = _in_train(row_ngrams, start)
    result = {}
    for name in SPLITS[1:]:
        indexes = range(start, start + len(parts[name]))
        result[name] = Leakage(
            rows=len(indexes),
            **{kind: len(leaking.intersection(indexes)) for kind, leaking in leaks.items()},
        )
        start += len(indexes)
    return result


def _in_earlier_split(rows: Sequence[Row], side: Sequence[int], key: Callable[[Row], Hashable]) -> set[int]:
    """Indexes of rows whose key also occurs in an earlier split; a key of None is ignored."""
    first: dict[Hashable, int] = {}
    repeated = set()
    for index, row in enumerate(rows):
        name = key(row)
        if name is not None and first.setdefault(name, side[index]) < side[index]:
            repeated.add(index)
    return repeated


def _in_train(row_ngrams: Sequence[NDArray[np.uint64]], start: int) -> set[int]:
    """Indexes from `start` on that share an n-gram with a row before `start`."""
    later = np.concatenate([np.zeros(0, np.uint64), *row_ngrams[start:]])
    index = np.repeat(np.arange(start, len(row_ngrams)), [len(ngrams) for ngrams in row_ngrams[start:]])
    trained = np.concatenate([np.zeros(0, np.uint64), *row_ngrams[:start]])
    return set(index[np.isin(later, trained)].tolist())


def _ngram_hashes(row: Row) -> NDArray[np.uint64]:
    """Hashes of all n-grams of a row; valid within this process only."""
    words = _WORD.findall(variable_text(row).casefold())
    codes = np.fromiter((hash(word) & 0xFFFFFFFFFFFFFFFF for word in words), np.uint64, len(words))
    hashes = np.zeros(max(0, len(words) - NGRAM + 1), np.uint64)
    for n in range(NGRAM):
        hashes = (hashes + codes[n : n + len(hashes)]) * _MULTIPLIER
        hashes ^= hashes >> np.uint64(29)
    return hashes
