import datetime as dt
import json
from pathlib import Path

import pytest

from pipeline.costs import invoices, reconcile
from pipeline.costs.invoices import Invoice, InvoiceConfig
from pipeline.costs.reconcile import Reconciliation
from tests.fakes.metered import START, books, record
from traffic.errors import InputError, UnknownFormat
from traffic.prices import PriceTable
from traffic.record import Record, Usage

DAY = START.date()
PRICE = PriceTable().price("gpt-4o", "openai", DAY)


def priced(n: int, plain: int = 1000, cached: int = 0, output: int = 100, **fields: object) -> Record:
    """An attempt at its list price."""
    usage = Usage(input_uncached=plain, cache_read=cached, output=output)
    return record(n, usage=usage, **({"cost_usd": PRICE.cost_usd(usage)} | fields))


def openai(path: Path, *days: tuple[dt.date, list[tuple[str, float, str | None]]]) -> Path:
    buckets = []
    for day, lines in days:
        results = [
            {"object": "organization.costs.result", "amount": {"value": usd, "currency": "usd"}, "line_item": item,
             "project_id": project}
            for item, usd, project in lines
        ]  # fmt: skip
        start = int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())
        buckets.append({"object": "bucket", "start_time": start, "end_time": start + 86400, "results": results})
    path.write_text(json.dumps({"object": "page", "data": buckets, "has_more": False}))
    return path


def reconciled(log: list[Record], file: Path, **options: object) -> Reconciliation:
    config = InvoiceConfig(**options)  # type: ignore[arg-type]
    return reconcile.run(books(log).connection, invoices.load(file, config), config, PriceTable(), name="invoice")


def after(days: int) -> dt.date:
    return DAY + dt.timedelta(days)


def test_planted_differences_are_explained_cause_by_cause(tmp_path: Path) -> None:
    """A week of one invoice: each day has another reason to differ, and one has none that the data could tell."""
    at = 24 * 60
    undiscounted = (1000 * PRICE.input_mtok_usd + 100 * PRICE.output_mtok_usd) / 1e6
    log = [
        *(priced(n) for n in range(10)),
        *(priced(20 + n, at=at, plain=200, cached=800, cost_usd=undiscounted) for n in range(10)),
        *(priced(40 + n, at=2 * at) for n in range(10)),
        *(record(60 + n, at=2 * at, usage=None, cost_usd=None, status=499) for n in range(3)),
        *(priced(80 + n, at=3 * at) for n in range(10)),
        *(priced(100 + n, at=5 * at) for n in range(10)),
        record(120, at=6 * at, model="o9-house", cost_usd=None),
    ]
    one = PRICE.cost_usd(Usage(input_uncached=1000, output=100))
    cached = PRICE.cost_usd(Usage(input_uncached=200, cache_read=800, output=100))
    input_usd, output_usd = 10 * 1000 * PRICE.input_mtok_usd / 1e6, 10 * 100 * PRICE.output_mtok_usd / 1e6
    file = openai(
        tmp_path / "costs.json",
        (DAY, [("gpt-4o-2024-08-06, input", input_usd, "router"), ("gpt-4o-2024-08-06, output", output_usd, "router"),
               ("gpt-4o-2024-08-06, input", 0.5, "notebooks")]),
        (after(1), [("gpt-4o-2024-08-06", 10 * cached, "router")]),
        (after(2), [("gpt-4o", 10 * one + 3 * one * 1.2, "router")]),
        (after(3), [("gpt-4o", round(10 * one, 3), "router")]),
        (after(4), [("gpt-4o-mini", 0.25, "router")]),
        (after(5), [("gpt-4o", 10 * one + 0.7, "router")]),
        (after(6), [("o9-house", 0.125, "router")]),
    )  # fmt: skip
    found = reconciled(log, file, router_projects=("router",))
    by_day: dict[dt.date, dict[str, float]] = {}
    for row in found.rows:
        by_day.setdefault(row.day, {}).update(row.causes)
        assert sum(row.causes.values()) == pytest.approx(row.billed_usd - row.metered_usd, abs=1e-8)
    assert by_day[DAY] == {"bypass": pytest.approx(0.5)}
    assert by_day[after(1)] == {"cached_tokens": pytest.approx(10 * (cached - undiscounted))}
    assert by_day[after(2)] == {"cancelled": pytest.approx(3.6 * one)}
    assert set(by_day[after(3)]) <= {"rounding"}
    assert by_day[after(4)] == {"bypass": pytest.approx(0.25)}
    assert by_day[after(5)] == {"unknown": pytest.approx(0.7)}
    assert by_day[after(6)] == {"unpriced": pytest.approx(0.125)}
    assert sum(found.causes.values()) == pytest.approx(found.billed_usd - found.metered_usd)


