"""Keep, confirm, retry or escalate: what follows from one attempt at a request. A pure state machine.

A ladder has one rung for the tier that the rules chose and, below Tier 2, one for the tier that stands in
for it; a rung holds endpoints in the order in which they are tried. The last rungs can be kept for requests that are
too long for all others (`overflow`). I/O code asks the endpoint at (`rung`, `place`), says what came of it, and does
what `next` returns.

    state = start((2, 2), limits)
    while isinstance(step := state.next(ask(state.rung, state.place), elapsed_s, random()), Retry | Escalate):
        sleep(step.after_s); state = step.state

Never more than 1 + `max_retries` + 1 escalation + 1 consistency run attempts, and none that begins after the deadline.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import msgspec

MAX_RETRIES = 2
"""In all, not per endpoint: retries of every layer multiply."""

LEAST_LEFT_S = 0.02
"""An attempt that would have less time than this is not begun: timers fire a few milliseconds early, and no endpoint
answers in what is left then.
"""


class Limits(msgspec.Struct, frozen=True):
    """What one request may cost in attempts and time."""

    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = MAX_RETRIES
    backoff_s: float = 0.25
    """Longest pause before the first retry of an endpoint; it doubles, and the pause is drawn from all below it."""
    backoff_cap_s: float = 4.0
    deadline_s: float = 120.0
    """From the arrival of the request."""
    wait_s: float = 2.0
    """Longest pause inside a request that an endpoint's Retry-After may cause; the client is told of a longer one."""


class Breaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When an endpoint is left alone for a while (`router.health`)."""

    failures: Annotated[int, msgspec.Meta(ge=1)] = 5
    """In a row: no connection, timeout, 5xx, garbage, cut stream, or a 401 for our key."""
    failure_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Of the requests of one window, also where they are not in a row."""
    window_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    window_requests: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Fewer say nothing about the share."""
    open_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """Then one request probes; each failed probe doubles the time."""
    open_cap_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Longest time, also for a Retry-After that says more."""
    wait_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """Longest wait of a request that nobody can take for the endpoint that is ready first; then 503 and Retry-After."""


Kind = Literal["answered", "rejected", "failed", "refused", "throttled"]
"""`rejected`: an answer that fails its checks or is too unsure; `failed`: no connection, timeout, 5xx, garbage, a cut
stream; `refused`: a 4xx that would be one again; `throttled`: 429."""

