"""Which endpoints can be asked now: a circuit breaker per endpoint, pauses that a 429 asked for, and replicas by load.

Pure: the caller says what time it is. One object per process, because all requests learn from each other's failures:

    free, wait_s = health.choose(rung, breaker, now)
    ticket = health.begin(endpoint, now)
    ...
    health.end(ticket, outcome, breaker, now)

A circuit is closed (all requests pass), open (none) or half-open: one request, the probe, decides which of the two
it becomes. An endpoint that said 429 with a Retry-After is cooling: no other request goes there until then.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec

from traffic.escalation import Breaker, Outcome

PROBE_PAUSE_S = 0.1
"""While a probe is under way it is not known when the endpoint is ready: ask again after this."""

State = Literal["closed", "half_open", "open"]
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
    why: str = ""
    """What it said when it was opened or cooled."""
    opened: int = 0
    """How often, for metrics."""

    def state(self, now: float) -> State:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def ready_in(self, now: float) -> float:
        """Seconds until a request may go there; 0: now."""
        cooling = max(self.cool_until - now, 0.0)
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

    def cool(self, seconds: float, reason: str, now: float) -> None:
        """No request before this is over."""
        self.cool_until = max(self.cool_until, now + seconds)
        self.why = reason

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

    def choose(self, rung: Sequence[Named], now: float) -> tuple[tuple[int, ...], float]:
        """Places of the endpoints that can be asked, in the order in which to try them, and where there is none, in how
        many seconds the first is ready. Replicas stand where the first of them stands, least loaded first.
        """
        circuits = [self.circuit(endpoint) for endpoint in rung]
        waits = [circuit.ready_in(now) for circuit in circuits]
        free = [place for place, wait in enumerate(waits) if wait <= 0]
        if not free:
            return (), min(waits, default=0.0)
        if len(free) > 1 and any(rung[place].group is not None for place in free):
            first: dict[str, int] = {}
            for place in free:
                first.setdefault(rung[place].group or f"\0{place}", place)

            def rank(place: int) -> tuple[int, int, float]:
                circuit = circuits[place]
                # Among equals the one that has rested longest, so that light traffic is shared too.
                return first[rung[place].group or f"\0{place}"], circuit.in_flight, circuit.asked_at

            free.sort(key=rank)
        return tuple(free), 0.0

    def why(self, endpoint: Named, now: float) -> str:
        """Why an endpoint cannot be asked now."""
        circuit = self.circuit(endpoint)
        state = "cooling" if circuit.cool_until > now else f"circuit {circuit.state(now).replace('_', '-')}"
        return f"{state} after {circuit.why}"

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
        status: int = 0,
        cut: bool = False,
    ) -> None:
        """`outcome` None: the attempt was cancelled. `cut`: the request's own deadline was shorter than the endpoint's
        timeouts, so that a timeout says nothing about the endpoint.
        """
        circuit = ticket.circuit
        if outcome is None:
            circuit.end("neutral", "", probe=ticket.probe, breaker=breaker, now=now)
            return
        if outcome.kind == "throttled" and outcome.retry_after_s:
            circuit.cool(min(outcome.retry_after_s, breaker.open_cap_s), outcome.reason, now)
        verdict = verdict_on(outcome, status, cut=cut)
        circuit.end(verdict, outcome.reason, probe=ticket.probe, breaker=breaker, now=now)


def verdict_on(outcome: Outcome, status: int, *, cut: bool) -> Verdict:
    """What an outcome says about the endpoint: one that answers, refuses or throttles is alive."""
    if outcome.kind == "failed":
        return "neutral" if cut and outcome.reason.startswith("timeout") else "bad"
    # 401 is about our key, which no request can do without; any other 4xx may be about the request.
    return "bad" if status == 401 else "good"
