"""Points that signals give to request types (natural-log odds), with what they were given for."""

from collections import defaultdict

import msgspec


class Evidence(msgspec.Struct, frozen=True):
    """One signal: what was seen, and how many points it gave to which types."""

    what: str
    points: dict[str, float]


class Scores:
    """Points of each type, and what they were given for."""

    def __init__(self) -> None:
        self.points: dict[str, float] = defaultdict(float)
        self.evidence: list[Evidence] = []

    def add(self, what: str, **points: float) -> None:
        kept = {name: value for name, value in points.items() if value}
        if kept:
            self.evidence.append(Evidence(what, kept))
            for name, value in kept.items():
                self.points[name] += value
