"""demo/time_budget.py."""

import pytest

from demo import time_budget
from demo.config import TimeBudget
from demo.time_budget import ItemCost, Schedule, Stage

BUDGET = TimeBudget(minutes=6, minutes_slow=9, training_share=0.5, min_items=60)
STAGES = (Stage("ingest", 10), Stage("train", 40, items=100), Stage("serve", 50), Stage("evaluate", 20, items=80))
COSTS = (ItemCost(alone=1.0, batched=0.2), ItemCost(alone=2.0, batched=0.6))


def schedule(budget_seconds: float = 360) -> Schedule:
    return Schedule(STAGES, budget_seconds)


def test_a_slow_cpu_gets_more_time() -> None:
    assert time_budget.budget_seconds(BUDGET, 300e9) == 360
    assert time_budget.budget_seconds(BUDGET, 160e9) == 540


def test_the_remaining_time_is_fixed_part_and_items_of_later_stages() -> None:
    planned = schedule()
    planned.begin(0)
    assert planned.remaining() == 10 + 40 + 50 + 20 + 100 + 80
    planned.begin(10)
    assert planned.number == 2
    assert planned.remaining() == 40 + 50 + 20 + 100 + 80


def test_a_slower_machine_takes_longer_for_fixed_parts() -> None:
    planned = schedule()
    planned.begin(0)
    planned.begin(20)  # twice as long as on the reference machine
    assert planned.machine_factor == 2
    assert planned.remaining() == 2 * (40 + 50 + 20) + 100 + 80
    assert planned.available(20) == 360 - 20 - 2 * (40 + 50 + 20)


def test_reused_stages_do_not_make_the_machine_look_fast() -> None:
    planned = schedule()
    planned.begin(0)
    planned.begin(0.1)
    assert planned.machine_factor == 1


def test_stages_of_a_chosen_size_do_not_affect_the_machine_factor() -> None:
    planned = schedule()
    for now in (0, 10, 500):
        planned.begin(now)
    assert planned.machine_factor == 1


def test_a_chosen_size_is_what_the_estimate_uses() -> None:
    planned = schedule()
    planned.expect("evaluate", 30)
    planned.begin(0)
    assert planned.remaining() == 10 + 40 + 50 + 20 + 100 + 30


@pytest.mark.parametrize("available, seconds", [(200, 100), (30, time_budget.MIN_TRAIN_SECONDS), (-50, 20)])
def test_training_gets_its_share_and_never_zero(available: float, seconds: float) -> None:
    assert time_budget.training_seconds(available, BUDGET) == seconds


@pytest.mark.parametrize(
    "available, items",
    [
        (5 * 3.0 + 100 * 1.0, 100),  # five of each alone, then a second per item
        (1000, 200),
        (20, 60),  # too little time still gives an interval that means something
        (-100, 60),
    ],
)
def test_the_number_of_items_fits_the_time_within_its_limits(available: float, items: int) -> None:
    number = time_budget.items_to_evaluate(available, COSTS, alone=5, hosted=0.2, budget=BUDGET, max_items=200)
    assert number == items
