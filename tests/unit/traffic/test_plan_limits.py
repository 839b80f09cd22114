"""Plans: daily limits on heavy requests."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.config import convert
from traffic.errors import ConfigError
from traffic.plan_limits import HeavyCounter, Plan, modified
from traffic.policy import Verdict

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
HARD = Verdict(3, "reasoning", "must be worked out")
FREE = {"free": Plan(heavy_escalations_per_day=1)}


def after(verdict: Verdict, counter: HeavyCounter, plans: dict[str, Plan] = FREE, **who: Any) -> Verdict:
    asked = {"plan": "free", "user": "u1", "customer": None, "now": NOON} | who
    return modified(verdict, plans, counter, **asked)


def test_heavy_requests_beyond_the_daily_limit_go_to_tier_2() -> None:
    counter = HeavyCounter()
    assert after(HARD, counter) == HARD
    second = after(HARD, counter)
    assert (second.tier, second.rule, second.refuse) == (2, "reasoning + plan free", None)
    assert "more than 1 heavy requests of one user today" in second.reason


def test_a_plan_can_refuse_instead() -> None:
    plans = {"free": Plan(heavy_escalations_per_day=0, beyond="refuse", message="upgrade")}
    assert after(HARD, HeavyCounter(), plans).refuse == "upgrade"


@pytest.mark.parametrize("tier", [1, 2])
def test_other_tiers_are_not_limited(tier: int) -> None:
    plans = {"free": Plan(heavy_escalations_per_day=0)}
    easy = Verdict(tier, "r", "w")
    assert after(easy, HeavyCounter(), plans) == easy


@pytest.mark.parametrize("who", [{"plan": "pro"}, {"plan": None}, {"user": None}])
def test_plans_without_a_limit_and_anonymous_users_are_not_limited(who: dict[str, Any]) -> None:
    counter = HeavyCounter()
    assert [after(HARD, counter, **who) for _ in range(3)] == [HARD] * 3


def test_customers_can_be_counted_instead_of_users() -> None:
    plans = {"free": Plan(heavy_escalations_per_day=1, per="customer")}
    counter = HeavyCounter()
    tiers = [after(HARD, counter, plans, user=user, customer="c").tier for user in ("u1", "u2")]
    assert tiers == [3, 2]


def test_the_day_begins_at_midnight_utc_in_every_time_zone() -> None:
    counter = HeavyCounter()
    late = datetime.fromisoformat("2026-11-23T23:59:59+00:00")
    east = datetime.fromisoformat("2026-11-24T05:00:00+09:00")
    assert counter.take("free", "u", 1, late)
    assert not counter.take("free", "u", 1, east)
    assert counter.take("free", "u", 1, late + timedelta(seconds=1))
    assert not counter.take("free", "u", 1, late)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60), st.integers(0, 4))
def test_everyone_gets_exactly_the_daily_limit(asked: list[tuple[str, int]], limit: int) -> None:
    counter = HeavyCounter()
    given_: Counter[tuple[str, int]] = Counter()
    days = sorted(asked, key=lambda one: one[1])
    for person, day in days:
        given_[person, day] += counter.take("free", person, limit, NOON + timedelta(days=day))
    wanted = Counter(days)
    assert all(given_[key] == min(limit, wanted[key]) for key in wanted)


@given(st.integers(1, 20), st.integers(0, 100))
def test_the_counter_stays_within_its_size(size: int, people: int) -> None:
    counter = HeavyCounter(size)
    for n in range(people):
        counter.take("free", str(n), 1, NOON)
    assert len(counter) == min(size, people)


@pytest.mark.parametrize("entry", [{"heavy_escalations_per_day": -1}, {"tier": 3}, {}])
def test_an_invalid_plan_is_refused(entry: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        convert(entry, Plan, source="router.yaml")
