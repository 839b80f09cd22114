"""Which endpoints can be asked now: a circuit breaker per endpoint, pauses that a 429 asked for, and replicas by load.

Pure: the caller says what time it is. One object per process, because all requests learn from each other's failures:

    free, wait_s = health.choose(endpoints, breaker, now)
    ticket = health.begin(endpoint, now)
    ...
    health.end(ticket, outcome, breaker, now)

A circuit is closed (all requests pass), open (none) or half-open: one request, the probe, decides which of the two
it becomes. An endpoint that answered with a Retry-After is cooling: no other request goes there until then. One whose
key, credit or model is refused is resting: no client's request goes there until the router's own probe is answered.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from traffic.retry_and_escalation import Breaker, Outcome

PROBE_PAUSE_S = 0.1
"""While a probe is under way it is not known when the endpoint is ready: ask again after this."""

REST_S = 30.0
"""From a refusal of our account to the first probe; each failed probe doubles it."""
REST_CAP_S = 300.0

State = Literal["closed", "half_open", "open", "resting"]
Verdict = Literal["good", "bad", "neutral"]


class Named(Protocol):
    """What is needed of `traffic.tiers.Endpoint`."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def group(self) -> str | None: ...


class Circuit(msgspec.Struct):
    """What is known of one endpoint. Times are those of the caller's monotonic clock, in seconds."""

    in_flight: int = 0
    asked_at: float = float("-inf")
    """When the last request went there."""
    failures: int = 0
    """In a row."""
    window_from: float = float("-inf")
    window_total: int = 0
    window_failed: int = 0
    open_until: float | None = None
    """None: closed."""
    open_s: float = 0.0
    """How long it was opened for, the last time in a row."""
    probing: bool = False
    cool_until: float = float("-inf")
    overloaded: bool = False
    """It is cooling after a 5xx, not after a 429."""
    rest_until: float | None = None
    """When the next probe of a resting endpoint is due; None: it is not resting."""
    rest_s: float = 0.0
    why: str = ""
    """What it said when it was opened, cooled or rested."""
    opened: int = 0
    """How often, for metrics."""

    def state(self, now: float) -> State:
        if self.rest_until is not None:
            return "resting"
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def ready_in(self, now: float) -> float:
        """Seconds until a request may go there; 0: now."""
        cooling = self.cool_until - now if self.cool_until > now else 0.0
        if self.rest_until is not None:
            return max(cooling, self.rest_until - now, PROBE_PAUSE_S)
        if self.open_until is None:
            return cooling
        if self.probing:
            return max(cooling, PROBE_PAUSE_S)
        return max(cooling, self.open_until - now, 0.0)

    def begin(self, now: float) -> bool:
        """A request goes there; whether it is the probe."""
        self.in_flight += 1
        self.asked_at = now
        if self.probing or self.state(now) != "half_open":
            return False
        self.probing = True
        return True

    def end(self, verdict: Verdict, reason: str, *, probe: bool, breaker: Breaker, now: float) -> None:
        """The request came back, or was cancelled (`neutral`)."""
        self.in_flight -= 1
        if probe:
            self.probing = False
        if verdict == "neutral":
            return
        if self.open_until is not None:
            # What was sent before it opened, or past it as a last resort, says nothing about now.
            if probe and verdict == "good":
                self.close()
            elif probe:
                self._open(min(self.open_s * 2, breaker.open_cap_s), reason, now)
            return
        self._count(verdict, breaker, now)
        crowded = self.window_total >= breaker.window_requests
        if verdict == "bad" and (
            self.failures >= breaker.failures
            or (crowded and self.window_failed >= breaker.failure_share * self.window_total)
        ):
            self._open(min(breaker.open_s, breaker.open_cap_s), reason, now)

    def cool(self, seconds: float, reason: str, now: float, *, overloaded: bool = False) -> None:
        """No request before this is over; `overloaded`: it said so with a 5xx, and one at a time may still try."""
        self.cool_until = max(self.cool_until, now + seconds)
        self.overloaded = overloaded
        self.why = reason

    def may_try(self, now: float) -> bool:
        """Whether one request may go there although the endpoint is resting or overloaded: the client would get an
        error otherwise, and loses nothing.
        """
        if self.in_flight or (self.open_until is not None and now < self.open_until):
            return False
        return (self.rest_until is not None or self.overloaded) and (self.overloaded or self.cool_until <= now)

    def rest(self, reason: str, now: float) -> None:
        """Our account is refused: no request before a probe is answered. A request that was on its way is no news."""
        if self.rest_until is None or now >= self.rest_until:
            self.rest_s = min(self.rest_s * 2, REST_CAP_S) if self.rest_until is not None else REST_S
            self.rest_until = now + self.rest_s
        self.why = reason

    def wake(self) -> None:
        """It answered."""
        self.rest_until, self.rest_s = None, 0.0
        if self.overloaded:
            self.cool_until, self.overloaded = float("-inf"), False

    def close(self) -> None:
        self.open_until, self.open_s, self.probing = None, 0.0, False
        self.failures = self.window_total = self.window_failed = 0

    def _count(self, verdict: Verdict, breaker: Breaker, now: float) -> None:
        if now - self.window_from >= breaker.window_s:
            self.window_from, self.window_total, self.window_failed = now, 0, 0
        self.window_total += 1
        if verdict == "bad":
            self.window_failed += 1
            self.failures += 1
        else:
            self.failures = 0

    def _open(self, seconds: float, reason: str, now: float) -> None:
        self.open_s, self.open_until, self.why = seconds, now + seconds, reason
        self.opened += 1


