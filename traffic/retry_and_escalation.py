"""Decides after each attempt at a request: keep the answer, confirm, retry or escalate. A pure state machine.

The fallback chain has one level for the tier that the rules chose and, for Tier 1, a second level for Tier 2. A level
is a list of endpoints in the order in which they are tried. The last levels can be reserved for requests that exceed
the context of all others (`overflow`). I/O code asks the endpoint at (`level`, `index`), passes the outcome to `next`
and performs the transition that `next` returns.

    state = start((2, 2), limits)
    while isinstance(step := state.next(ask(state.level, state.index), elapsed_s, random()), Retry | Escalate):
        sleep(step.after_s); state = step.state

At most 1 + `max_retries` + 1 escalation + 1 consistency run attempts, and none that begins after the deadline.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Annotated, Literal

import msgspec

MAX_RETRIES = 2
"""Retries of one request over all endpoints, not per endpoint."""
MAX_PAUSE_S = 86_400.0
EPOCH_FROM_S = 1e9
"""A pause from here on (30 years) is a time: seconds since 1970."""
MIN_ATTEMPT_S = 0.02
"""Minimum time before the deadline for another attempt: timers fire a few milliseconds early, and no endpoint answers
in less.
"""


class Limits(msgspec.Struct, frozen=True):
    """Limits on attempts and time for one request."""

    max_retries: Annotated[int, msgspec.Meta(ge=0, le=MAX_RETRIES)] = MAX_RETRIES
    backoff_s: float = 0.25
    """Maximum pause before the first retry; doubles with each retry. The pause is drawn uniformly from [0, maximum)."""
    backoff_cap_s: float = 4.0
    deadline_s: float = 120.0
    """From the arrival of the request."""
    wait_s: float = 2.0
    """Maximum pause for an endpoint's Retry-After; a longer Retry-After is returned to the client."""


class Breaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Circuit breaker of one endpoint (`router.health`)."""

    failures: Annotated[int, msgspec.Meta(ge=1)] = 5
    """Consecutive failures that open the circuit: no connection, timeout, 5xx, unreadable answer, cut stream, 401."""
    failure_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Share of failed requests in one window that opens the circuit, consecutive or not."""
    window_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    window_requests: Annotated[int, msgspec.Meta(ge=1)] = 20
    """Minimum requests in a window before `failure_share` applies."""
    open_s: Annotated[float, msgspec.Meta(gt=0)] = 5.0
    """Time until one request probes the endpoint; each failed probe doubles it."""
    open_cap_s: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Maximum time open, also where Retry-After asks for more."""
    wait_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """Maximum queue time while every endpoint is unavailable; then 503 with Retry-After."""


Kind = Literal["answered", "rejected", "failed", "refused", "throttled"]
"""`rejected`: an answer that fails its checks or is below the confidence threshold; `failed`: no connection, timeout,
5xx, unreadable answer or cut stream; `refused`: a 4xx that a repetition would not change; `throttled`: 429."""

Refusal = Literal["context_length", "content_policy", "account", "unsupported", "unknown"]
"""Reasons of a 4xx for which another endpoint may answer. `context_length`: prompt and answer exceed this model's
context; `content_policy`: blocked by the provider's filter; `account`: our key, credit, permission or the model's name;
`unsupported`: a parameter, role or tool that this model does not take; `unknown`: unknown words that find no fault in
the request."""


class Outcome(msgspec.Struct, frozen=True):
    """Result of one attempt."""

    kind: Kind
    reason: str = ""
    retry_after_s: float | None = None
    forwarded: bool = False
    """Part of the answer has been sent to the client, so no other answer can replace it."""
    refusal: Refusal | None = None
    """For `refused`: the reason, where it is known."""
    unsure: bool = False
    """For `rejected`: the answer passed its checks; only its confidence is below the threshold."""
    learned: bool = False
    """For `refused`: the error named a correction, which the next request to this endpoint applies."""
    detail: str = ""
    """The endpoint's error message for the log, keys masked."""


class Keep(msgspec.Struct, frozen=True):
    """The answer goes to the client."""


class Confirm(msgspec.Struct, frozen=True):
    """The consistency run: ask the same endpoint once more. Its outcome is `answered` where both answers agree, and
    `rejected` where they do not.
    """

    state: "Asking"


class Retry(msgspec.Struct, frozen=True):
    """Another attempt after a pause, on the same level, or on an overflow level for a request that is too long."""

    state: "Asking"
    after_s: float


class Escalate(msgspec.Struct, frozen=True):
    """An attempt at the next level."""

    state: "Asking"
    reason: str
    after_s: float = 0.0


class ServeUnsure(msgspec.Struct, frozen=True):
    """Tier 2 failed: the client gets the low-confidence answer of Tier 1, marked as such."""

    reason: str
    """Why Tier 2 did not answer."""


