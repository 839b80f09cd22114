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


def test_injected_differences_are_explained_by_cause(tmp_path: Path) -> None:
    """A week of one invoice: each day differs for another reason, one day for a reason that the data cannot show."""
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
    result = reconciled(log, file, router_projects=("router",))
    by_day: dict[dt.date, dict[str, float]] = {}
    for row in result.rows:
        by_day.setdefault(row.day, {}).update(row.causes)
        assert sum(row.causes.values()) == pytest.approx(row.billed_usd - row.metered_usd, abs=1e-8)
    assert by_day[DAY] == {"bypass": pytest.approx(0.5)}
    assert by_day[after(1)] == {"cached_tokens": pytest.approx(10 * (cached - undiscounted))}
    assert by_day[after(2)] == {"cancelled": pytest.approx(3.6 * one)}
    assert set(by_day[after(3)]) <= {"rounding"}
    assert by_day[after(4)] == {"bypass": pytest.approx(0.25)}
    assert by_day[after(5)] == {"unknown": pytest.approx(0.7)}
    assert by_day[after(6)] == {"unpriced": pytest.approx(0.125)}
    assert sum(result.causes.values()) == pytest.approx(result.billed_usd - result.metered_usd)


def test_a_mostly_unmetered_bill_is_attributed_to_calls_outside_the_router(tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text(f"Date,SKU,Amount,Calls\n{DAY},gpt-4o,830.00,83000\n{DAY},gpt-4o,oops,\n")
    columns = {"day": "Date", "model": "SKU", "usd": "Amount", "requests": "Calls"}
    log = [record(n, cost_usd=0.0147) for n in range(100)]
    result = reconciled(log, file, columns=columns, provider="openai")
    assert result.metered_usd == pytest.approx(1.47)
    assert result.causes["bypass"] == pytest.approx(828.53, rel=0.002)
    assert len(result.notes) == 1


def test_anthropics_cost_report_is_read_in_cents(tmp_path: Path) -> None:
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


def test_contract_prices_are_not_a_difference(tmp_path: Path) -> None:
    file = openai(tmp_path / "costs.json", (DAY, [("gpt-4o", 0.01, None)]))
    assert reconciled([record(1, cost_usd=0.01)], file).causes == {}


def test_calls_to_other_providers_are_not_compared(tmp_path: Path) -> None:
    file = openai(tmp_path / "costs.json", (DAY, [("gpt-4o", 0.01, None)]))
    log = [record(1), record(2, provider="anthropic", model="claude-sonnet-4-5")]
    result = reconciled(log, file)
    assert (result.metered_usd, result.causes) == (pytest.approx(0.01), {})


def test_other_currencies_are_converted_or_reported_as_excluded(tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text(f'd,m,a,c\n{DAY},gpt-4o,"1,000.00",EUR\n{DAY},gpt-4o,5,CHF\n')
    columns = {"day": "d", "model": "m", "usd": "a", "currency": "c"}
    invoice = invoices.load(file, InvoiceConfig(columns=columns, usd_per_unit={"eur": 1.16}))
    assert [line.usd for line in invoice.lines] == [pytest.approx(1160.0)]
    assert "chf" in invoice.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "[]",
        "[3]",
        '{"data": {"results": []}}',
        '{"data": [{"start_time": 1, "results": [null]}]}',
        '{"data": []}',
        "[1, 2",
        '{"data": [{"results": 3}]}',
    ],
)
def test_a_file_that_is_not_an_invoice_is_refused(text: str, tmp_path: Path) -> None:
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
def test_versions_of_a_model_are_compared_as_one_model(name: str, short: str) -> None:
    assert invoices.family(name) == short


def test_the_report_names_every_cause() -> None:
    invoice = Invoice(
        provider=None, lines=(invoices.Billed(day=DAY, model="gpt-4o", kind="other", usd=1.0, decimals=2),)
    )
    summary = reconcile.run(books([record(1)]).connection, invoice, InvoiceConfig(), PriceTable(), name="x")
    assert any(cause in line for cause in summary.causes for line in summary.lines())


