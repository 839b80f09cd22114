"""Traffic volume of a task, from a small store."""

import shutil
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from pipeline import dataset as datasets
from pipeline.dataset import Filter, TaskDataset
from pipeline.decide import volume
from pipeline.decide.volume import Volume
from tests.fakes import evaluated_homes as homes
from traffic.artifacts import Home
from traffic.errors import NotEnoughData, NotFound


def read(home: Home, **options: object) -> Volume:
    card = datasets.load(home.dataset(homes.TASK))
    return volume.read(home, card, **({"min_hours": 1.0} | options))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("template")
    return homes.make(folder, requests_per_day=48, days=10, items=8)


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(template.root, tmp_path / "home"))


def filtered(card: TaskDataset, considered: int, **removed: int) -> TaskDataset:
    filters = tuple(Filter(name, count, "") for name, count in removed.items())
    return msgspec.structs.replace(card, rows_considered=considered, filters=filters)


def test_an_even_log_is_scaled_to_a_month(home: Home) -> None:
    volume = read(home)
    assert volume.requests == 480
    # The last request comes half an hour before the ten days are over.
    assert volume.hours == 239.5
    assert volume.requests_per_month == pytest.approx(480 / 239.5 * 730)
    assert volume.peak_requests_per_hour == 2
    assert (volume.input_tokens_mean, volume.output_tokens_mean) == (30, 3)
    assert volume.usd_per_request == pytest.approx(0.001)
    assert volume.spend_usd_per_month == pytest.approx(0.001 * volume.requests_per_month)
    assert volume.models == {"big-model": 480}


def test_the_period_is_that_of_the_whole_log(home: Home) -> None:
    homes.log(home, 1, 1, start=homes.START + timedelta(days=15), call_site="another")
    volume = read(home)
    assert volume.hours == 15 * 24
    assert volume.requests == 480


def test_gaps_in_the_log_are_not_counted_as_quiet_time(home: Home) -> None:
    homes.log(home, 48, 1800, start=homes.START + timedelta(days=40))
    assert read(home).hours == pytest.approx(41 * 24 - 0.5 - 30 * 24)


@pytest.mark.parametrize("gap, missing", [(1, 0), (8, 0), (9, 8), (30, 29)])
def test_only_gaps_longer_than_a_week_are_excluded(gap: int, missing: int) -> None:
    first = date(2026, 11, 1)
    assert volume.missing_days([first, first + timedelta(days=gap)]) == missing


def test_each_request_counts_once_and_cached_answers_do_not_count(home: Home) -> None:
    later = homes.START + timedelta(hours=3, minutes=1)
    homes.log(home, 3, 1, start=later, purpose="retry", cost_usd=0.5)
    homes.log(home, 5, 1, start=later, cache_hit=True, cost_usd=0.0)
    volume = read(home)
    assert (volume.requests, volume.peak_requests_per_hour) == (480, 2)
    assert volume.usd_per_request == pytest.approx(0.001)
    # But the money for retries was spent.
    assert volume.spend_usd_per_month == pytest.approx((480 * 0.001 + 1.5) / 239.5 * 730)


def test_the_busiest_hour_is_found(home: Home) -> None:
    homes.log(home, 100, 10, start=homes.START + timedelta(hours=30))
    assert read(home).peak_requests_per_hour == 102


def test_own_answers_and_failures_count_as_traffic_but_not_for_the_hosted_price(home: Home) -> None:
    later = homes.START + timedelta(hours=5)
    homes.log(home, 2, 3600, start=later, adapter="t@1", cost_usd=None, model="t@1")
    homes.log(home, 2, 3600, start=later, status=500, error="broken", cost_usd=None, usage=None)
    volume = read(home)
    assert (volume.requests, volume.unpriced) == (484, 0)
    assert volume.models == {"big-model": 480}


def test_unpriced_answers_are_counted_and_not_free(home: Home) -> None:
    homes.log(home, 20, 60, start=homes.START + timedelta(hours=5), cost_usd=None)
    volume = read(home)
    assert (volume.unpriced, volume.usd_per_request) == (20, pytest.approx(0.001))


def test_days_can_be_left_out(home: Home) -> None:
    volume = read(home, log_from=date(2026, 11, 2), log_until=date(2026, 11, 4))
    assert (volume.requests, volume.hours) == (96, 47.5)
    assert volume.first == datetime(2026, 11, 2, tzinfo=UTC).isoformat()


def test_only_tier_1_requests_count(home: Home) -> None:
    card = datasets.load(home.dataset(homes.TASK))
    changed = filtered(card, 1000, retries=100, errors=50, cache_hits=50, not_tier_1=150, no_template=50, thumbs_down=9)
    assert volume.movable_share(changed) == pytest.approx(1 - 200 / 800)
    whole = read(home)
    part = volume.read(home, changed, min_hours=1)
    assert part.requests_per_month == pytest.approx(0.75 * whole.requests_per_month)
    assert part.peak_requests_per_hour == 1.5


def test_a_log_that_is_too_short_for_a_month_is_refused(home: Home) -> None:
    with pytest.raises(NotEnoughData, match=r"covers 239.5 hours; .* at least 300 \(min_log_hours\)"):
        read(home, min_hours=300.0)


def test_a_call_site_without_requests_is_refused(home: Home) -> None:
    with pytest.raises(NotFound, match=r"no requests of support.intent .* between 2027-01-01"):
        read(home, log_from=date(2027, 1, 1))
