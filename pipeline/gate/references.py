"""What the right answers are that a comparison goes by: people's labels, or the logged model's own answers. Pure."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

Basis = Literal["accuracy", "agreement"]
BY_PEOPLE = ("human", "corrected")
"""Label sources that are a person's word: an annotator's label, or what a user put in place of an answer."""


class Judged(NamedTuple):
    """One item of a comparison."""

    record_id: str
    label_source: str
    """human, corrected, escalated or teacher."""
    differ: bool
    """Candidate and incumbent answer it differently."""


class References(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How far the comparison of two models rests on people."""

    basis: Basis
    """accuracy: a person decided every item on which the two differ. Where they say the same, they are right or wrong
    together, whatever the truth, so that the difference in accuracy is known without a label. Else agreement: on some
    items the logged model's answer passes for the truth, and a better answer counts as wrong."""
    shares: dict[str, float]
    """Of the items, by source of the label."""
    differ: int
    """Items on which the two answer differently."""
    ask: int
    """Of those, not decided by a person: the only items on which a label would change anything."""


def of(items: Iterable[Judged]) -> References:
    """The reference quality of a comparison on these items."""
    rows = list(items)
    counts = Counter(row.label_source for row in rows)
    ask = len(to_ask(rows))
    return References(
        basis="agreement" if ask else "accuracy",
        shares={source: round(count / len(rows), 4) for source, count in sorted(counts.items())},
        differ=sum(row.differ for row in rows),
        ask=ask,
    )


def to_ask(items: Iterable[Judged]) -> list[str]:
    """Record ids of the items on which the two differ and no person has decided."""
    return [row.record_id for row in items if row.differ and row.label_source not in BY_PEOPLE]
