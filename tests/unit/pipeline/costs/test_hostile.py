"""Hostile names, files and dates."""

import csv
import datetime as dt
import io
from pathlib import Path

import pytest

from pipeline import costs
from pipeline.costs import customers, ledger
from pipeline.costs.customers import Customers, Subscription
from pipeline.costs.ledger import PeriodRequest
from pipeline.store.period import Days
from tests.fakes.metered import books, record
from traffic.errors import InputError

NOVEMBER = (dt.date(2026, 11, 1), dt.date(2026, 12, 1))


def header(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline="")))


def test_tag_names_cannot_inject_formulas_or_columns_into_the_csv() -> None:
    listed = books([record(1, cohort={"usd": "x", "=1+1": "y"})])
    names = header(costs.run(listed, by=["usd", "=1+1"]).csv_text())
    assert names[:2] == ["cohort.usd", "'=1+1"]
    assert len(set(names)) == len(names)


def test_a_repeated_dimension_is_shown_once() -> None:
    assert costs.run(books([record(1)]), by=["feature", "model", "feature"]).by == ("feature", "model")


def test_names_cannot_inject_terminal_control_sequences() -> None:
    listed = [record(1, feature="\x1b[2Jred\nnext\u202e"), record(2, model="\x1b]0;x\x07", cost_usd=None)]
    lines = costs.run(books(listed), by=["feature"]).lines()
    assert all(character.isprintable() for line in lines for character in line)
    assert any("\\x1b[2Jred\\nnext\\u202e" in line for line in lines)


def test_an_empty_name_counts_as_missing() -> None:
    totals = books(
        [record(1, feature="", call_site=" ", customer_id="", cohort={"plan": "", "language": ""}, model="")]
    )
    for by, name in {"feature": "(none)", "call_site": "(none)", "customer": "(none)", "plan": "(unknown)",
                     "language": "(none)", "model": "(unknown)"}.items():  # fmt: skip
        assert costs.run(totals, by=[by]).rows[0].key == (name,)


def test_customers_outside_their_paying_period_are_not_counted() -> None:
    known = Customers((Subscription("acme", "pro", *NOVEMBER),))
    totals = books([record(1), record(2, customer_id=None), record(3, customer_id="free user")], customers=known)
    rows = {row.key[0]: row.customers for row in costs.run(totals, by=["customer"], per="customer").rows}
    assert rows == {"acme": 1, "(none)": 0, "free user": 0}


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(InputError):
        ledger.period(books([record(1)]).connection, PeriodRequest(days=Days(NOVEMBER[1], NOVEMBER[0])))


def test_a_period_without_records_has_no_costs() -> None:
    connection = books([record(1)]).connection
    of = ledger.period(connection, PeriodRequest("2027-02"))
    assert (of.days, of.logged_days) == (28, 0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_customer_files_are_read_in_the_encoding_of_their_byte_order_mark(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes("Customer ID\tPlan\tPaying From\tPaying until\r\nMüller\tpro\t2026-11-01\t\r\n".encode(encoding))
    (subscription,) = customers.load(file).subscriptions
    assert (subscription.customer_id, subscription.plan) == ("Müller", "pro")


def test_a_duplicate_column_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("customer_id,customer_id,plan,paying_from\na,b,pro,2026-11-01\n")
    with pytest.raises(InputError):
        customers.load(file)


def test_overlapping_payment_periods_count_once() -> None:
    twice = (Subscription("acme", "pro", *NOVEMBER), Subscription("acme", "team", dt.date(2026, 11, 2), NOVEMBER[1]))
    known = Customers((*twice, *twice))
    assert known.paying(*NOVEMBER) == {"": 1, "pro": 1, "team": 1}
    summary = costs.run(books([record(1, cohort={})], customers=known), by=["plan"], per="customer")
    assert [(row.key, row.attempts) for row in summary.rows] == [(("team",), 1)]
    assert summary.total.usd == 0.01
