"""Availability of endpoints: a circuit breaker per endpoint, pauses requested by a 429, and replicas by load.

Pure: the caller passes the time. One object per process, since all requests learn from each other's failures:

    free, wait_s = health.choose(endpoints, breaker, now)
    ticket = health.begin(endpoint, now)
    ...
    health.end(ticket, outcome, breaker, now)

A circuit is closed (all requests pass), open (none pass) or half-open (one request, the probe, decides which of the two
it becomes). An endpoint that answered with Retry-After is cooling: no request goes there until then. One that refused
our key, credit or model is resting: no client's request goes there until it answers the router's own probe.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from traffic.retry_and_escalation import Breaker, Outcome

PROBE_PAUSE_S = 0.1
"""Wait while a probe is in progress, since its end is not known."""

REST_S = 30.0
"""Time from a refusal of our account to the first probe; doubled by each failed probe."""
REST_CAP_S = 300.0

State = Literal["closed", "half_open", "open", "resting"]
Verdict = Literal["good", "bad", "neutral"]


class EndpointKey(Protocol):
    """The fields of `traffic.tiers.Endpoint` that are used here."""

    @property
    def name(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def group(self) -> str | None: ...


class Circuit(msgspec.Struct):
    """State of one endpoint. Times are in seconds of the caller's monotonic clock."""

    in_flight: int = 0
    last_request_at: float = float("-inf")
    """Time of the last request."""
    failures: int = 0
    """Consecutive failures."""
    window_from: float = float("-inf")
    window_total: int = 0
    window_failed: int = 0
    open_until: float | None = None
    """None: closed."""
    open_s: float = 0.0
    """Duration of the last opening, doubled by consecutive ones."""
    probing: bool = False
    cool_until: float = float("-inf")
    overloaded: bool = False
    """It is cooling after a 5xx rather than a 429."""
    rest_until: float | None = None
    """Time of the next probe of a resting endpoint; None: not resting."""
    rest_s: float = 0.0
    why: str = ""
    """Reason of the last opening, cooling or resting."""
    opened: int = 0
    """Number of openings, for metrics."""

    def state(self, now: float) -> State:
        if self.rest_until is not None:
            return "resting"
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def ready_in(self, now: float) -> float:
        """Seconds until a request may be sent; 0: now."""
        cooling = self.cool_until - now if self.cool_until > now else 0.0
        if self.rest_until is not None:
            return max(cooling, self.rest_until - now, PROBE_PAUSE_S)
        if self.open_until is None:
            return cooling
        if self.probing:
            return max(cooling, PROBE_PAUSE_S)
        return max(cooling, self.open_until - now, 0.0)

    def begin(self, now: float) -> bool:
        """Count a request that is being sent; returns whether it is the probe."""
        self.in_flight += 1
        self.last_request_at = now
        if self.open_until is None or self.probing or self.state(now) != "half_open":
            return False
        self.probing = True
        return True

    def end(self, verdict: Verdict, reason: str, *, probe: bool, breaker: Breaker, now: float) -> None:
        """Update the state after a request ended, or was cancelled (`neutral`)."""
        self.in_flight -= 1
        if probe:
            self.probing = False
        if verdict == "neutral":
            return
        if self.open_until is not None:
            # Requests that were sent before it opened, or as a last resort, do not change the state.
            if probe and verdict == "good":
                self.close()
            elif probe:
                self._open(min(self.open_s * 2, breaker.open_cap_s), reason, now)
            return
        if now - self.window_from >= breaker.window_s:
            self.window_from, self.window_total, self.window_failed = now, 0, 0
        self.window_total += 1
        if verdict == "good":
            self.failures = 0
            return
        self.window_failed += 1
        self.failures += 1
        crowded = self.window_total >= breaker.window_requests
        if self.failures >= breaker.failures or (
            crowded and self.window_failed >= breaker.failure_share * self.window_total
        ):
            self._open(min(breaker.open_s, breaker.open_cap_s), reason, now)

    def cool(self, seconds: float, reason: str, now: float, *, overloaded: bool = False) -> None:
        """Send nothing for this time; `overloaded`: requested by a 5xx, so one request at a time may still try."""
        self.cool_until = max(self.cool_until, now + seconds)
        self.overloaded = overloaded
        self.why = reason

    def may_try(self, now: float) -> bool:
        """Whether one request may be sent although it is resting or overloaded; else the client would get an error."""
        if self.in_flight or (self.open_until is not None and now < self.open_until):
            return False
        return (self.rest_until is not None or self.overloaded) and (self.overloaded or self.cool_until <= now)

    def rest(self, reason: str, now: float) -> None:
        """Our account was refused: send nothing until a probe is answered. Failed probes double the wait."""
        if self.rest_until is None or now >= self.rest_until:
            self.rest_s = min(self.rest_s * 2, REST_CAP_S) if self.rest_until is not None else REST_S
            self.rest_until = now + self.rest_s
        self.why = reason

    def wake(self) -> None:
        """End resting, after an answer."""
        self.rest_until, self.rest_s = None, 0.0
        if self.overloaded:
            self.cool_until, self.overloaded = float("-inf"), False

    def close(self) -> None:
        self.open_until, self.open_s, self.probing = None, 0.0, False
        self.failures = self.window_total = self.window_failed = 0

    def _open(self, seconds: float, reason: str, now: float) -> None:
        self.open_s, self.open_until, self.why = seconds, now + seconds, reason
        self.opened += 1


