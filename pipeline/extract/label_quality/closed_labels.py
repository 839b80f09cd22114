"""Wrong labels of a closed set: where a model that has not seen the row finds another label far likelier.

Confident learning's idea (Northcutt et al., 2021, JAIR 70:1373) with a plainer rule: a row is doubted when
p(given) / (p(given) + p(best other)) is under a threshold. cleanlab's own filter, which prunes as many rows a label as
it estimates to be wrong, is asked too: each suspect states whether it agrees.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.classifiers.out_of_fold import OutOfFold
from pipeline.extract.label_quality.suspects import Finding
from pipeline.extract.rows import Row

_MIN_GROUPS = 4
"""A label of fewer independent rows cannot be learnt without the row in question, so it is not judged."""


def find(rows: Sequence[Row], fitted: Sequence[bool], model: OutOfFold, threshold: float) -> list[Finding]:
    """Rows whose label is probably another one. `model` was made of the same rows."""
    from cleanlab.filter import find_label_issues

    names = _judged_labels(rows, fitted)
    if len(names) < 2:
        return []
    number = {name: n for n, name in enumerate(names)}
    given = np.array([number.get(row.answer, -1) for row in rows], dtype=np.int64)
    places = np.flatnonzero(given >= 0)
    likely, own = model.of_labels(given, len(names))[places], given[places]
    each = np.arange(len(places))
    of_given = likely[each, own]
    without = likely.copy()
    without[each, own] = -1.0
    best = without.argmax(axis=1)
    quality = of_given / (of_given + without[each, best])
    agrees = find_label_issues(own, likely, filter_by="prune_by_noise_rate", n_jobs=1)
    return [
        Finding(
            int(places[n]),
            float(quality[n]),
            "unlikely label, cleanlab too" if agrees[n] else "unlikely label",
            names[best[n]],
        )
        for n in np.flatnonzero(quality < threshold)
    ]


def _judged_labels(rows: Sequence[Row], fitted: Sequence[bool]) -> list[str]:
    groups: dict[str, set[str]] = {}
    for row, used in zip(rows, fitted, strict=True):
        if used:
            groups.setdefault(row.answer, set()).add(row.group or row.id)
    return sorted(label for label, seen in groups.items() if len(seen) >= _MIN_GROUPS)