def test_text_amounts_broken_buckets_and_repeated_pages_are_handled(tmp_path: Path) -> None:
    start = int(dt.datetime.combine(DAY, dt.time(), dt.UTC).timestamp())
    good = {"start_time": start, "results": [
        {"amount": {"value": "0.0100000000", "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, input"},
        {"amount": {"value": 1e-05, "currency": "usd"}, "line_item": "gpt-4o-2024-08-06, cached input"},
        {"amount": "0.5", "line_item": "gpt-4o"}, None,
    ]}  # fmt: skip
    bad = {"start_time": "soon", "results": [{"amount": {"value": 1}, "line_item": "gpt-4o"}]}
    file = tmp_path / "costs.json"
    file.write_text(json.dumps([{"data": [good, bad]}, {"data": [good, {"results": [{}]}], "has_more": True}]))
    invoice = invoices.load(file, InvoiceConfig())
    assert [line.usd for line in invoice.lines] == [0.01, 1e-05]
    assert len(invoice.notes) == 3


def test_an_invoice_that_names_no_models_is_compared_by_day(tmp_path: Path) -> None:
    file = openai(tmp_path / "costs.json", (DAY, [(None, 0.03, None)]), (after(1), [(None, 0.01, None)]))  # type: ignore[list-item]
    log = [record(1), record(2, model="gpt-4o-mini"), record(3, at=1440)]
    result = reconciled(log, file)
    assert result.metered_usd == pytest.approx(0.03)
    assert {cause: round(usd, 6) for cause, usd in result.causes.items()} == {"unknown": 0.01}
    assert result.notes


def test_credits_tools_and_days_without_a_log_are_not_counted_as_calls_outside_the_router(tmp_path: Path) -> None:
    file = openai(
        tmp_path / "costs.json",
        (DAY, [("gpt-4o, input", 0.01, None), ("Web search tool calls", 0.3, None), ("Credit grant", -5.0, None)]),
        (after(-3), [("gpt-4o, input", 7.0, None)]), (after(40), [("gpt-4o, output", 2.0, None)]),
    )  # fmt: skip
    result = reconciled([record(1)], file)
    assert {cause: round(usd, 6) for cause, usd in result.causes.items()} == {
        "services": 0.3, "credit": -5.0, "not_logged": 9.0,
    }  # fmt: skip


def test_anthropics_cost_report_may_have_tools_tiers_and_damaged_lines(tmp_path: Path) -> None:
    results = [
        {"amount": "1", "currency": "USD", "model": "claude-sonnet-4-5-20250929", "cost_type": "tokens",
         "token_type": "output_tokens", "service_tier": "batch", "context_window": "0-200k"},
        {"amount": "250", "currency": "USD", "model": None, "cost_type": "web_search", "token_type": None},
        {"amount": "much", "model": "claude-sonnet-4-5", "cost_type": "tokens"}, {"amount": None}, 3,
    ]  # fmt: skip
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"data": [{"starting_at": f"{DAY}T00:00:00Z", "results": results}, {"results": []}]}))
    invoice = invoices.load(file, InvoiceConfig())
    assert [(line.model, line.usd, line.is_model) for line in invoice.lines] == [
        ("claude-sonnet-4-5", 0.01, True), ("web_search", 2.5, False),
    ]  # fmt: skip
    assert invoice.lines[0].decimals == 2
    assert "3 lines" in invoice.notes[0]


@pytest.mark.parametrize(
    "billed, logged",
    [
        ("Claude Sonnet 4.5", "claude-sonnet-4-5-20250929"),
        ("claude-3-7-sonnet-20250219", "Claude Sonnet 3.7"),
        ("us.anthropic.claude-haiku-4-5-20251001-v1:0", "claude-haiku-4-5"),
        ("claude-3-opus@20240229", "claude-3-opus-latest"),
        ("gpt-4.1-2025-04-14", "openai/gpt-4.1"),
        ("gpt-4-0613", "gpt-4"),
    ],
)
def test_spellings_of_a_model_name_are_one_model(billed: str, logged: str) -> None:
    assert invoices.family(billed) == invoices.family(logged)


def test_different_models_keep_different_names() -> None:
    names = ("gpt-4.1", "gpt-4.1-mini", "gpt-4", "gpt-4o", "claude-sonnet-4-5", "claude-sonnet-4", "claude-opus-4-5")
    assert len({invoices.family(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    "head, cell, currency",
    [("Amount (EUR)", "12.50", "eur"), ("Amount", "€12,50", "eur"), ("Amount", "£12.50", "gbp"),
     ("cost_usd", "12.50", "usd"), ("Amount", "12.50 CHF", "chf"), ("Amount", "US$12.50", "usd")],
)  # fmt: skip
def test_other_currencies_are_never_read_as_dollars(head: str, cell: str, currency: str, tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text(f'd;m;{head}\n{DAY};gpt-4o;{cell}\n{DAY};"Total";\n')
    columns = {"day": "d", "model": "m", "usd": head}
    invoice = invoices.load(
        file, InvoiceConfig(columns=columns, usd_per_unit={currency: 2.0} if currency != "usd" else {})
    )
    assert [line.usd for line in invoice.lines] == [12.5 if currency == "usd" else 25.0]
    if currency != "usd":
        with pytest.raises(InputError):
            invoices.load(file, InvoiceConfig(columns=columns))


def test_the_csv_export_of_anthropics_console_is_read(tmp_path: Path) -> None:
    file = tmp_path / "cost.csv"
    file.write_text(
        "usage_date_utc,model,workspace,api_key,usage_type,token_type,cost_usd\n"
        f"{DAY},Claude Sonnet 4.5,Default,router,message,output_tokens,1.25\n"
    )
    invoice = invoices.load(file, InvoiceConfig())
    assert (invoice.provider, invoice.lines[0].model, invoice.lines[0].usd) == ("anthropic", "claude-sonnet-4-5", 1.25)


@pytest.mark.parametrize(
    "column, first",
    [
        (["2026-11-02T23:30:00-05:00"], dt.date(2026, 11, 3)),
        (["2026-11-02 00:00:00 UTC"], dt.date(2026, 11, 2)),
        (["02.11.2026"], dt.date(2026, 11, 2)),
        (["2 Nov 2026"], dt.date(2026, 11, 2)),
        (["02/11/2026", "13/11/2026"], dt.date(2026, 11, 2)),
        (["11/02/2026", "11/13/2026"], dt.date(2026, 11, 2)),
        (["02/11/2026"], None),
        (["13/11/2026", "11/13/2026"], None),
        (["yesterday"], None),
    ],
)
def test_ambiguous_dates_are_refused(column: list[str], first: dt.date | None, tmp_path: Path) -> None:
    file = tmp_path / "bill.csv"
    file.write_text("d;m;a\n" + "".join(f"{day};gpt-4o;1,5\n" for day in column))
    config = InvoiceConfig(columns={"day": "d", "model": "m", "usd": "a"})
    if first is None:
        with pytest.raises(InputError):
            invoices.load(file, config)
    else:
        assert invoices.load(file, config).lines[0].day == first