class Ticket(msgspec.Struct, frozen=True):
    """One request on its way."""

    circuit: Circuit
    probe: bool


class Health:
    """The circuits of all endpoints that were asked, also across reloads of the configuration."""

    def __init__(self) -> None:
        # An adapter that is registered at another address starts anew.
        self.circuits: dict[tuple[str, str], Circuit] = {}

    def circuit(self, endpoint: Named) -> Circuit:
        key = (endpoint.name, endpoint.base_url)
        found = self.circuits.get(key)
        if found is None:
            found = self.circuits[key] = Circuit()
        return found

    def choose(self, endpoints: Sequence[Named], now: float) -> tuple[tuple[int, ...], float]:
        """Indexes of the available endpoints in the order to try them; if there are none, seconds until one is ready.

        Replicas are grouped at the position of the first of them, least loaded first.
        """
        if len(endpoints) == 1:
            wait_s = self.circuit(endpoints[0]).ready_in(now)
            return ((0,), 0.0) if wait_s <= 0 else ((), wait_s)
        circuits = [self.circuit(endpoint) for endpoint in endpoints]
        waits = [circuit.ready_in(now) for circuit in circuits]
        free = [index for index, wait in enumerate(waits) if wait <= 0]
        if not free:
            return (), min(waits, default=0.0)
        if len(free) > 1 and any(endpoints[index].group is not None for index in free):
            first: dict[str, int] = {}
            for index in free:
                first.setdefault(endpoints[index].group or f"\0{index}", index)

            def rank(index: int) -> tuple[int, int, float]:
                circuit = circuits[index]
                # Among equals the one that has rested longest, so that light traffic is shared too.
                return first[endpoints[index].group or f"\0{index}"], circuit.in_flight, circuit.asked_at

            free.sort(key=rank)
        return tuple(free), 0.0

    def last_resort(self, endpoints: Sequence[Named], now: float) -> tuple[int, ...]:
        """Index of one endpoint to try while none is available; empty if the request has to wait."""
        return next(((index,) for index, one in enumerate(endpoints) if self.circuit(one).may_try(now)), ())

    def why(self, endpoint: Named, now: float) -> str:
        """Why an endpoint cannot be asked now."""
        circuit = self.circuit(endpoint)
        if circuit.rest_until is not None:
            state = "resting"
        else:
            state = "cooling" if circuit.cool_until > now else f"circuit {circuit.state(now).replace('_', '-')}"
        return f"{state} after {circuit.why}"

    def due(self, now: float) -> list[tuple[str, str]]:
        """Name and base URL of the resting endpoints whose probe is due."""
        return [
            key
            for key, circuit in self.circuits.items()
            if circuit.rest_until is not None and now >= circuit.rest_until
        ]

    def probed(self, endpoint: Named, outcome: Outcome, now: float) -> None:
        """What a probe of a resting endpoint came back with: any answer but another refusal of our account wakes it."""
        circuit = self.circuit(endpoint)
        if outcome.kind in ("answered", "rejected") or (outcome.kind == "refused" and outcome.refusal != "account"):
            circuit.wake()
        else:
            circuit.rest(outcome.reason, now)

    def warnings(self, now: float) -> list[str]:
        """A line for each resting endpoint."""
        return [
            f"endpoint {name} is not asked: {circuit.why}; next probe in {max(circuit.rest_until - now, 0):.0f} s"
            for (name, _), circuit in self.circuits.items()
            if circuit.rest_until is not None
        ]

    def begin(self, endpoint: Named, now: float) -> Ticket:
        circuit = self.circuit(endpoint)
        return Ticket(circuit, circuit.begin(now))

    def end(
        self,
        ticket: Ticket,
        outcome: Outcome | None,
        breaker: Breaker,
        now: float,
        *,
        cut: bool = False,
    ) -> None:
        """`outcome` None: the attempt was cancelled. `cut`: the request's own deadline was shorter than the endpoint's
        timeouts, so that a timeout says nothing about the endpoint.
        """
        circuit = ticket.circuit
        if outcome is not None and outcome.refusal == "account":
            circuit.rest(outcome.reason, now)
        if outcome is None:
            circuit.end("neutral", "", probe=ticket.probe, breaker=breaker, now=now)
            return
        if outcome.kind in ("throttled", "failed") and outcome.retry_after_s:
            seconds = min(outcome.retry_after_s, breaker.open_cap_s)
            circuit.cool(seconds, outcome.reason, now, overloaded=outcome.kind == "failed")
        verdict = verdict_on(outcome, cut=cut)
        if verdict == "good" and outcome.kind != "throttled":
            circuit.wake()
        circuit.end(verdict, outcome.reason, probe=ticket.probe, breaker=breaker, now=now)


def verdict_on(outcome: Outcome, *, cut: bool) -> Verdict:
    """What an outcome says about the endpoint: one that answers, refuses or throttles is alive."""
    if outcome.kind == "failed":
        return "neutral" if cut and outcome.reason.startswith("timeout") else "bad"
    # A resting endpoint is left alone until its own probe succeeds: it has no need of the breaker.
    return "neutral" if outcome.refusal == "account" else "good"