class Ticket(msgspec.Struct, frozen=True):
    """One request in progress."""

    circuit: Circuit
    probe: bool


class Health:
    """The circuits of all endpoints, kept across reloads of the configuration."""

    def __init__(self) -> None:
        # An adapter that is registered at another address gets a new circuit.
        self.circuits: dict[tuple[str, str], Circuit] = {}

    def circuit(self, endpoint: EndpointKey) -> Circuit:
        key = (endpoint.name, endpoint.base_url)
        state = self.circuits.get(key)
        if state is None:
            state = self.circuits[key] = Circuit()
        return state

    def ready_in(self, endpoint: EndpointKey, now: float) -> float:
        """Seconds until the endpoint is available; 0: now."""
        return self.circuit(endpoint).ready_in(now)

    def choose(self, endpoints: Sequence[EndpointKey], now: float) -> tuple[tuple[int, ...], float]:
        """Indexes of the available endpoints in the order to try them; if there are none, seconds until one is ready.

        Replicas are grouped at the position of the first of them, least loaded first.
        """
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
                # Ties go to the one that was asked least recently, so that light traffic is balanced too.
                return first[endpoints[index].group or f"\0{index}"], circuit.in_flight, circuit.last_request_at

            free.sort(key=rank)
        return tuple(free), 0.0

    def last_resort(self, endpoints: Sequence[EndpointKey], now: float) -> tuple[int, ...]:
        """Index of one endpoint to try while none is available; empty if the request has to wait."""
        return next(((index,) for index, endpoint in enumerate(endpoints) if self.circuit(endpoint).may_try(now)), ())

    def why(self, endpoint: EndpointKey, now: float) -> str:
        """Reason why an endpoint is not available."""
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

    def probed(self, endpoint: EndpointKey, outcome: Outcome, now: float) -> None:
        """Update a resting endpoint after a probe: any outcome except another refusal of our account wakes it."""
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

    def begin(self, endpoint: EndpointKey, now: float) -> Ticket:
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
        """`outcome` None: the attempt was cancelled. `cut`: the request's deadline was shorter than the endpoint's
        timeouts, so a timeout does not count against the endpoint.
        """
        circuit = ticket.circuit
        if outcome is None:
            circuit.end("neutral", "", probe=ticket.probe, breaker=breaker, now=now)
            return
        if outcome.refusal == "account":
            circuit.rest(outcome.reason, now)
        if outcome.kind in ("throttled", "failed") and outcome.retry_after_s:
            seconds = min(outcome.retry_after_s, breaker.open_cap_s)
            circuit.cool(seconds, outcome.reason, now, overloaded=outcome.kind == "failed")
        verdict = verdict_on(outcome, cut=cut)
        if (circuit.rest_until is not None or circuit.overloaded) and verdict == "good" and outcome.kind != "throttled":
            circuit.wake()
        circuit.end(verdict, outcome.reason, probe=ticket.probe, breaker=breaker, now=now)


def verdict_on(outcome: Outcome, *, cut: bool) -> Verdict:
    """The endpoint's health from an outcome: one that answers, refuses or throttles is alive."""
    if outcome.kind == "failed":
        return "neutral" if cut and outcome.reason.startswith("timeout") else "bad"
    # A resting endpoint is not asked until its probe succeeds, so the breaker does not apply.
    return "neutral" if outcome.refusal == "account" else "good"
