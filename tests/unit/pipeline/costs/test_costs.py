import csv
import datetime as dt
import math
from pathlib import Path

import msgspec
import pytest

from pipeline import costs, store
from pipeline.costs import cells, customers, ledger
from pipeline.costs.config import CostsConfig, OwnMachine
from pipeline.costs.ledger import PeriodRequest
from pipeline.costs.report import Line
from tests.fakes.metered import START, books, record
from traffic.artifacts import Home
from traffic.callsites import CallSite, Registry
from traffic.errors import ConfigError, InputError
from traffic.prices import Machines, PriceTable
from traffic.record import Params, Record, Usage

pytestmark = pytest.mark.slow


def rows(totals: costs.Books, by: str, **options: object) -> dict[tuple[str, ...], Line]:
    return {line.key: line for line in costs.run(totals, by=by.split(","), **options).rows}  # type: ignore[arg-type]


def test_retries_and_escalations_are_charged_to_the_requests_feature_and_plan() -> None:
    caused = {"feature": None, "call_site": None, "cohort": {}, "customer_id": None}
    listed = [
        record(1),
        record("1-2", request_id="r1", purpose="escalation", tier=3, model="gpt-4o-mini", **caused),
        record("1-3", request_id="r1", purpose="shadow", **caused),
        record("1-4", request_id="r1", purpose="audit", **caused),
        record(5, feature="mail"),
    ]
    lines = rows(books(listed), "feature,plan,customer")
    desk = lines[("desk", "pro", "acme")]
    assert (desk.requests, desk.attempts) == (1, 4)
    assert (desk.usd, desk.overhead_usd) == (pytest.approx(0.04), pytest.approx(0.03))
    assert lines[("mail", "pro", "acme")].usd == pytest.approx(0.01)
    assert rows(books(listed), "tier")[("tier 3",)].usd == pytest.approx(0.01)


def test_an_escalation_after_midnight_belongs_to_its_request() -> None:
    late = dt.datetime(2026, 11, 2, 23, 59, 59, tzinfo=dt.UTC)
    listed = [
        record(1, ts=late),
        record("1-2", request_id="r1", purpose="escalation", ts=late + dt.timedelta(seconds=2), feature=None),
    ]
    assert rows(books(listed), "day,feature")[("2026-11-03", "desk")].usd == pytest.approx(0.01)


def test_unknown_costs_are_counted_and_stay_visible() -> None:
    listed = [
        record(1),
        record(2, cost_usd=None, price_source=None, model="house-blend"),
        record(3, cost_usd=None, usage=None, status=408),
        record(4, cost_usd=None, usage=None, status=429),
        record(5, feature="mail", cost_usd=None, model="house-blend"),
    ]
    result = costs.run(books(listed), by=["feature"])
    desk, mail = result.rows
    assert (desk.usd, desk.unpriced) == (pytest.approx(0.01), 2)
    assert (mail.usd, mail.unpriced) == (None, 1)
    assert result.total.unpriced == 3
    assert {(u.model, u.attempts) for u in result.unpriced} == {("house-blend", 2), ("gpt-4o", 1)}
    assert any("unpriced" in line for line in result.lines())
    assert list(csv.reader(result.csv_text().splitlines()))[2][3] == ""


def test_a_price_added_later_applies_to_logged_tokens() -> None:
    listed = [record(1, cost_usd=None, price_source=None, usage=Usage(input_uncached=1000, output=100))]
    summary = costs.run(books(listed), by=["feature"])
    price = PriceTable().price("gpt-4o", "openai", START.date())
    assert summary.total.usd == pytest.approx((1000 * price.input_mtok_usd + 100 * price.output_mtok_usd) / 1e6)
    assert "gpt-4o" in summary.notes[0]


@pytest.mark.parametrize(
    "usage, tier",
    [
        (Usage(input_uncached=1000, output=100, input_audio=900), None),
        (Usage(input_uncached=1000, output=100, output_audio=90), None),
        (Usage(input_uncached=1000, output=100, web_searches=1), None),
        (Usage(input_uncached=1000, cache_write=500, cache_write_1h=500, output=100), None),
        (Usage(input_uncached=1000, output=100), "scale"),
    ],
)
def test_what_had_no_price_of_its_own_is_not_priced_as_text(usage: Usage, tier: str | None) -> None:
    params = Params(other={"service_tier": tier} if tier else {})
    result = costs.run(books([record(1, cost_usd=None, price_source=None, usage=usage, params=params)]), by=["feature"])
    assert (result.total.usd, result.total.unpriced) == (None, 1)


