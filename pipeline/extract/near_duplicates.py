"""Finds near-duplicate texts: MinHash, LSH buckets joined in DuckDB, exact Jaccard similarity of every candidate pair.

Memory is linear in texts and pairs: in a large bucket every text is compared with the first and the previous one only.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from pipeline.extract.shingles import Shingles, jaccard
from pipeline.store.database import open_database

PERMUTATIONS = 128
MISSED = 1e-3
"""Maximum share of pairs at the threshold that LSH may miss; more similar pairs are missed far less often."""

_BUCKET = 64
_DOUBT = 0.2
"""Tolerance of the similarity estimated from signatures: 4.5 standard deviations, exceeded once in 100,000 pairs."""
_PAIRS_AT_ONCE = 50_000
_TEXTS_AT_ONCE = 20_000
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def bands(threshold: float) -> tuple[int, int]:
    """Bands and rows per band that give the fewest candidates at a miss rate of at most `MISSED`.

    A pair with similarity s shares a bucket with probability 1 - (1 - s^rows)^bands.
    Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.
    """
    fitting = [r for r in range(1, PERMUTATIONS + 1) if (1 - threshold**r) ** (PERMUTATIONS // r) <= MISSED]
    rows = max(fitting, default=1)
    return PERMUTATIONS // rows, rows


def near_pairs(
    text_shingles: Shingles, threshold: float, *, same_numbers: bool, seed: int, sides: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Sorted index pairs (shape n x 2, smaller first) of texts at or above the threshold, and their similarities.

    `same_numbers`: texts with different digits are never a pair. `sides`: a side number per text; only pairs across
    different sides are returned.
    """
    candidates = _candidates(text_shingles, threshold, same_numbers=same_numbers, seed=seed, sides=sides)
    alike = jaccard(text_shingles, candidates)
    similar = alike >= threshold - 1e-9
    return candidates[similar], alike[similar]


def _candidates(
    text_shingles: Shingles, threshold: float, *, same_numbers: bool, seed: int, sides: NDArray[np.int64] | None
) -> NDArray[np.int64]:
    count, rows = bands(threshold)
    signatures = _signatures(text_shingles, seed)
    with open_database() as connection:
        connection.execute("CREATE TABLE bucket (key UBIGINT, text BIGINT, side BIGINT)")
        for keys, texts in _buckets(signatures, text_shingles.numbers if same_numbers else None, count, rows):
            side = texts if sides is None else sides[texts]
            part = pa.table({"key": keys, "text": texts, "side": side})  # noqa: F841 - DuckDB finds it by its name
            connection.execute("INSERT INTO bucket SELECT * FROM part")
        pairs = connection.execute(
            """WITH several AS (
                SELECT key, count(*) AS size, min(text) AS head FROM bucket GROUP BY key HAVING min(side) <> max(side)
            ), shared AS (SELECT key, text, side, size, head FROM bucket JOIN several USING (key)),
            pairs AS (
                SELECT a.text AS first, b.text AS second FROM shared a JOIN shared b ON a.key = b.key
                WHERE a.size <= $bucket AND a.text < b.text AND a.side <> b.side
                UNION ALL
                SELECT unnest([head, lag(text) OVER (PARTITION BY key ORDER BY text)]), text
                FROM shared WHERE size > $bucket
            )
            SELECT DISTINCT first, second FROM pairs WHERE first < second ORDER BY first, second""",
            {"bucket": _BUCKET},
        ).fetchnumpy()
    candidates = np.stack([pairs["first"], pairs["second"]], axis=1).astype(np.int64)
    if sides is not None:
        candidates = candidates[sides[candidates[:, 0]] != sides[candidates[:, 1]]]
    # Signatures are compared first: comparing sets is a hundred times slower, and most candidates are far apart.
    parts = np.array_split(candidates, len(candidates) // _PAIRS_AT_ONCE + 1)
    return np.concatenate(
        [part[(signatures[part[:, 0]] == signatures[part[:, 1]]).mean(axis=1) >= threshold - _DOUBT] for part in parts]
    )


def _signatures(text_shingles: Shingles, seed: int) -> NDArray[np.uint32]:
    """MinHash signatures, one row per text."""
    from rensa import RMinHash

    count = len(text_shingles.starts) - 1
    signatures = np.zeros((count, PERMUTATIONS), np.uint32)
    for start in range(0, count, _TEXTS_AT_ONCE):
        end = min(start + _TEXTS_AT_ONCE, count)
        offsets = text_shingles.starts[start : end + 1]
        hashes = text_shingles.hashes_of(int(offsets[0]), int(offsets[-1]))
        rows = (offsets - offsets[0]).astype(np.uint64)
        signatures[start:end] = RMinHash.digest_matrix_from_flat_token_hashes(
            hashes, rows, PERMUTATIONS, seed
        ).to_rows()
    return signatures


def _buckets(
    signatures: NDArray[np.uint32], numbers: NDArray[np.uint64] | None, count: int, rows: int
) -> Iterable[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Bucket keys of all texts, one band at a time."""
    texts = np.arange(len(signatures))
    for band in range(count):
        keys = np.full(len(texts), np.uint64(band + 1), np.uint64)
        if numbers is not None:
            keys = _mixed(keys, numbers)
        for column in range(band * rows, (band + 1) * rows):
            keys = _mixed(keys, signatures[:, column].astype(np.uint64))
        yield keys, texts


def _mixed(keys: NDArray[np.uint64], salts: NDArray[np.uint64]) -> NDArray[np.uint64]:
    keys = (keys ^ salts) * _MULTIPLIER
    return np.asarray(keys ^ (keys >> np.uint64(32)), np.uint64)


def components(count: int, pairs: Iterable[Sequence[int]]) -> list[int]:
    """The smallest connected item for each of `count` items."""
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    graph = coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    _, first, inverse = np.unique(component, return_index=True, return_inverse=True)
    smallest: list[int] = first[inverse].tolist()
    return smallest
