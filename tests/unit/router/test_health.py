"""Circuit breakers, cooling and replicas, with a simulated clock."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from router.health import Health, Ticket, verdict_on
from traffic.retry_and_escalation import Breaker, Outcome

BREAKER = Breaker(failures=3, failure_share=0.5, window_s=30, window_requests=10, open_s=5, open_cap_s=20)
GOOD, BAD = Outcome("answered"), Outcome("failed", "status 503")


class FakeEndpoint(NamedTuple):
    name: str
    base_url: str = "http://127.0.0.1:1/v1"
    group: str | None = None


A, B, C = FakeEndpoint("a"), FakeEndpoint("b"), FakeEndpoint("c")


def ask(health: Health, endpoint: FakeEndpoint, outcome: Outcome | None, now: float, **more: bool | int) -> None:
    health.end(health.begin(endpoint, now), outcome, BREAKER, now, **more)  # type: ignore[arg-type]


def opened(now: float = 0.0) -> Health:
    health = Health()
    for _ in range(3):
        ask(health, A, BAD, now)
    return health


def test_failures_in_a_row_open_the_circuit_and_others_stay_closed() -> None:
    health = Health()
    for outcome in (BAD, BAD, GOOD, BAD, BAD):
        ask(health, A, outcome, 0.0)
    assert health.choose((A, B), 0.0) == ((0, 1), 0.0)
    ask(health, A, BAD, 0.0)
    assert health.choose((A, B), 0.0) == ((1,), 0.0)
    assert health.why(A, 0.0) == "circuit open after status 503"


def test_a_large_share_of_failures_within_one_window_opens_the_circuit() -> None:
    health = Health()
    for number in range(9):
        ask(health, A, BAD if number % 2 else GOOD, 0.0)
    assert health.choose((A,), 0.0) == ((0,), 0.0)
    ask(health, A, BAD, 31.0)
    assert health.choose((A,), 31.0) == ((0,), 0.0)
    for number in range(9):
        ask(health, A, GOOD if number % 2 else BAD, 32.0)
    assert health.choose((A,), 32.0) == ((), 5.0)


def test_one_probe_closes_the_circuit_or_opens_it_for_twice_as_long() -> None:
    health = opened()
    assert health.choose((A,), 4.0) == ((), 1.0)
    assert health.choose((A,), 5.0) == ((0,), 0.0)
    probe = health.begin(A, 5.0)
    assert health.choose((A,), 5.0) == ((), 0.1)
    health.end(probe, BAD, BREAKER, 6.0)
    assert health.choose((A,), 6.0) == ((), 10.0)
    ask(health, A, GOOD, 16.0)
    assert health.circuit(A).state(16.0) == "closed"


def test_a_cancelled_probe_allows_another_one() -> None:
    health = opened()
    ask(health, A, None, 5.0)
    assert health.choose((A,), 5.0) == ((0,), 0.0)


def test_a_request_sent_before_the_circuit_opened_does_not_close_it() -> None:
    health = Health()
    early = health.begin(A, 0.0)
    for _ in range(3):
        ask(health, A, BAD, 1.0)
    health.end(early, GOOD, BREAKER, 2.0)
    assert health.circuit(A).state(2.0) == "open"


def test_retry_after_cools_an_endpoint_for_all_requests_and_no_longer_than_the_cap() -> None:
    health = Health()
    ask(health, A, Outcome("throttled", "status 429", 3.0), 0.0)
    assert health.choose((A, B), 0.0) == ((1,), 0.0)
    assert health.choose((A,), 1.0) == ((), 2.0)
    assert health.why(A, 1.0) == "cooling after status 429"
    assert health.choose((A,), 3.0) == ((0,), 0.0)
    ask(health, A, Outcome("throttled", "status 429", 86_400.0), 3.0)
    assert health.choose((A,), 3.0) == ((), 20.0)
    assert health.circuit(A).state(3.0) == "closed"


def test_replicas_are_asked_by_load_and_groups_keep_their_order() -> None:
    health = Health()
    endpoints = (
        FakeEndpoint("lone"),
        FakeEndpoint("r1", group="r"),
        FakeEndpoint("r2", group="r"),
        FakeEndpoint("last"),
    )
    health.begin(endpoints[1], 0.0)
    assert health.choose(endpoints, 1.0) == ((0, 2, 1, 3), 0.0)
    health.begin(endpoints[2], 1.0)
    # As many in flight: the one that has rested longest.
    assert health.choose(endpoints, 2.0) == ((0, 1, 2, 3), 0.0)


def test_light_traffic_is_shared_between_replicas() -> None:
    health, endpoints = Health(), (FakeEndpoint("r1", group="r"), FakeEndpoint("r2", group="r"))
    chosen = []
    for now in range(4):
        index = health.choose(endpoints, now)[0][0]
        ask(health, endpoints[index], GOOD, now)
        chosen.append(index)
    assert chosen == [0, 1, 0, 1]


@pytest.mark.parametrize(
    "outcome, cut, verdict",
    [
        (GOOD, False, "good"),
        (Outcome("rejected", "check label"), False, "good"),
        (Outcome("refused", "status 400"), False, "good"),
        (Outcome("refused", "status 401", refusal="account"), False, "neutral"),
        (Outcome("throttled", "status 429"), False, "good"),
        (BAD, True, "bad"),
        (Outcome("failed", "timeout: no answer within 2 s"), False, "bad"),
        (Outcome("failed", "timeout: no answer within 0.1 s"), True, "neutral"),
    ],
)
def test_an_endpoint_is_blamed_for_its_own_failures_only(outcome: Outcome, cut: bool, verdict: str) -> None:
    assert verdict_on(outcome, cut=cut) == verdict


REFUSED = Outcome("refused", "status 401: account", refusal="account")


def test_a_refused_account_closes_the_endpoint_until_a_probe_succeeds() -> None:
    health = Health()
    ask(health, A, REFUSED, 0.0)
    for now in (0.1, 29.0, 31.0, 1000.0):
        assert health.choose([A], now)[0] == ()
        assert health.choose([A, B], now)[0] == (1,)
    assert (health.due(29.0), health.due(31.0)) == ([], [(A.name, A.base_url)])
    health.probed(A, REFUSED, 31.0)
    assert health.due(90.0) == []
    assert health.warnings(90.0)
    health.probed(A, GOOD, 95.0)
    assert health.choose([A], 95.0)[0] == (0,)
    assert health.warnings(95.0) == []


def test_requests_in_flight_when_the_account_was_refused_do_not_extend_the_pause() -> None:
    health = Health()
    tickets = [health.begin(A, 0.0) for _ in range(5)]
    for ticket in tickets:
        health.end(ticket, REFUSED, BREAKER, 1.0)
    assert health.due(32.0) == [(A.name, A.base_url)]


@pytest.mark.parametrize("outcome", [Outcome("failed", "status 503", 7.0), Outcome("throttled", "status 429", 7.0)])
def test_a_retry_after_is_honoured_whatever_the_status(outcome: Outcome) -> None:
    health = Health()
    ask(health, A, outcome, 0.0)
    assert health.choose([A], 6.9)[0] == ()
    assert health.choose([A], 7.1)[0] == (0,)


class Circuits(RuleBasedStateMachine):
    """Invariants of a circuit breaker under any order of requests, outcomes and time."""

    def __init__(self) -> None:
        super().__init__()
        self.health = Health()
        self.now = 0.0
        self.tickets: list[Ticket] = []

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.health.choose((A,), self.now)[0])
    @rule()
    def a_request_goes_out(self) -> None:
        self.tickets.append(self.health.begin(A, self.now))

    @precondition(lambda self: self.tickets)
    @rule(
        pick=st.integers(0, 99),
        outcome=st.sampled_from([GOOD, BAD, BAD, BAD, None, Outcome("throttled", "status 429", 2.0)]),
    )
    def one_comes_back(self, pick: int, outcome: Outcome | None) -> None:
        ticket = self.tickets.pop(pick % len(self.tickets))
        before = self.health.circuit(A).state(self.now)
        self.health.end(ticket, outcome, BREAKER, self.now)
        after = self.health.circuit(A).state(self.now)
        if before != "closed" and after == "closed":
            assert ticket.probe
            assert outcome is not None
            assert outcome.kind != "failed"

    @invariant()
    def no_more_than_one_probe(self) -> None:
        circuit = self.health.circuit(A)
        assert sum(ticket.probe for ticket in self.tickets) == circuit.probing <= 1
        assert circuit.in_flight == len(self.tickets)

    @invariant()
    def it_is_always_known_when_to_come_back(self) -> None:
        places, wait_s = self.health.choose((A,), self.now)
        assert (wait_s == 0) == bool(places)
        assert wait_s <= BREAKER.open_cap_s + 1e-9
        if not places and not self.health.circuit(A).probing:
            assert self.health.choose((A,), self.now + wait_s * (1 + 1e-9))[0]


TestCircuits: Callable[[], None] = Circuits.TestCase
TestCircuits.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)  # type: ignore[attr-defined]