def test_a_bill_that_is_hardly_metered_is_put_down_to_calls_past_the_router(tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text(f"Date,SKU,Amount,Calls\n{DAY},gpt-4o,830.00,83000\n{DAY},gpt-4o,oops,\n")
    columns = {"day": "Date", "model": "SKU", "usd": "Amount", "requests": "Calls"}
    log = [record(n, cost_usd=0.0147) for n in range(100)]
    found = reconciled(log, file, columns=columns, provider="openai")
    assert found.metered_usd == pytest.approx(1.47)
    assert found.causes["bypass"] == pytest.approx(828.53, rel=0.002)
    assert len(found.notes) == 1


def test_the_cost_report_of_anthropic_is_read_in_cents(tmp_path: Path) -> None:
    results = [
        {"amount": "123.45", "currency": "USD", "model": "claude-sonnet-4-5-20250929", "token_type": kind}
        for kind in ("uncached_input_tokens", "cache_read_input_tokens", "output_tokens",
                     "cache_creation.ephemeral_5m_input_tokens")
    ]  # fmt: skip
    bucket = {"starting_at": f"{DAY}T00:00:00Z", "ending_at": f"{after(1)}T00:00:00Z", "results": results}
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"data": [bucket], "has_more": False}))
    invoice = invoices.load(file, InvoiceConfig())
    assert invoice.provider == "anthropic"
    assert {line.model for line in invoice.lines} == {"claude-sonnet-4-5"}
    assert [line.kind for line in invoice.lines] == ["input", "cached_input", "output", "cache_write"]
    assert sum(line.usd for line in invoice.lines) == pytest.approx(4.938)


def test_prices_of_a_contract_are_no_difference(tmp_path: Path) -> None:
    file = openai(tmp_path / "costs.json", (DAY, [("gpt-4o", 0.01, None)]))
    assert reconciled([record(1, cost_usd=0.01)], file).causes == {}


def test_another_providers_calls_are_no_part_of_the_comparison(tmp_path: Path) -> None:
    file = openai(tmp_path / "costs.json", (DAY, [("gpt-4o", 0.01, None)]))
    log = [record(1), record(2, provider="anthropic", model="claude-sonnet-4-5")]
    found = reconciled(log, file)
    assert (found.metered_usd, found.causes) == (pytest.approx(0.01), {})


def test_currencies_are_converted_or_left_out_by_name(tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text(f'd,m,a,c\n{DAY},gpt-4o,"1,000.00",EUR\n{DAY},gpt-4o,5,CHF\n')
    columns = {"day": "d", "model": "m", "usd": "a", "currency": "c"}
    invoice = invoices.load(file, InvoiceConfig(columns=columns, usd_per_unit={"eur": 1.16}))
    assert [line.usd for line in invoice.lines] == [pytest.approx(1160.0)]
    assert "chf" in invoice.notes[0]


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", '{"data": []}', "[1, 2", '{"data": [{"results": 3}]}'])
def test_what_is_no_invoice_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "invoice"
    file.write_text(text)
    with pytest.raises(InputError):
        invoices.load(file, InvoiceConfig())


def test_a_table_without_a_mapping_is_refused_with_its_columns(tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text("Tag,Betrag\n1,2\n")
    with pytest.raises(UnknownFormat, match="Betrag"):
        invoices.load(file, InvoiceConfig())


@pytest.mark.parametrize(
    "name, short",
    [("gpt-4o-2024-08-06", "gpt-4o"), ("openai/gpt-4o", "gpt-4o"), ("Claude-Sonnet-4-5-20250929", "claude-sonnet-4-5"),
     ("gpt-4-0613", "gpt-4"), ("mistral-small-latest", "mistral-small"), ("gpt-4.1", "gpt-4.1")],
)  # fmt: skip
def test_versions_of_a_model_are_one_model(name: str, short: str) -> None:
    assert invoices.family(name) == short


def test_lines_of_the_report_name_every_cause() -> None:
    invoice = Invoice(
        provider=None, lines=(invoices.Billed(day=DAY, model="gpt-4o", kind="other", usd=1.0, decimals=2),)
    )
    found = reconcile.run(books([record(1)]).connection, invoice, InvoiceConfig(), PriceTable(), name="x")
    assert any(cause in line for cause in found.causes for line in found.lines())