class GiveUp(msgspec.Struct, frozen=True):
    """The client gets an error."""

    kind: Kind | Literal["deadline"]
    reason: str
    retry_after_s: float | None = None


class Asking(msgspec.Struct, frozen=True):
    """An attempt at the endpoint (`level`, `index`) is in progress."""

    fallback_chain: tuple[int, ...]
    """Number of endpoints on each level."""
    limits: Limits
    contexts: tuple[tuple[int | None, ...], ...] = ()
    """Context size of each endpoint in tokens, None where unknown; empty: all unknown."""
    overflow: int = 0
    """Number of levels at the end that are reserved for requests that exceed the context of the others."""
    confirm: bool = False
    """An answer of the first endpoint must be confirmed by a consistency run."""
    level: int = 0
    index: int = 0
    attempt: int = 1
    retries: int = 0
    escalated: bool = False
    confirming: bool = False
    """This attempt is the consistency run."""
    serve_unsure: bool = False
    """Serve a low-confidence answer rather than an error."""
    unsure: bool = False
    """Tier 1 gave a low-confidence answer, and the next level is being asked."""
    tried: tuple[int, ...] = (0,)
    """Indexes of this level that were asked."""
    refused: tuple[int, ...] = ()
    """Indexes of this level that refused the request and would refuse it again."""
    cooling: tuple[tuple[int, float], ...] = ()
    """Indexes of this level that answered 429, each with the time (seconds from arrival) at which it is available."""

    def next(
        self, outcome: Outcome, elapsed_s: float, jitter: float
    ) -> Keep | Confirm | Retry | Escalate | ServeUnsure | GiveUp:
        """The transition after `outcome`; `elapsed_s` since the request arrived, `jitter` uniform in [0, 1)."""
        step = self._next(outcome, elapsed_s, jitter)
        if isinstance(step, GiveUp) and not outcome.forwarded:
            unsure_now = self.level == 0 and outcome.kind == "rejected" and outcome.unsure and not self.confirming
            if self.serve_unsure and (self.unsure or unsure_now):
                return ServeUnsure(step.reason)
        return step

    def _next(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Keep | Confirm | Retry | Escalate | GiveUp:
        confirms = self.confirm and not self.confirming and (self.level, self.index) == (0, 0)
        if outcome.kind == "answered" and not (confirms and not outcome.forwarded):
            return Keep()
        if outcome.forwarded:
            return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)
        step = self._another_attempt(outcome, elapsed_s, jitter)
        # A refusal that ends the request anyway reaches the client as such, however late it came.
        if not isinstance(step, GiveUp) and elapsed_s + MIN_ATTEMPT_S > self.limits.deadline_s:
            return GiveUp("deadline", f"{outcome.reason or 'unconfirmed'}; no time left", outcome.retry_after_s)
        return step

    def _another_attempt(
        self, outcome: Outcome, elapsed_s: float, jitter: float
    ) -> Confirm | Retry | Escalate | GiveUp:
        """The next attempt, if the deadline permits one; GiveUp: there is none."""
        if outcome.kind == "answered":
            return Confirm(msgspec.structs.replace(self, attempt=self.attempt + 1, confirming=True))
        if outcome.learned and self.retries < self.limits.max_retries:
            return Retry(self._at_index(self.index, outcome, elapsed_s), 0.0)
        if not self.confirming:
            index = self._another_endpoint(outcome)
            if index is not None:
                return Retry(self._at_index(index, outcome, elapsed_s), 0.0)
        index = self._first_large_enough(self.level + 1, outcome)
        if self.level + 1 < self._regular_levels and not self.escalated and index is not None:
            above = self._at_level(self.level + 1, index)
            unsure = outcome.kind == "rejected" and outcome.unsure and not self.confirming
            return Escalate(msgspec.structs.replace(above, unsure=unsure), outcome.reason)
        if self.confirming:
            return GiveUp("rejected", outcome.reason)
        return self._last_resort(outcome, elapsed_s, jitter)

    @property
    def _regular_levels(self) -> int:
        """Number of levels that are not reserved for overflow."""
        return len(self.fallback_chain) - self.overflow

    def _another_endpoint(self, outcome: Outcome) -> int | None:
        """Index of an untried endpoint of this level, where the outcome permits another one."""
        if self.retries >= self.limits.max_retries:
            return None
        if outcome.kind not in ("failed", "throttled") and outcome.refusal is None:
            return None
        return self._first_large_enough(self.level, outcome, self.tried)

    def _first_large_enough(self, level: int, outcome: Outcome, tried: tuple[int, ...] = ()) -> int | None:
        """Index of the first untried endpoint of `level` whose context is not known to be too small."""
        if level >= len(self.fallback_chain):
            return None
        failed = self._context(self.level, self.index) if outcome.refusal == "context_length" else None
        for index in range(self.fallback_chain[level]):
            context = self._context(level, index)
            if index not in tried and (failed is None or context is None or context > failed):
                return index
        return None

    def _context(self, level: int, index: int) -> int | None:
        return self.contexts[level][index] if self.contexts else None

    def _last_resort(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Retry | GiveUp:
        """Every endpoint of the regular levels was tried: repeat after a pause, use an overflow level, or give up."""
        if self.retries < self.limits.max_retries:
            if outcome.kind in ("failed", "throttled"):
                return self._after_pause(outcome, elapsed_s, jitter)
            if outcome.refusal == "context_length":
                for level in range(max(self.level + 1, self._regular_levels), len(self.fallback_chain)):
                    index = self._first_large_enough(level, outcome)
                    if index is not None:
                        moved = self._at_level(level, index)
                        return Retry(
                            msgspec.structs.replace(moved, retries=self.retries + 1, escalated=self.escalated), 0.0
                        )
        return GiveUp(outcome.kind, outcome.reason, outcome.retry_after_s)

    def _after_pause(self, outcome: Outcome, elapsed_s: float, jitter: float) -> Retry | GiveUp:
        """Repeat on this level at the endpoint that is available first; on a tie, not the one that just failed."""
        max_pause_s = min(self.limits.backoff_s * 2**self.retries, self.limits.backoff_cap_s)
        until = dict(self._cooling(outcome, elapsed_s))
        pauses = [
            (max(max_pause_s * jitter, until.get(index, 0.0) - elapsed_s), index == self.index, index)
            for index in range(self.fallback_chain[self.level])
            if index not in self.refused
        ]
        after_s, _, index = min(pauses)
        if after_s > self.limits.wait_s and after_s > max_pause_s:
            return GiveUp(outcome.kind, outcome.reason, after_s)
        if elapsed_s + after_s + MIN_ATTEMPT_S > self.limits.deadline_s:
            return GiveUp(outcome.kind, f"{outcome.reason}; no time left to wait", outcome.retry_after_s)
        return Retry(self._at_index(index, outcome, elapsed_s), after_s)

    def _cooling(self, outcome: Outcome, elapsed_s: float) -> tuple[tuple[int, float], ...]:
        others = tuple(item for item in self.cooling if item[0] != self.index)
        if outcome.kind != "throttled" and outcome.retry_after_s is None:
            return others
        return (*others, (self.index, elapsed_s + (outcome.retry_after_s or 0.0)))

    def _at_index(self, index: int, outcome: Outcome, elapsed_s: float) -> "Asking":
        return msgspec.structs.replace(
            self,
            index=index,
            attempt=self.attempt + 1,
            retries=self.retries + 1,
            tried=(*self.tried, index),
            refused=(*self.refused, self.index) if outcome.kind == "refused" and not outcome.learned else self.refused,
            cooling=self._cooling(outcome, elapsed_s),
        )

    def _at_level(self, level: int, index: int) -> "Asking":
        return msgspec.structs.replace(
            self,
            level=level,
            index=index,
            attempt=self.attempt + 1,
            escalated=True,
            confirming=False,
            tried=(index,),
            refused=(),
            cooling=(),
        )


def start(
    fallback_chain: Sequence[int],
    limits: Limits,
    *,
    contexts: Sequence[Sequence[int | None]] = (),
    overflow: int = 0,
    confirm: bool = False,
    serve_unsure: bool = False,
) -> Asking:
    """The first attempt. Raises: ValueError if there is no endpoint to ask."""
    if not fallback_chain or min(fallback_chain) < 1:
        raise ValueError(f"fallback_chain: expected at least one endpoint on every level, got {tuple(fallback_chain)}")
    if overflow >= len(fallback_chain):
        raise ValueError(f"overflow: expected fewer than {len(fallback_chain)} levels, got {overflow}")
    if contexts and list(map(len, contexts)) != list(fallback_chain):
        raise ValueError("contexts: expected one entry per endpoint of fallback_chain")
    return Asking(
        tuple(fallback_chain), limits, tuple(map(tuple, contexts)), overflow, confirm, serve_unsure=serve_unsure
    )


def stated_pause_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None without a readable header."""
    value, factor = headers.get("retry-after-ms"), 0.001
    if value is None:
        value, factor = headers.get("retry-after"), 1.0
    if value is None:
        return None
    try:
        seconds = float(value) * factor
        if seconds >= EPOCH_FROM_S:
            # Some servers state when, instead of how long.
            seconds -= datetime.now(UTC).timestamp()
    except ValueError:
        try:
            at = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return bounded_pause_s(seconds)


def bounded_pause_s(seconds: float) -> float:
    """A pause that a server asks for, between 0 and a day; NaN and infinity, which `float()` accepts, are a day."""
    return max(seconds, 0.0) if seconds < MAX_PAUSE_S else MAX_PAUSE_S
