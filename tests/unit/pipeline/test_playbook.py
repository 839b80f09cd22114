"""The playbook's tests on a log that is only partly routed."""

import datetime as dt
from pathlib import Path

from pipeline import playbook
from pipeline.profile.playbook import Step
from tests.fakes.metered import books, record
from traffic.artifacts import Home
from traffic.record import Record

DAY_MINUTES = 24 * 60
TODAY = dt.date(2026, 11, 16)


def route_step(records: list[Record], folder: Path) -> Step:
    return playbook.run(books(records), home=Home(folder), today=TODAY).steps[2]


def test_requests_that_no_router_saw_count_as_traffic_outside_tier_1(tmp_path: Path) -> None:
    past_the_router = [record(f"direct-{n}", at=n, tier=None) for n in range(20)]
    routed = [record(f"routed-{n}", at=100 + n, tier=1, latency_ms=100.0) for n in range(3)]
    assert route_step(past_the_router + routed, tmp_path).holds is False
    assert route_step(routed, tmp_path).holds is True


def test_a_test_holds_since_the_first_day_that_it_could_be_measured(tmp_path: Path) -> None:
    unrouted = [record("direct", at=0, tier=None)]
    routed = [record(f"routed-{n}", at=9 * DAY_MINUTES + n, tier=1, latency_ms=100.0) for n in range(3)]
    step = route_step(unrouted + routed, tmp_path)
    assert (step.holds, step.since) == (True, str(routed[0].ts.date()))
