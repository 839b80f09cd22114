"""Origin of a comparison's references: human labels, or the logged model's own answers. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Basis = Literal["accuracy", "agreement"]
BY_PEOPLE = ("human", "corrected")
"""Label sources that are a person's decision: an annotator's label, or a user's correction."""


class LabelledPair(NamedTuple):
    """One item of a comparison."""

    record_id: str
    label_source: str
    """human, corrected, escalated or teacher."""
    differ: bool
    """Candidate and incumbent answer it differently."""


class References(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Share of a comparison of two models that is based on human labels."""

    basis: Basis
    """accuracy: a person decided every item on which the two differ. (Equal answers are right or wrong together, so the
    difference in accuracy is known without a label.) agreement: on some items the logged answer is the reference, and a
    better answer counts as wrong."""
    shares: dict[str, float]
    """Share of the items by label source."""
    differ: int
    """Items with different answers."""
    ask: int
    """Of those, items without a human decision: only there would a label change the comparison."""


def of(items: Iterable[LabelledPair]) -> References:
    """References of a comparison on these items."""
    rows = list(items)
    counts = Counter(row.label_source for row in rows)
    ask = len(to_ask(rows))
    return References(
        basis="agreement" if ask else "accuracy",
        shares={source: round(count / len(rows), 4) for source, count in sorted(counts.items())},
        differ=sum(row.differ for row in rows),
        ask=ask,
    )


def to_ask(items: Iterable[LabelledPair]) -> list[str]:
    """Record ids of items with different answers and no human label."""
    return [row.record_id for row in items if row.differ and row.label_source not in BY_PEOPLE]
