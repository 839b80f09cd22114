"""Calculation of speed and cost."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate import costs
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.config import GivenPrice, HostedConfig
from pipeline.evaluate.costs import Cost
from traffic.prices import Machine, Price, PriceTable
from traffic.record import Usage

DAY = dt.date(2026, 11, 20)
MACHINE = Machine(name="box", usd_per_hour=3.60, provider="p", source="s", date=DAY, cpu_cores=2)
HOSTED = HostedConfig(
    name="h", base_url="http://x/v1", model="m", price=GivenPrice(input_mtok_usd=1.0, output_mtok_usd=10.0)
)


def answer(number: int, **changes: object) -> Answer:
    return Answer(**({"record_id": f"r{number}", "text": "x"} | changes))  # type: ignore[arg-type]


def pair(costed: costs.Costed) -> tuple[Cost, list[float | None]]:
    return costed.cost, costed.usd


LIST_PRICE = costs.price_of(HOSTED, PriceTable(), DAY)


def hosted(answers: list[Answer], price: Price | None = LIST_PRICE) -> tuple[Cost, list[float | None]]:
    return pair(costs.by_tokens(answers, [1] * len(answers), price))


def served(answers: list[Answer], machine: Machine) -> tuple[Cost, list[float | None]]:
    return pair(costs.by_machine_time(answers, [1] * len(answers), machine))


def test_throughput_excludes_the_time_between_sessions() -> None:
    answers = [
        answer(1, concurrency=8, session="a", elapsed_s=1.0),
        answer(2, concurrency=8, session="a", elapsed_s=2.0),
        answer(3, concurrency=8, session="b", elapsed_s=0.5),
        answer(4, concurrency=1, session="b", elapsed_s=9.0),
    ]
    assert costs.throughput(answers, 8) == pytest.approx(3 / 2.5)


def test_failed_requests_do_not_count_as_throughput() -> None:
    answers = [
        answer(1, concurrency=8, session="a", elapsed_s=1.0),
        answer(2, concurrency=8, session="a", elapsed_s=4.0, error="503"),
    ]
    assert costs.throughput(answers, 8) == pytest.approx(0.25)
    assert costs.throughput(answers, 16) is None


def test_latency_covers_successful_answers_at_one_concurrency() -> None:
    answers = [answer(n, concurrency=1, latency_ms=float(n)) for n in range(1, 101)]
    answers += [answer(200, concurrency=1, latency_ms=1e6, error="timeout"), answer(201, concurrency=8, latency_ms=1e6)]
    latency = costs.latency(answers, 1)
    assert latency == costs.Latency(p50_ms=50.5, p95_ms=95.05, n=100, concurrency=1)
    assert costs.latency(answers, 4) is None


def test_the_load_is_the_most_frequent_concurrency_above_one() -> None:
    answers = [answer(n, concurrency=1) for n in range(5)] + [answer(n, concurrency=8) for n in range(5, 8)]
    assert costs.load_concurrency([*answers, answer(9, concurrency=4)]) == 8
    assert costs.load_concurrency(answers[:5]) == 1
    assert costs.load_concurrency([answer(1)]) is None


def test_the_hosted_cost_is_tokens_times_price() -> None:
    answers = [
        answer(1, usage=Usage(input_uncached=1000, output=100)),
        answer(2, usage=Usage(input_uncached=3000, output=100)),
    ]
    cost, each = hosted(answers)
    assert each == pytest.approx([0.002, 0.004])
    assert cost.usd_per_1k == pytest.approx(3.0)
    assert (cost.input_tokens_mean, cost.output_tokens_mean) == (2000, 100)


def test_a_hosted_model_without_a_price_has_an_unknown_cost() -> None:
    unpriced = HostedConfig(name="h", base_url="http://x/v1", model="no-such-model-anywhere")
    price = costs.price_of(unpriced, PriceTable(), DAY)
    cost, each = hosted([answer(1, usage=Usage(input_uncached=5, output=1))], price)
    assert cost.usd_per_1k is None
    assert each == [None]


def test_requests_without_usage_are_excluded_from_the_average() -> None:
    answers = [answer(1, usage=Usage(input_uncached=1000, output=0)), answer(2, error="timeout")]
    cost, _ = hosted(answers)
    assert cost.usd_per_1k == pytest.approx(1.0)


def test_an_own_model_costs_the_machine_at_its_measured_throughput() -> None:
    # 2 requests a second on a machine of 3.60 an hour: 0.001 a second, 0.0005 a request.
    answers = [answer(n, concurrency=4, session="a", elapsed_s=n / 2) for n in range(1, 9)]
    cost, each = served(answers, MACHINE)
    assert cost.requests_per_s == pytest.approx(2.0)
    assert cost.usd_per_1k == pytest.approx(0.5)
    assert each == pytest.approx([0.0005] * 8)
    assert "full load" in cost.basis
    assert cost.concurrency == 4


def test_a_classical_model_costs_cpu_seconds_of_one_core() -> None:
    cost, each = pair(costs.by_cpu_time([answer(1, cpu_s=0.002)], [1], MACHINE))
    assert each == pytest.approx([0.002 * 3.60 / 3600 / 2])
    assert cost.cpu_s_per_request == pytest.approx(0.002)


def test_the_teacher_has_the_logged_cost() -> None:
    cost, _ = pair(costs.as_logged([answer(1, cost_usd=0.002), answer(2)], [1, 1]))
    assert cost.usd_per_1k == pytest.approx(2.0)
    cost, _ = pair(costs.as_logged([answer(1)], [1]))
    assert cost.usd_per_1k is None


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.01, 1e4)), min_size=1, max_size=40),
    st.floats(0.01, 100),
)
def test_the_own_cost_is_proportional_to_the_machines_price(seen: list[tuple[str, float]], factor: float) -> None:
    answers = [answer(n, concurrency=4, session=s, elapsed_s=at) for n, (s, at) in enumerate(seen)]
    dear = Machine(name="box", usd_per_hour=3.60 * factor, provider="p", source="s", date=DAY)
    one, _ = served(answers, MACHINE)
    other, _ = served(answers, dear)
    assert one.usd_per_1k is not None
    assert other.usd_per_1k == pytest.approx(one.usd_per_1k * factor)


def test_cost_per_request_counts_an_item_once_per_request() -> None:
    answers = [
        answer(1, usage=Usage(input_uncached=1000, output=0)),
        answer(2, usage=Usage(input_uncached=5000, output=0)),
    ]
    cost = costs.by_tokens(answers, [3, 1], LIST_PRICE).cost
    assert cost.usd_per_1k == pytest.approx(2.0)
    assert cost.input_tokens_mean == 2000
