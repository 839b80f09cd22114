"""Detects wrong labels of a closed set with out-of-fold probabilities.

Confident learning (Northcutt et al., 2021, JAIR 70:1373) with a simpler rule: a row is a suspect if
p(given) / (p(given) + p(best other)) is below a threshold. Each suspect also states whether cleanlab's filter
(prune_by_noise_rate) agrees.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.classifiers.out_of_fold import OutOfFold
from pipeline.extract.label_quality.suspects import Finding
from pipeline.extract.rows import Row

_MIN_GROUPS = 4
"""Minimum independent rows of a label; with fewer, the model cannot learn it without the row in question."""


def find(rows: Sequence[Row], fitted: Sequence[bool], model: OutOfFold, threshold: float) -> list[Finding]:
    """Rows whose label is probably wrong. `model` was built from the same rows."""
    from cleanlab.filter import find_label_issues

    names = _judged_labels(rows, fitted)
    if len(names) < 2:
        return []
    label_index = {name: n for n, name in enumerate(names)}
    label_numbers = np.array([label_index.get(row.answer, -1) for row in rows], dtype=np.int64)
    indexes = np.flatnonzero(label_numbers >= 0)
    probabilities, labels = model.of_labels(label_numbers, len(names))[indexes], label_numbers[indexes]
    row_numbers = np.arange(len(indexes))
    of_given = probabilities[row_numbers, labels]
    rival_probabilities = probabilities.copy()
    rival_probabilities[row_numbers, labels] = -1.0
    best = rival_probabilities.argmax(axis=1)
    quality = of_given / (of_given + rival_probabilities[row_numbers, best])
    agrees = find_label_issues(labels, probabilities, filter_by="prune_by_noise_rate", n_jobs=1)
    return [
        Finding(
            int(indexes[n]),
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
    return sorted(label for label, members in groups.items() if len(members) >= _MIN_GROUPS)