def test_estimated_prompts_get_the_average_cache_discount() -> None:
    stated = record(1, usage=Usage(input_uncached=500, cache_read=500), cost_usd=0.002)
    price = PriceTable().price("gpt-4o", "openai", START.date())
    assert price.cache_read_mtok_usd is not None
    guessed = record(2, usage=Usage(input_uncached=1000), cost_usd=0.0025, price_source="table, estimated usage")
    summary = costs.run(books([stated, guessed]), by=["feature"])
    discount = 500 * (price.input_mtok_usd - price.cache_read_mtok_usd) / 1e6
    assert summary.total.estimated_usd == pytest.approx(0.0025 - discount)
    assert summary.total.usd == pytest.approx(0.0045 - discount)


def own(n: int, **fields: object) -> Record:
    values: dict[str, object] = {
        "adapter": "desk@1",
        "endpoint": "box",
        "cost_usd": None,
        "tier": 1,
        "provider": "vllm",
    }
    return record(n, **(values | fields))


def test_busy_hours_are_charged_to_features_and_idle_hours_separately() -> None:
    hour = 3_600_000.0
    listed = [own(0, latency_ms=2 * hour), own(240, feature="mail", latency_ms=hour), own(60, latency_ms=hour / 2)]
    config = CostsConfig(machines=(OwnMachine(usd_per_hour=2.0, count=1),))
    lines = rows(books(listed, config), "feature")
    # 9:00-11:00 (10:00-10:30 twice) and 13:00-14:00: 3 of 24 hours.
    assert lines[("desk",)].usd == pytest.approx(6 * 2.5 / 3.5)
    assert lines[("mail",)].usd == pytest.approx(6 / 3.5)
    assert lines[(ledger.IDLE,)].usd == pytest.approx(42)
    result = costs.run(books(listed, config), by=["tier"])
    assert (result.total.usd, result.idle_usd) == (pytest.approx(48), pytest.approx(42))


@pytest.mark.parametrize("adapter", ["desk@1", None])
def test_an_own_machine_without_a_price_is_unpriced_and_named(adapter: str | None) -> None:
    result = costs.run(books([own(0, adapter=adapter)]), by=["feature"])
    assert (result.total.usd, result.total.unpriced) == (None, 1)
    assert any("box" in note for note in result.notes)


def test_a_machine_costs_nothing_outside_its_rental_period() -> None:
    listed = [own(0), own(2 * 1440), own(4 * 1440)]
    day = START.date()
    entry = OwnMachine(usd_per_hour=1.0, from_=day + dt.timedelta(1), until=day + dt.timedelta(3), hours_per_day=10)
    lines = rows(books(listed, CostsConfig(machines=(entry,))), "day")
    assert [line.usd and round(line.usd, 6) for line in lines.values()] == [None, 10, 10, None]


def test_a_machine_needs_one_price() -> None:
    with pytest.raises(ConfigError):
        OwnMachine().rate_usd_per_hour(Machines())


SUBSCRIPTIONS = (
    "customer_id,plan,paying_from,paying_until\n"
    "acme,pro,2026-01-01,\nbolt,pro,2026-11-20,2026-12-05\ncord,team,2026-02-01,2026-11-03\ndeer,pro,2025-01-01,2026-11-01\n"
    ",pro,2026-01-01,\nelk,pro,soon,\n"
)