Refusal = Literal["context_length", "content_policy", "account", "unsupported"]
"""Reasons of a 4xx for which another endpoint may well answer. `context_length`: prompt and answer are too long for
this model; `content_policy`: a filter of the provider stopped them; `account`: our key, credit, permission or the
model's name; `unsupported`: a parameter, role or tool that this model does not take."""


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt."""

    kind: Kind
    reason: str = ""
    retry_after_s: float | None = None
    forwarded: bool = False
    """The client has seen a part of the answer: nothing can replace it any more."""
    refusal: Refusal | None = None
    """Of a `refused`, where it is known."""
    unsure: bool = False
    """Of a `rejected`: the answer passed its checks, only its confidence is below the threshold."""
    learned: bool = False
    """Of a `refused`: it named what to send instead, and the next request to this endpoint will."""
    detail: str = ""
    """What the endpoint said of its failure, keys masked: for the log."""


class Keep(msgspec.Struct, frozen=True):
    """The answer goes to the client."""


class Confirm(msgspec.Struct, frozen=True):
    """The consistency run: ask the same endpoint once more. Its outcome is `answered` where both answers agree, and
    `rejected` where they do not.
    """

    state: "Asking"


class Retry(msgspec.Struct, frozen=True):
    """Ask on the same tier again, after a pause; a request that is too long goes to another tier in the same way."""

    state: "Asking"
    after_s: float


class Escalate(msgspec.Struct, frozen=True):
    """Ask the next tier."""

    state: "Asking"
    reason: str
    after_s: float = 0.0


class ServeUnsure(msgspec.Struct, frozen=True):
    """Tier 2 failed: the client gets the unsure answer of Tier 1, marked."""

    reason: str
    """Why Tier 2 did not answer."""


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
    contexts: tuple[tuple[int | None, ...], ...] = ()
    """Tokens that each endpoint can read, None where it is not known; empty: of none."""
    overflow: int = 0
    """So many of the last rungs are only for requests that are too long elsewhere."""
    confirm: bool = False
    """An answer of the first endpoint must be confirmed by a consistency run."""
    rung: int = 0
    place: int = 0
    attempt: int = 1
    retries: int = 0
    escalated: bool = False
    confirming: bool = False
    """This attempt is the consistency run."""
    serve_unsure: bool = False
    """An unsure answer is better than an error."""
    unsure: bool = False
    """There is an unsure answer, and a higher tier is being asked."""
    tried: tuple[int, ...] = (0,)
    """Places of this rung that were asked."""
    cooling: tuple[tuple[int, float], ...] = ()
    """Places of this rung that said 429, with the time (seconds from arrival) before which they want no request."""

    def next(
        self, outcome: Outcome, elapsed_s: float, jitter: float
    ) -> Keep | Confirm | Retry | Escalate | ServeUnsure | GiveUp:
        """What follows; `elapsed_s` since the request arrived, `jitter` uniform in [0, 1)."""
        step = self._next(outcome, elapsed_s, jitter)
        if isinstance(step, GiveUp) and not outcome.forwarded:
            unsure_now = self.rung == 0 and outcome.kind == "rejected" and outcome.unsure and not self.confirming
            if self.serve_unsure and (self.unsure or unsure_now):
                return ServeUnsure(step.reason)
        return step

    def _next(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Keep | Confirm | Retry | Escalate | GiveUp:
        confirms = self.confirm and not self.confirming and (self.rung, self.place) == (0, 0)
        if outcome.kind == "answered" and not (confirms and not outcome.forwarded):
            return Keep()
        if outcome.forwarded:
            return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)
        if elapsed_s + LEAST_LEFT_S > self.limits.deadline_s:
            return GiveUp("deadline", f"{outcome.reason or 'unconfirmed'}; no time left", outcome.retry_after_s)
        if outcome.kind == "answered":
            return Confirm(msgspec.structs.replace(self, attempt=self.attempt + 1, confirming=True))
        if outcome.learned and self.retries < self.limits.max_retries:
            return Retry(self._again(self.place, outcome, elapsed_s), 0.0)
        if not self.confirming:
            place = self._elsewhere(outcome)
            if place is not None:
                return Retry(self._again(place, outcome, elapsed_s), 0.0)
        place = self._room(self.rung + 1, outcome)
        if self.rung + 1 < self._regular and not self.escalated and place is not None:
            above = self._above(self.rung + 1, place)
            unsure = outcome.kind == "rejected" and outcome.unsure and not self.confirming
            return Escalate(msgspec.structs.replace(above, unsure=unsure), outcome.reason)
        if self.confirming:
            return GiveUp("rejected", outcome.reason)
        return self._last_resort(outcome, elapsed_s, jitter)

    @property
    def _regular(self) -> int:
        """Rungs for every request."""
        return len(self.ladder) - self.overflow

    def _elsewhere(self, outcome: Outcome) -> int | None:
        """Another endpoint of this rung that may do better."""
        if self.retries >= self.limits.max_retries:
            return None
        if outcome.kind not in ("failed", "throttled") and outcome.refusal is None:
            return None
        return self._room(self.rung, outcome, self.tried)

    def _room(self, rung: int, outcome: Outcome, tried: tuple[int, ...] = ()) -> int | None:
        """The first endpoint of a rung, of those not tried, that is not known to be too small for the request."""
        if rung >= len(self.ladder):
            return None
        failed = self._context(self.rung, self.place) if outcome.refusal == "context_length" else None
        for place in range(self.ladder[rung]):
            context = self._context(rung, place)
            if place not in tried and (failed is None or context is None or context > failed):
                return place
        return None

    def _context(self, rung: int, place: int) -> int | None:
        return self.contexts[rung][place] if self.contexts else None

    def _last_resort(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Retry | GiveUp:
        """Nobody else is left on the regular way."""
        if self.retries < self.limits.max_retries:
            if outcome.kind in ("failed", "throttled"):
                return self._later(outcome, elapsed_s, jitter)
            if outcome.refusal == "context_length":
                for rung in range(max(self.rung + 1, self._regular), len(self.ladder)):
                    place = self._room(rung, outcome)
                    if place is not None:
                        moved = self._above(rung, place)
                        return Retry(
                            msgspec.structs.replace(moved, retries=self.retries + 1, escalated=self.escalated), 0.0
                        )
        return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)

    def _later(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Retry | GiveUp:
        """Ask an endpoint of this rung once more: the one that is ready first, another one if it can be."""
        most = min(self.limits.backoff_s * 2**self.retries, self.limits.backoff_cap_s)
        until = dict(self._cooling(outcome, elapsed_s))
        pauses = [
            (max(most * jitter, until.get(place, 0.0) - elapsed_s), place == self.place, place)
            for place in range(self.ladder[self.rung])
        ]
        after_s, _, place = min(pauses)
        if after_s > self.limits.wait_s and after_s > most:
            return GiveUp(outcome.kind, outcome.reason, after_s)
        if elapsed_s + after_s + LEAST_LEFT_S > self.limits.deadline_s:
            return GiveUp(outcome.kind, f"{outcome.reason}; no time left to wait", outcome.retry_after_s)
        return Retry(self._again(place, outcome, elapsed_s), after_s)

    def _cooling(self, outcome: Outcome, elapsed_s: float) -> tuple[tuple[int, float], ...]:
        others = tuple(item for item in self.cooling if item[0] != self.place)
        if outcome.kind != "throttled" and outcome.retry_after_s is None:
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

    def _above(self, rung: int, place: int) -> "Asking":
        return msgspec.structs.replace(
            self,
            rung=rung,
            place=place,
            attempt=self.attempt + 1,
            escalated=True,
            confirming=False,
            tried=(place,),
            cooling=(),
        )


def start(
    ladder: Sequence[int],
    limits: Limits,
    *,
    contexts: Sequence[Sequence[int | None]] = (),
    overflow: int = 0,
    confirm: bool = False,
    serve_unsure: bool = False,
) -> Asking:
    """The first attempt. Raises: ValueError if there is no endpoint to ask."""
    if not ladder or min(ladder) < 1:
        raise ValueError(f"a ladder needs an endpoint on every rung, not {tuple(ladder)}")
    if overflow >= len(ladder):
        raise ValueError(f"{overflow} of {len(ladder)} rungs are for long requests: none is left for the others")
    if contexts and [len(rung) for rung in contexts] != list(ladder):
        raise ValueError("contexts must have an entry for each endpoint of the ladder")
    return Asking(tuple(ladder), limits, tuple(map(tuple, contexts)), overflow, confirm, serve_unsure=serve_unsure)


def stated_pause_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None where it does not say."""
    value, factor = headers.get("retry-after-ms"), 0.001
    if value is None:
        value, factor = headers.get("retry-after"), 1.0
    if value is None:
        return None
    try:
        seconds = float(value) * factor
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    # "nan" and "inf" are floats too.
    return max(seconds, 0.0) if seconds < 86_400 else 86_400.0
