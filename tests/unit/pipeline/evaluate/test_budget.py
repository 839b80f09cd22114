"""Cost estimates and the budget limit."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.answers import Answer
from pipeline.evaluate.budget import Budget, Estimate, Meter, total_line
from traffic.errors import BudgetReached
from traffic.prices import Price
from traffic.record import Usage

PRICE = Price(input_mtok_usd=1.0, output_mtok_usd=10.0, cache_write_mtok_usd=1.25, source="test")
BODY = {"messages": [{"role": "user", "content": "äöü " * 10}], "max_completion_tokens": 50}

REQUESTS = st.lists(st.tuples(st.floats(0, 2), st.floats(0, 1)), max_size=40)


@given(REQUESTS, st.floats(0, 10), st.integers(1, 8))
def test_the_budget_is_never_exceeded_in_any_order_of_requests(
    requests: list[tuple[float, float]], limit: float, width: int
) -> None:
    """Each request may cost up to `most` and costs a share of it; up to `width` are in flight."""
    budget = Budget(limit)
    in_flight: list[tuple[float, float]] = []
    for most, share in requests:
        if len(in_flight) == width:
            reserved, paid = in_flight.pop(0)
            budget.settle(reserved, paid)
        if budget.reserve(most):
            in_flight.append((most, share * most))
        assert budget.spent_usd + sum(most for most, _ in in_flight) <= limit + 1e-9
    for reserved, paid in in_flight:
        budget.settle(reserved, paid)
    assert budget.spent_usd <= limit + 1e-9


def test_a_limit_that_is_no_number_allows_nothing() -> None:
    assert not Budget(float("nan")).reserve(0.01)


def test_without_a_limit_all_costs_are_counted() -> None:
    budget = Budget()
    assert budget.reserve(1e9)
    budget.settle(1e9, 3.0)
    assert budget.spent_usd == 3.0


def test_the_maximum_cost_assumes_a_token_per_byte_and_the_full_output_cap() -> None:
    most = Meter(PRICE, Budget()).most_usd(BODY)
    size = len(msgspec.json.encode(BODY))
    assert most >= (size * 1.25 + 50 * 10) / 1e6
    assert Meter(PRICE, Budget(), share=0.5).most_usd(BODY) == pytest.approx(most / 2)


@given(st.integers(0, 10_000), st.integers(0, 50))
def test_the_actual_cost_never_exceeds_the_maximum(tokens: int, output: int) -> None:
    body = {"messages": [{"role": "user", "content": "x" * tokens}], "max_tokens": 50}
    meter = Meter(PRICE, Budget())
    answer = Answer(record_id="r", text="y", usage=Usage(input_uncached=tokens, output=output))
    assert meter.paid_usd(answer, 0.0) <= meter.most_usd(body)


def test_a_refused_request_is_free_and_one_of_unknown_outcome_costs_the_maximum() -> None:
    meter = Meter(PRICE, Budget(1.0))
    assert meter.paid_usd(Answer(record_id="r", error="429", refused=True), 0.25) == 0
    assert meter.paid_usd(Answer(record_id="r", error="no answer within 5 s"), 0.25) == 0.25
    meter.budget.reserve(0.25)
    meter.settle(0.25, None)
    assert meter.budget.spent_usd == 0.25


def test_the_expected_cost_uses_logged_tokens_or_else_characters() -> None:
    meter = Meter(PRICE, Budget())
    assert meter.expected_usd(BODY, 100, 5) == pytest.approx((100 + 50) / 1e6)
    assert meter.expected_usd(BODY, None, 5) == pytest.approx((10 + 50) / 1e6)


def estimate(**changes: object) -> Estimate:
    fields = {"candidate": "gpt", "requests": 180, "stored": 20, "usd": 0.0123, "most_usd": 0.2}
    return Estimate(**(fields | changes))  # type: ignore[arg-type]


def test_estimates_list_stored_answers_and_unknown_prices() -> None:
    line = estimate().line()
    assert line.startswith("estimate gpt: 180 requests (20 stored), about $0.0123, at most $0.2")
    assert "batch API" in estimate(batch=True).line()
    assert "price unknown" in estimate(usd=None, most_usd=None).line()


def test_an_insufficient_budget_is_reported_before_spending() -> None:
    assert "will stop at the budget" in total_line([estimate(usd=3.0)], Budget(2.0))
    assert "will stop" not in total_line([estimate(usd=1.0)], Budget(2.0))
    assert "--budget USD" in total_line([estimate()], Budget())


def test_parameters_in_extra_body_raise_the_maximum_cost() -> None:
    meter = Meter(PRICE, Budget(1.0))
    one = meter.most_usd(BODY)
    assert meter.most_usd(BODY | {"extra_body": {"n": 3}}) >= one + 2 * 50 * 10 / 1e6
    assert meter.most_usd(BODY | {"extra_body": {"max_completion_tokens": 500}}) >= 500 * 10 / 1e6


def test_a_request_without_an_output_cap_is_not_affordable() -> None:
    body = {"messages": BODY["messages"]}
    with pytest.raises(BudgetReached):
        Meter(PRICE, Budget(1.0)).most_usd(body)
    assert Meter(PRICE, Budget()).most_usd(body) > 0
