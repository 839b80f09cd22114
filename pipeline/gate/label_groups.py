"""Groups of labels: those that users name, else by how often training saw them. Pure.

Most of a task's traffic has few of its labels, and a model that learnt from it is right on those first. An overall
score hides what happens to the others, and to labels that came up after training.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

COMMON, RARE, NEW = "common labels", "rare labels", "labels new since training"
KEY = "label_group"
"""Cohort key. No request can be routed by it: its label is what the answer is about to say."""


class LabelGroups:
    """Says which group a label is in.

    `trained`: labels of the rows that models learn from; `named`: patterns of labels by group, first match wins.
    Without names: the most frequent labels that make up half of the training rows are common, the others rare.
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
        for name, patterns in self._named.items():
            if any(fnmatchcase(label, pattern) for pattern in patterns):
                return name
        if label in self._common:
            return COMMON
        return RARE if label in self._seen else NEW
