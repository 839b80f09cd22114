"""Break-even volumes: worked examples and invariants."""

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.costs import BreakEven, CostModel, break_even

amounts = st.floats(min_value=0.01, max_value=1e5)
prices = st.floats(min_value=1e-7, max_value=0.1)
owns = st.builds(
    CostModel,
    usd_per_request=st.just(0.0) | st.floats(min_value=1e-8, max_value=1e-3),
    machine_usd_per_month=amounts,
    requests_per_machine_month=st.none() | st.floats(min_value=100, max_value=1e8),
    fixed_usd_per_month=st.just(0.0) | amounts,
)


@st.composite
def pays_off(draw: st.DrawFn) -> tuple[CostModel, float]:
    """An own model that is cheaper at some volume, and the hosted price."""
    price = draw(prices)
    per_request = price * draw(st.just(0.0) | st.floats(min_value=0.001, max_value=0.99))
    machine_usd, fixed = draw(amounts), draw(st.just(0.0) | amounts)
    # A full machine brings in at least a tenth of a percent more than it costs.
    full = machine_usd / (price - per_request) * draw(st.floats(min_value=1.001, max_value=1000))
    own = CostModel(
        usd_per_request=per_request,
        machine_usd_per_month=machine_usd,
        # With neither a machine nor fixed costs building always pays: a case of its own.
        requests_per_machine_month=draw(st.sampled_from([full, None])) if fixed else full,
        fixed_usd_per_month=fixed,
    )
    return own, price


def machine(carries: float | None = 1_000_000, *, usd: float = 100.0, fixed: float = 0.0) -> CostModel:
    return CostModel(machine_usd_per_month=usd, requests_per_machine_month=carries, fixed_usd_per_month=fixed)


def first_volume(break_even: BreakEven) -> float:
    """The volume as a comparable number."""
    if break_even.kind == "never":
        return math.inf
    return break_even.requests_per_month or 0.0


def test_one_machine_breaks_even_where_hosted_requests_cost_as_much() -> None:
    assert break_even(machine(), 0.001) == BreakEven("from", 100_000, 100_000, 1)


def test_fixed_costs_raise_the_break_even_volume() -> None:
    assert break_even(machine(fixed=50), 0.001) == BreakEven("from", 150_000, 150_000, 1)


def test_there_is_no_break_even_if_a_full_machine_saves_less_than_it_costs() -> None:
    assert break_even(machine(carries=100_000), 0.0009).kind == "never"
    assert break_even(machine(carries=100_000), 0.001).kind == "never"


def test_there_is_no_break_even_if_a_request_saves_nothing() -> None:
    assert break_even(CostModel(usd_per_request=0.002), 0.001).kind == "never"
    assert break_even(CostModel(usd_per_request=0.001), 0.001).kind == "never"


def test_break_even_is_zero_without_monthly_costs() -> None:
    assert break_even(CostModel(usd_per_request=0.0001), 0.001) == BreakEven("always")


def test_without_a_machine_only_fixed_costs_must_be_recovered() -> None:
    volume = break_even(CostModel(usd_per_request=0.0005, fixed_usd_per_month=10), 0.001)
    assert volume == BreakEven("from", 20_000, 20_000, 0)


def test_recovering_fixed_costs_may_need_several_machines() -> None:
    # A full machine brings in 300 and costs 100: after one, 200 of the 300 fixed are in, so the second decides.
    assert break_even(machine(carries=300_000, fixed=300), 0.001) == BreakEven("from", 500_000, 500_000, 2)


def test_an_additional_machine_may_make_building_dearer_again() -> None:
    # 150 of income for a full machine of 100: just above one full machine, 200 are due for 150.
    volume = break_even(machine(carries=150_000), 0.001)
    assert (volume.requests_per_month, volume.for_good_from, volume.machines) == (100_000, 200_000, 1)
    own = machine(carries=150_000)
    assert own.monthly_usd(150_000) < 150 < own.monthly_usd(150_001)


@given(pays_off())
def test_costs_are_equal_at_the_break_even_volume(case: tuple[CostModel, float]) -> None:
    own, price = case
    volume = break_even(own, price).requests_per_month
    assert volume is not None
    assert own.monthly_usd(volume) == pytest.approx(price * volume, rel=1e-6)


@given(pays_off(), st.floats(min_value=0.001, max_value=0.999))
def test_buying_is_cheaper_below_the_break_even_volume(case: tuple[CostModel, float], part: float) -> None:
    own, price = case
    volume = part * (break_even(own, price).requests_per_month or math.nan)
    assert own.monthly_usd(volume) > price * volume * (1 - 1e-9)


@given(pays_off(), st.floats(min_value=1.000001, max_value=1000))
def test_building_stays_cheaper_above_the_for_good_volume(case: tuple[CostModel, float], times: float) -> None:
    own, price = case
    volume = times * (break_even(own, price).for_good_from or math.nan)
    assert own.monthly_usd(volume) <= price * volume * (1 + 1e-9)


@given(owns, st.floats(min_value=0, max_value=1), st.floats(min_value=1, max_value=1e9))
def test_without_break_even_building_is_dearer_at_every_volume(own: CostModel, part: float, volume: float) -> None:
    # At most what a request costs here, machine included where one is filled to the brim.
    full = own.machine_usd_per_month / own.requests_per_machine_month if own.requests_per_machine_month else 0.0
    price = part * (own.usd_per_request + 0.999 * full)
    assert break_even(own, price).kind == "never"
    assert own.monthly_usd(volume) >= price * volume * (1 - 1e-9)


@given(owns, prices, st.floats(min_value=1, max_value=100))
def test_break_even_falls_with_a_higher_hosted_price(own: CostModel, price: float, times: float) -> None:
    assert first_volume(break_even(own, price * times)) <= first_volume(break_even(own, price)) * (1 + 1e-9)


@given(
    owns,
    prices,
    st.sampled_from(["machine_usd_per_month", "fixed_usd_per_month", "usd_per_request"]),
    st.floats(min_value=1, max_value=10),
)
def test_break_even_rises_with_every_cost_of_building(own: CostModel, price: float, cost: str, times: float) -> None:
    dearer = msgspec.structs.replace(own, **{cost: getattr(own, cost) * times})
    assert first_volume(break_even(dearer, price)) >= first_volume(break_even(own, price)) * (1 - 1e-9)


@given(owns, prices, st.floats(min_value=100, max_value=1e8), st.floats(min_value=1, max_value=10))
def test_break_even_falls_with_higher_throughput(own: CostModel, price: float, carries: float, times: float) -> None:
    slow = msgspec.structs.replace(own, requests_per_machine_month=carries)
    fast = msgspec.structs.replace(own, requests_per_machine_month=carries * times)
    assert first_volume(break_even(fast, price)) <= first_volume(break_even(slow, price)) * (1 + 1e-9)
