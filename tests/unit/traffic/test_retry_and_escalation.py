"""The state machine of retries and escalation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.retry_and_escalation import (
    Asking,
    Confirm,
    Escalate,
    GiveUp,
    Keep,
    Limits,
    Outcome,
    Retry,
    ServeUnsure,
    start,
    stated_pause_s,
)

LIMITS = Limits(max_retries=2, backoff_s=0.25, backoff_cap_s=4.0, deadline_s=30.0)
FAILED = Outcome("failed", "status 503")
REFUSED = Outcome("refused", "status 400")
Step = Keep | Confirm | Retry | Escalate | ServeUnsure | GiveUp
REJECTED = Outcome("rejected", "label: 'x'")


def follow(fallback_chain: tuple[int, ...], *outcomes: Outcome, elapsed_s: float = 0.0) -> Step:
    """The last transition after these outcomes; all others must lead to another attempt."""
    state = start(fallback_chain, LIMITS)
    step: Step = Keep()
    for number, outcome in enumerate(outcomes, start=1):
        assert state.attempt == number
        step = state.next(outcome, elapsed_s, 0.5)
        if isinstance(step, Retry | Escalate):
            state = step.state
    return step


def where(step: Step) -> tuple[str, int, int]:
    assert isinstance(step, Retry | Escalate)
    return type(step).__name__, step.state.level, step.state.index


def test_a_good_answer_is_kept() -> None:
    assert follow((1, 1), Outcome("answered")) == Keep()


@pytest.mark.parametrize("outcome", [FAILED, REFUSED, REJECTED, Outcome("throttled", "status 429", 1.0)])
def test_every_failure_of_the_small_model_escalates_without_a_pause(outcome: Outcome) -> None:
    step = follow((1, 1), outcome)
    assert where(step) == ("Escalate", 1, 0)
    assert isinstance(step, Escalate)
    assert (step.reason, step.after_s) == (outcome.reason, 0.0)


def test_a_second_endpoint_of_the_tier_is_asked_before_the_next_tier() -> None:
    assert where(follow((2, 1), FAILED)) == ("Retry", 0, 1)
    assert where(follow((2, 1), FAILED, FAILED)) == ("Escalate", 1, 0)


def test_an_endpoint_that_refused_the_request_is_not_asked_again() -> None:
    too_long = Outcome("refused", "status 400", refusal="context_length")
    assert where(follow((2,), too_long, FAILED)) == ("Retry", 0, 1)
    learned = Outcome("refused", "status 400", refusal="unsupported", learned=True)
    assert where(follow((1,), learned, FAILED)) == ("Retry", 0, 0)


def test_a_rejected_answer_skips_the_other_endpoints_of_its_tier() -> None:
    assert where(follow((2, 1), REJECTED)) == ("Escalate", 1, 0)


def test_retries_at_another_endpoint_have_no_pause_and_repetitions_have_one() -> None:
    first = follow((2,), FAILED)
    again = follow((2,), FAILED, FAILED)
    assert isinstance(first, Retry)
    assert isinstance(again, Retry)
    assert (where(first), first.after_s) == (("Retry", 0, 1), 0.0)
    assert (where(again), again.after_s) == (("Retry", 0, 0), 0.25)
    assert follow((2,), FAILED, FAILED, FAILED) == GiveUp("failed", "status 503")


def test_the_same_endpoint_is_never_asked_again_after_a_4xx() -> None:
    assert follow((2,), REFUSED) == GiveUp("refused", "status 400")
    assert follow((1, 1), FAILED, REFUSED) == GiveUp("refused", "status 400")


def test_retry_after_is_waited_for_if_no_other_endpoint_is_available() -> None:
    for outcome in (Outcome("throttled", "status 429", 1.5), Outcome("failed", "status 503", 1.5)):
        step = follow((1,), outcome)
        assert isinstance(step, Retry)
        assert step.after_s == 1.5


def test_a_long_retry_after_is_returned_to_the_client() -> None:
    assert follow((1,), Outcome("throttled", "status 429", 7.0)) == GiveUp("throttled", "status 429", 7.0)
    assert follow((1,), Outcome("failed", "status 529", 60.0)) == GiveUp("failed", "status 529", 60.0)


@pytest.mark.parametrize(
    "headers, pause",
    [
        ({}, None),
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500", "retry-after": "7"}, 1.5),
        ({"retry-after": "Sat, 01 Nov 2025 00:00:00 GMT"}, 0),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "inf"}, 86_400),
        ({"retry-after": "nan"}, 86_400),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "1700000000"}, 0),
        ({"retry-after": "4102444800"}, 86_400),
    ],
)
def test_a_pause_is_stated_in_seconds_or_as_a_date(headers: dict[str, str], pause: float | None) -> None:
    assert stated_pause_s(headers) == pause


def test_another_endpoint_is_asked_instead_of_waiting() -> None:
    throttled = Outcome("throttled", "status 429", 7.0)
    assert where(follow((2,), throttled)) == ("Retry", 0, 1)
    step = follow((2,), throttled, FAILED)
    assert isinstance(step, Retry)
    assert (step.state.index, step.after_s) == (1, 0.25)


def test_a_pause_beyond_the_deadline_is_not_started() -> None:
    step = follow((1,), Outcome("throttled", "status 429", 1.5), elapsed_s=29.0)
    assert step == GiveUp("throttled", "status 429; no time left to wait", 1.5)


def test_no_attempt_begins_after_the_deadline() -> None:
    assert follow((1, 1), FAILED, elapsed_s=30.0) == GiveUp("deadline", "status 503; no time left")


def test_a_late_refusal_is_returned_as_a_refusal() -> None:
    assert follow((1,), REFUSED, elapsed_s=30.0) == GiveUp("refused", "status 400")


@pytest.mark.parametrize("fallback_chain", [(1, 1), (2,)])
def test_no_attempt_begins_just_before_the_deadline(fallback_chain: tuple[int, ...]) -> None:
    step = follow(fallback_chain, FAILED, elapsed_s=29.999)
    assert isinstance(step, GiveUp)
    assert step.kind == "deadline"


def test_a_partly_forwarded_answer_is_never_replaced() -> None:
    assert follow((2, 2), Outcome("failed", "cut", forwarded=True)) == GiveUp("failed", "cut")


@pytest.mark.parametrize("fallback_chain", [(), (0,), (1, 0)])
def test_a_fallback_chain_without_an_endpoint_is_refused(fallback_chain: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="fallback_chain"):
        start(fallback_chain, LIMITS)


TOO_LONG = Outcome("refused", "status 400: context_length", refusal="context_length")
FILTERED = Outcome("refused", "status 400: content_policy", refusal="content_policy")
ANSWERED = Outcome("answered")
DISAGREED = Outcome("rejected", "consistency: 'b' the second time")


def test_a_request_that_is_too_long_goes_to_an_endpoint_with_a_larger_context() -> None:
    state = start((4,), LIMITS, contexts=[(8_000, 4_000, None, 32_000)])
    step = state.next(TOO_LONG, 0.0, 0.5)
    assert where(step) == ("Retry", 0, 2)
    assert isinstance(step, Retry)
    assert step.after_s == 0.0


def test_overflow_levels_are_used_only_for_requests_that_are_too_long() -> None:
    state = start((1, 1), LIMITS, contexts=[(8_000,), (128_000,)], overflow=1)
    assert where(state.next(TOO_LONG, 0.0, 0.5)) == ("Retry", 1, 0)
    assert where(state.next(FAILED, 0.0, 0.5)) == ("Retry", 0, 0)
    assert state.next(FILTERED, 0.0, 0.5) == GiveUp("refused", FILTERED.reason)
    small = start((1, 1), LIMITS, contexts=[(8_000,), (8_000,)], overflow=1)
    assert small.next(TOO_LONG, 0.0, 0.5) == GiveUp("refused", TOO_LONG.reason)


def test_a_filtered_request_is_sent_to_one_other_model() -> None:
    step = start((2,), LIMITS).next(FILTERED, 0.0, 0.5)
    assert where(step) == ("Retry", 0, 1)
    assert isinstance(step, Retry)
    assert step.state.next(FILTERED, 0.0, 0.5) == GiveUp("refused", FILTERED.reason)


def test_refusals_that_try_another_endpoint_count_as_retries() -> None:
    state = start((4,), Limits(max_retries=1))
    step = state.next(FILTERED, 0.0, 0.5)
    assert isinstance(step, Retry)
    assert step.state.next(FILTERED, 0.0, 0.5) == GiveUp("refused", FILTERED.reason)


def test_a_high_stakes_answer_must_be_confirmed() -> None:
    step = start((1, 1), LIMITS, confirm=True).next(ANSWERED, 0.0, 0.5)
    assert isinstance(step, Confirm)
    assert (step.state.level, step.state.index, step.state.attempt) == (0, 0, 2)
    assert step.state.next(ANSWERED, 0.0, 0.5) == Keep()
    for outcome in (DISAGREED, FAILED, REFUSED):
        assert where(step.state.next(outcome, 0.0, 0.5)) == ("Escalate", 1, 0)


def test_a_disagreement_without_a_further_tier_is_an_error() -> None:
    step = start((1,), LIMITS, confirm=True).next(ANSWERED, 0.0, 0.5)
    assert isinstance(step, Confirm)
    assert step.state.next(FAILED, 0.0, 0.5) == GiveUp("rejected", "status 503")


def test_answers_of_the_higher_tier_need_no_confirmation() -> None:
    step = start((1, 1), LIMITS, confirm=True).next(FAILED, 0.0, 0.5)
    assert isinstance(step, Escalate)
    assert step.state.next(ANSWERED, 0.0, 0.5) == Keep()


def test_a_fallback_chain_of_overflow_levels_alone_is_refused() -> None:
    with pytest.raises(ValueError, match="overflow"):
        start((1,), LIMITS, overflow=1)


outcomes = st.builds(
    Outcome,
    st.sampled_from(["answered", "rejected", "failed", "refused", "throttled"]),
    st.just("why"),
    st.none() | st.floats(0, 60),
    st.booleans(),
    st.sampled_from([None, "context_length", "content_policy"]),
).map(lambda o: o if o.kind == "refused" else Outcome(o.kind, o.reason, o.retry_after_s, o.forwarded))
limits = st.builds(Limits, st.integers(0, 2), st.floats(0, 2), st.floats(0, 8), st.floats(0.1, 60))
ladders = st.lists(
    st.lists(st.none() | st.sampled_from([4_000, 8_000, 128_000]), min_size=1, max_size=4), min_size=1, max_size=3
)


@given(
    ladders,
    st.integers(0, 2),
    st.booleans(),
    limits,
    st.lists(st.tuples(outcomes, st.floats(0, 20), st.floats(0, 1, exclude_max=True)), min_size=8, max_size=8),
)
def test_attempts_are_bounded_by_number_and_deadline(
    contexts: list[list[int | None]],
    overflow: int,
    confirm: bool,
    limits: Limits,
    script: list[tuple[Outcome, float, float]],
) -> None:
    overflow = min(overflow, len(contexts) - 1)
    state = start([len(level) for level in contexts], limits, contexts=contexts, overflow=overflow, confirm=confirm)
    elapsed_s, asked, escalations, confirmations = 0.0, 0, 0, 0
    refused: set[tuple[int, int]] = set()
    step: Step
    for outcome, takes_s, jitter in script:
        assert elapsed_s < limits.deadline_s
        assert (state.level, state.index) not in refused
        asked += 1
        elapsed_s += takes_s
        if outcome.kind == "refused":
            refused.add((state.level, state.index))
        step = state.next(outcome, elapsed_s, jitter)
        if isinstance(step, Keep | GiveUp):
            break
        assert not outcome.forwarded
        assert step.state.attempt == state.attempt + 1
        assert_legal(state, outcome, step)
        escalations += isinstance(step, Escalate)
        confirmations += isinstance(step, Confirm)
        elapsed_s += 0.0 if isinstance(step, Confirm) else step.after_s
        state = step.state
    else:
        pytest.fail("it did not end")
    assert escalations <= 1
    assert confirmations <= confirm
    assert asked <= 1 + limits.max_retries + escalations + confirmations
    assert not isinstance(step, Keep) or outcome.kind == "answered"


def assert_legal(before: Asking, outcome: Outcome, step: Confirm | Retry | Escalate) -> None:
    after, regular = step.state, len(before.fallback_chain) - before.overflow
    assert after.index < after.fallback_chain[after.level]
    if isinstance(step, Confirm):
        assert (before.level, before.index, outcome.kind) == (0, 0, "answered")
        assert (after.level, after.index) == (0, 0)
        return
    assert step.after_s >= 0
    if isinstance(step, Escalate):
        assert after.level == before.level + 1 < regular
    elif after.level != before.level:
        assert after.level >= regular
        assert outcome.refusal == "context_length"
    if outcome.refusal == "context_length" and before.contexts:
        failed, chosen = (before.contexts[s.level][s.index] for s in (before, after))
        assert failed is None or chosen is None or chosen > failed


UNSURE = Outcome("rejected", "confidence p 0.4 < 0.9", unsure=True)
ACCOUNT = Outcome("refused", "status 402: account", refusal="account")


def test_an_account_error_moves_to_the_next_endpoint_and_then_to_the_next_tier() -> None:
    assert where(follow((2, 1), ACCOUNT)) == ("Retry", 0, 1)
    assert where(follow((1, 1), ACCOUNT)) == ("Escalate", 1, 0)
    assert follow((1,), ACCOUNT) == GiveUp("refused", "status 402: account")


def test_a_low_confidence_answer_is_served_if_tier_2_fails() -> None:
    state = start((1, 1), LIMITS, serve_unsure=True)
    step = state.next(UNSURE, 0.0, 0.5)
    assert isinstance(step, Escalate)
    assert step.state.next(ANSWERED, 0.0, 0.5) == Keep()
    assert step.state.next(REFUSED, 0.0, 0.5) == ServeUnsure("status 400")
    assert isinstance(step.state.next(FAILED, 30.0, 0.5), ServeUnsure)
    assert isinstance(step.state.next(Outcome("failed", "cut", forwarded=True), 0.0, 0.5), GiveUp)


@pytest.mark.parametrize("outcome", [REJECTED, FAILED])
def test_an_answer_that_fails_its_checks_is_never_served(outcome: Outcome) -> None:
    step = start((1, 1), LIMITS, serve_unsure=True).next(outcome, 0.0, 0.5)
    assert isinstance(step, Escalate)
    assert isinstance(step.state.next(REFUSED, 0.0, 0.5), GiveUp)


def test_a_low_confidence_answer_is_not_served_if_the_call_site_requires_an_error() -> None:
    step = start((1, 1), LIMITS).next(UNSURE, 0.0, 0.5)
    assert isinstance(step, Escalate)
    assert isinstance(step.state.next(REFUSED, 0.0, 0.5), GiveUp)
