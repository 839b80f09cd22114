"""Monthly cost, compared with worked examples."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide import costs
from pipeline.decide.costs import CostModel
from traffic.prices import Machine, Price

BOX = Machine(name="box", usd_per_hour=0.1, provider="p", source="s", date=date(2026, 1, 1), cpu_cores=2)
GPU = Machine(name="gpu", usd_per_hour=0.05, provider="p", source="s", date=date(2026, 1, 1), gpu="G", gpus=1)
PRICE = Price(input_mtok_usd=1.0, output_mtok_usd=10.0, source="test")

volumes = st.floats(min_value=0, max_value=1e12)
models = st.builds(
    CostModel,
    usd_per_request=st.floats(min_value=0, max_value=1),
    machine_usd_per_month=st.floats(min_value=0, max_value=1e5),
    requests_per_machine_month=st.none() | st.floats(min_value=1, max_value=1e9),
    fixed_usd_per_month=st.floats(min_value=0, max_value=1e5),
)


def on_box(**changes: float) -> CostModel:
    given_ = {
        "requests_per_s": 2.0,
        "peak_requests_per_hour": 360.0,
        "requests_per_month": 73_000.0,
        "utilisation": 0.5,
        "share": 1.0,
    }
    return costs.machine_cost(BOX, **(given_ | changes))


def test_a_machine_is_paid_for_the_full_month() -> None:
    assert on_box().monthly_usd(1) == pytest.approx(73.0)
    assert on_box().machines(0) == 1


def test_the_number_of_machines_follows_the_peak_hour() -> None:
    # 2 a second at half load are 3,600 an hour; the log's busiest hour has 360: ten times its month fits.
    model = on_box()
    assert model.requests_per_machine_month == pytest.approx(730_000)
    assert [model.machines(volume) for volume in (730_000, 730_001, 1_460_000, 1_460_001)] == [1, 2, 2, 3]
    assert model.monthly_usd(1_460_000) == pytest.approx(146.0)


def test_a_shared_machine_counts_by_its_share() -> None:
    shared = on_box(share=0.25)
    assert shared.monthly_usd(1) == pytest.approx(73.0 / 4)
    assert shared.requests_per_machine_month == pytest.approx(730_000 / 4)


def test_a_classical_model_costs_the_seconds_of_one_core() -> None:
    # $0.1/h for two cores: a core second is 0.1 / 3600 / 2.
    model = costs.cpu_cost(BOX, 0.01, fixed_usd_per_month=5)
    assert model.monthly_usd(1_000_000) == pytest.approx(5 + 10_000 * 0.1 / 7200)
    assert model.machines(1e9) == 0


def test_hosted_cost_follows_the_tokens_of_the_traffic() -> None:
    same = costs.hosted_cost(PRICE, 0.001, (500, 50), (500, 50))
    twice = costs.hosted_cost(PRICE, 0.001, (500, 50), (1000, 100))
    longer = costs.hosted_cost(PRICE, 0.001, (500, 50), (500, 100))
    assert (same.usd_per_request, twice.usd_per_request) == (pytest.approx(0.001), pytest.approx(0.002))
    assert longer.usd_per_request == pytest.approx(0.0015)


def test_prompt_cache_savings_on_the_items_apply_to_the_traffic() -> None:
    # 550 tokens would cost 0.001; the cache made it 0.0008.
    assert costs.hosted_cost(PRICE, 0.0008, (500, 50), (1000, 100)).usd_per_request == pytest.approx(0.0016)


def test_a_free_model_stays_free() -> None:
    free = Price(input_mtok_usd=0, output_mtok_usd=0, source="test")
    assert costs.hosted_cost(free, 0.0, (500, 50), (1000, 100)).usd_per_request == 0


def test_cheapest_cpu_machine_is_the_one_with_the_cheapest_core_and_has_no_gpu() -> None:
    many = Machine(name="many", usd_per_hour=0.3, provider="p", source="s", date=date(2026, 1, 1), cpu_cores=16)
    assert costs.cheapest_cpu((BOX, GPU, many)) == many
    assert costs.cheapest_cpu((GPU,)) is None


def test_one_time_costs_are_spread_over_the_decisions_lifetime() -> None:
    assert costs.per_month(90.0, 90) == pytest.approx(30.4166, rel=1e-4)


@given(models, volumes, volumes)
def test_cost_never_falls_with_the_volume(model: CostModel, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert model.monthly_usd(low) <= model.monthly_usd(high)


@given(st.integers(min_value=1, max_value=10_000), st.floats(min_value=1, max_value=1e9))
def test_exactly_full_machines_need_no_additional_one(machines: int, carries: float) -> None:
    model = CostModel(requests_per_machine_month=carries)
    assert model.machines(machines * carries) == machines


def test_requests_that_stay_with_the_incumbent_cost_its_price() -> None:
    own = CostModel(usd_per_request=0.1, machine_usd_per_month=70, requests_per_machine_month=1000)
    cost = costs.shared_cost(own, CostModel(usd_per_request=1.0), 0.5)
    # Half of 2,000 requests fill the one machine: 70 + 1,000 x 0.1 + 1,000 x 1.
    assert cost.monthly_usd(2000) == pytest.approx(70 + 100 + 1000)
    assert cost.machines(2001) == 2


def test_a_cascade_pays_tier_1_for_every_request_and_tier_2_for_those_that_escalate() -> None:
    own = CostModel(machine_usd_per_month=70, requests_per_machine_month=1000, fixed_usd_per_month=5)
    cost = costs.cascade_cost(own, CostModel(usd_per_request=1.0), 0.2)
    assert cost.monthly_usd(1000) == pytest.approx(70 + 5 + 200)
