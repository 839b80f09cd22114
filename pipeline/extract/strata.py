"""Rows per split of each call site, cohort and label: whether a split can say anything about them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pipeline.extract.rows import Row

UNKNOWN = "unknown"


def report(
    parts: Mapping[str, Sequence[Row]], cohort_keys: Sequence[str], labelled: Sequence[str]
) -> dict[str, dict[str, dict[str, int]]]:
    """Counts by key, value and split; every split is named, also where it has none.

    `labelled`: the call sites whose answers are labels; with several, each has its own key.
    """
    counts: dict[str, dict[str, dict[str, int]]] = defaultdict(dict)
    for split, rows in parts.items():
        for row in rows:
            for key, value in _values(row, cohort_keys, labelled):
                counts[key].setdefault(value, dict.fromkeys(parts, 0))[split] += 1
    return {
        key: dict(sorted(values.items(), key=lambda item: (-sum(item[1].values()), item[0])))
        for key, values in sorted(counts.items())
    }


def _values(row: Row, cohort_keys: Sequence[str], labelled: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "call_site", row.call_site
    for key in cohort_keys:
        yield key, row.cohort.get(key) or UNKNOWN
    if row.call_site in labelled:
        yield "label" if len(labelled) == 1 else f"label of {row.call_site}", row.answer
