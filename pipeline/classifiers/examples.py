"""Labelled texts of one call site, and their labels as targets of a head."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from traffic import answers
from traffic.callsites import Checks, RequestType

REQUEST_TYPES: tuple[RequestType, ...] = ("classification", "intent", "moderation")
"""Request types whose answer is one of a closed set of labels, or a set of them."""


class Examples(NamedTuple):
    """Labelled texts."""

    texts: Sequence[str]
    labels: Sequence[str]
    """Answers as logged; a set of labels is one answer."""
    weights: Sequence[float] | None = None

    def shortage(self) -> str | None:
        """Reason why a classifier cannot be fitted, or None."""
        count = len(set(self.labels))
        if count >= 2:
            return None
        return f"a classifier needs at least 2 labels, its {len(self.labels)} training rows have {count}"

    def __add__(self, other: "Examples") -> "Examples":  # type: ignore[override] # not a tuple's concatenation
        weights = None
        if self.weights is not None and other.weights is not None:
            weights = [*self.weights, *other.weights]
        return Examples([*self.texts, *other.texts], [*self.labels, *other.labels], weights)


NO_EXAMPLES = Examples((), ())


class SiteData(NamedTuple):
    """The splits and checks of one call site."""

    train: Examples
    validation: Examples = NO_EXAMPLES
    calibration: Examples = NO_EXAMPLES
    checks: Checks = Checks()

    def targets(self) -> "Targets":
        """The labels of train and validation rows."""
        labels = (self.train + self.validation).labels
        if self.checks.multiple is None:
            return Targets(tuple(sorted(set(labels))), sets=False, checks=self.checks)
        used_labels = {label for answer in labels for label in answers.labels_of(answer, self.checks)}
        return Targets(
            tuple(label for label in self.checks.labels if label in used_labels), sets=True, checks=self.checks
        )

    @property
    def has_empty_sets(self) -> bool:
        """Whether the empty set is an answer."""
        distinct = set((self.train + self.validation).labels)
        return self.checks.multiple is not None and any(not answers.labels_of(text, self.checks) for text in distinct)


class Targets(NamedTuple):
    """The labels, in the order of a head's rows."""

    labels: tuple[str, ...]
    sets: bool
    """Labels are independent of each other."""
    checks: Checks

    def of(self, examples: Examples) -> npt.NDArray[np.int64]:
        """Columns (rows,), -1 for unknown labels; for label sets, 0 and 1 (rows, labels)."""
        columns = {label: column for column, label in enumerate(self.labels)}
        if not self.sets:
            return np.array([columns.get(label, -1) for label in examples.labels], dtype=np.int64)
        members = np.zeros((len(examples.labels), len(self.labels)), dtype=np.int64)
        for row, answer in enumerate(examples.labels):
            for label in answers.labels_of(answer, self.checks):
                if label in columns:
                    members[row, columns[label]] = 1
        return members
