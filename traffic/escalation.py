"""Keep, retry or escalate: what follows from one attempt at a request. A pure state machine.

A ladder has one rung for the tier that the rules chose and, below Tier 2, one for the tier that stands in
for it; a rung holds endpoints in the order in which they are tried. I/O code asks the endpoint at
(`rung`, `place`), says what came of it, and does what `next` returns.

    state = start((2, 2), limits)
    while isinstance(step := state.next(ask(state.rung, state.place), elapsed_s, random()), Retry | Escalate):
        sleep(step.after_s); state = step.state

Never more than 1 + `max_retries` + 1 escalation attempts, and none that begins after the deadline.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

MAX_RETRIES = 2
"""In all, not per endpoint: retries of every layer multiply."""


class Limits(msgspec.Struct, frozen=True):
    """What one request may cost in attempts and time."""

    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = MAX_RETRIES
    backoff_s: float = 0.25
    """Longest pause before the first retry of an endpoint; it doubles, and the pause is drawn from all below it."""
    backoff_cap_s: float = 4.0
    deadline_s: float = 120.0
    """From the arrival of the request."""


Kind = Literal["answered", "rejected", "failed", "refused", "throttled"]
"""`rejected`: an answer that fails its checks or is too unsure; `failed`: no connection, timeout, 5xx, garbage, a cut
stream; `refused`: a 4xx that would be one again; `throttled`: 429."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    kind: Kind
    reason: str = ""
    retry_after_s: float | None = None
    forwarded: bool = False
    """The client has seen a part of the answer: nothing can replace it any more."""


class Keep(msgspec.Struct, frozen=True):
    """The answer goes to the client."""


class Retry(msgspec.Struct, frozen=True):
    """Ask on the same tier again, after a pause."""

    state: "Asking"
    after_s: float


class Escalate(msgspec.Struct, frozen=True):
    """Ask the next tier."""

    state: "Asking"
    reason: str
    after_s: float = 0.0


class GiveUp(msgspec.Struct, frozen=True):
    """The client gets an error."""

    kind: Kind | Literal["deadline"]
    reason: str
    retry_after_s: float | None = None


class Asking(msgspec.Struct, frozen=True):
    """An attempt is being made at the endpoint (`rung`, `place`)."""

    ladder: tuple[int, ...]
    """Number of endpoints on each rung."""
    limits: Limits
    rung: int = 0
    place: int = 0
    attempt: int = 1
    retries: int = 0
    escalated: bool = False
    tried: tuple[int, ...] = (0,)
    """Places of this rung that were asked."""
    cooling: tuple[tuple[int, float], ...] = ()
    """Places of this rung that said 429, with the time (seconds from arrival) before which they want no request."""

    def next(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Keep | Retry | Escalate | GiveUp:
        """What follows; `elapsed_s` since the request arrived, `jitter` uniform in [0, 1)."""
        if outcome.kind == "answered":
            return Keep()
        if outcome.forwarded:
            return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)
        if elapsed_s >= self.limits.deadline_s:
            return GiveUp("deadline", f"{outcome.reason}; no time left", outcome.retry_after_s)
        if outcome.kind in ("failed", "throttled"):
            place = self._untried()
            if place is not None:
                return Retry(self._again(place, outcome, elapsed_s), 0.0)
        if self.rung + 1 < len(self.ladder) and not self.escalated:
            return Escalate(self._above(), outcome.reason)
        if outcome.kind in ("failed", "throttled") and self.retries < self.limits.max_retries:
            return self._later(outcome, elapsed_s, jitter)
        return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)

    def _untried(self) -> int | None:
        if self.retries >= self.limits.max_retries:
            return None
        return next((place for place in range(self.ladder[self.rung]) if place not in self.tried), None)

    def _later(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Retry | GiveUp:
        """Ask an endpoint of this rung once more: the one that is ready first, another one if it can be."""
        most = min(self.limits.backoff_s * 2**self.retries, self.limits.backoff_cap_s)
        until = dict(self._cooling(outcome, elapsed_s))
        pauses = [
            (max(most * jitter, until.get(place, 0.0) - elapsed_s), place == self.place, place)
            for place in range(self.ladder[self.rung])
        ]
        after_s, _, place = min(pauses)
        if elapsed_s + after_s >= self.limits.deadline_s:
            return GiveUp(outcome.kind, f"{outcome.reason}; no time left to wait", outcome.retry_after_s)
        return Retry(self._again(place, outcome, elapsed_s), after_s)

    def _cooling(self, outcome: Outcome, elapsed_s: float) -> tuple[tuple[int, float], ...]:
        others = tuple(item for item in self.cooling if item[0] != self.place)
        if outcome.kind != "throttled":
            return others
        return (*others, (self.place, elapsed_s + (outcome.retry_after_s or 0.0)))

    def _again(self, place: int, outcome: Outcome, elapsed_s: float) -> "Asking":
        return msgspec.structs.replace(
            self,
            place=place,
            attempt=self.attempt + 1,
            retries=self.retries + 1,
            tried=(*self.tried, place),
            cooling=self._cooling(outcome, elapsed_s),
        )

    def _above(self) -> "Asking":
        return msgspec.structs.replace(
            self, rung=self.rung + 1, place=0, attempt=self.attempt + 1, escalated=True, tried=(0,), cooling=()
        )


def start(ladder: Sequence[int], limits: Limits) -> Asking:
    """The first attempt. Raises: ValueError if there is no endpoint to ask."""
    if not ladder or min(ladder) < 1:
        raise ValueError(f"a ladder needs an endpoint on every rung, not {tuple(ladder)}")
    return Asking(tuple(ladder), limits)