def test_costs_per_customer_are_divided_by_the_plans_paying_customers(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text(SUBSCRIPTIONS, encoding="utf-8")
    known = customers.load(file)
    assert len(known.notes) == 1
    assert known.paying(dt.date(2026, 11, 1), dt.date(2026, 12, 1)) == {"": 3, "pro": 2, "team": 1}
    listed = [
        record(1),
        record(2, customer_id="cord", cohort={}),
        record(3, customer_id="gone", cohort={"plan": "free"}),
    ]
    totals = books(listed, customers=known)
    totals = msgspec.structs.replace(
        totals, period=ledger.Period(since=dt.date(2026, 11, 1), until=dt.date(2026, 12, 1), logged_days=1)
    )
    by_plan = rows(totals, "plan", per="customer")
    assert by_plan[("pro",)].usd_per_customer == pytest.approx(0.005)
    assert by_plan[("team",)].usd_per_customer == pytest.approx(0.01)
    assert (by_plan[("free",)].customers, by_plan[("free",)].usd_per_customer) == (0, None)
    total = costs.run(totals, by=["feature"], per="customer").total
    assert (total.customers, total.usd_per_customer) == (3, pytest.approx(0.01))
    assert total.paying_usd == pytest.approx(0.02)


def test_costs_per_customer_without_customers_are_refused() -> None:
    with pytest.raises(InputError):
        costs.run(books([record(1)]), by=["feature"], per="customer")


def test_an_unknown_dimension_is_refused() -> None:
    with pytest.raises(InputError):
        costs.run(books([record(1)]), by=["colour"])


def test_request_types_come_from_the_registry_if_the_log_has_none() -> None:
    registry = Registry(call_sites=(CallSite("desk.topic", request_type="intent"),))
    assert set(rows(books([record(1)], registry=registry), "type")) == {("intent",)}


def opened(home: Home) -> costs.Books:
    return costs.open_books(CostsConfig(), home=home, prices=PriceTable(), machines=Machines())


def test_ingesting_again_changes_nothing_and_a_new_day_adds_its_cells_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    listed = [record(n, at=n * 700) for n in range(6)]
    store.append(home, listed, source="a")
    first = costs.run(opened(home), by=["day"])
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "costs" / "cells").iterdir()}
    store.append(home, [*listed, record(40, at=700)], source="b")
    store.append(home, [record(41, at=9 * 1440)], source="c")
    after = costs.run(opened(home), by=["day"])
    left = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "costs" / "cells").iterdir()}
    assert math.isclose((after.total.usd or 0) - (first.total.usd or 0), 0.02)
    assert set(made.items()) & set(left.items())
    assert len(left) == len(made) + 1


def test_a_month_is_the_sum_of_its_days_and_defaults_to_the_last(tmp_path: Path) -> None:
    home = Home(tmp_path)
    store.append(home, [record(1), record(2, at=60 * 24 * 40)], source="a")
    assert costs.run(opened(home), by=["month"]).period.since == dt.date(2026, 12, 1)
    connection = cells.connect(home)
    of = ledger.period(connection, PeriodRequest("2026-11"))
    assert (of.since, of.until, of.days, of.logged_days) == (dt.date(2026, 11, 1), dt.date(2026, 12, 1), 30, 1)


def test_cohorts_come_from_the_tags_of_the_log() -> None:
    tagged = [
        record(n, cohort={"plan": "pro", "language": "de" if n % 2 else "en", "model": f"tier-{n % 3}", "it's": "x"})
        for n in range(6)
    ]
    ledger = books([*tagged, record(6, cohort={}), record("1-2", request_id="r1", purpose="escalation", cohort={})])
    by_language = costs.run(ledger, by=["language"])
    assert {line.key[0]: line.attempts for line in by_language.rows} == {"de": 4, "en": 3, "(none)": 1}
    # A tag that is called like a dimension, and one that would end a literal.
    assert len(costs.run(ledger, by=["cohort.model"]).rows) == 4
    assert {line.key for line in costs.run(ledger, by=["model"]).rows} == {("gpt-4o",)}
    assert costs.run(ledger, by=["it's"]).rows[0].key == ("x",)
    with pytest.raises(InputError):
        costs.run(ledger, by=["region"])


def test_a_tag_with_many_values_is_not_a_cohort(tmp_path: Path) -> None:
    home = Home(tmp_path)
    listed = [record(n, cohort={"plan": "pro", "trace": f"t{n}", "language": "de"}) for n in range(300)]
    store.append(home, listed, source="test")
    ledger = costs.open_books(CostsConfig(), home=home, prices=PriceTable(), machines=Machines())
    assert costs.run(ledger, by=["language", "plan"]).rows[0].key == ("de", "pro")
    assert ledger.connection.execute("select count(*) from cells").fetchall()[0][0] == 1
    with pytest.raises(InputError):
        costs.run(ledger, by=["trace"])


def test_customer_files_from_spreadsheets_are_read(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes(
        "Customer_ID;Plan;Paying_From;Paying_Until\r\nacme;pro;01.11.2026;\r\nacme;pro;01.11.2026;\r\n"
        "globex;free;02.11.2026;NULL\r\nsoon;pro;01.12.2026;\r\n;pro;01.11.2026;\r\nlate;pro;05.11.2026;01.11.2026\r\n"
        "odd;pro;sometime;\r\n".encode("utf-8-sig")
    )
    loaded = customers.load(file)
    paying = loaded.paying(dt.date(2026, 11, 1), dt.date(2026, 12, 1))
    assert paying == {"pro": 1, "free": 1, "": 2}
    assert loaded.notes[0].count("line ") == 3
    file.write_text("customer_id,plan,paying_from,paying_until\nacme,pro,02/11/2026,\n")
    with pytest.raises(InputError):
        customers.load(file)
