"""Groups of labels: as configured, or by frequency in training. Pure.

Most of a task's traffic has few of its labels, and a model learns those first. An overall score hides the accuracy on
rare labels and on labels that are new since training.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

COMMON, RARE, NEW = "common labels", "rare labels", "labels new since training"
KEY = "label_group"
"""Cohort key. Requests cannot be routed by it: the label is not known before the answer."""


class LabelGroups:
    """Maps a label to its group.

    `trained`: labels of the training rows. `named`: label patterns by group, first match wins. Otherwise the most
    frequent labels that make up half of the training rows are common, the others rare.
    """

    def __init__(self, trained: Sequence[str], named: Mapping[str, Sequence[str]]) -> None:
        self._named = named
        counts = Counter(trained)
        self._seen = frozenset(counts)
        common, rows = set(), 0
        for label, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            if 2 * rows >= len(trained):
                break
            common.add(label)
            rows += count
        self._common = frozenset(common)

    def of(self, label: str) -> str:
        """Group of a label."""
        for name, patterns in self._named.items():
            if any(fnmatchcase(label, pattern) for pattern in patterns):
                return name
        if label in self._common:
            return COMMON
        return RARE if label in self._seen else NEW
