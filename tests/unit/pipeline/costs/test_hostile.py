"""Names, files and dates that nobody would choose."""

import csv
import datetime as dt
import io
from pathlib import Path

import pytest

from pipeline import costs
from pipeline.costs import customers, ledger
from pipeline.costs.customers import Customers, Subscription
from pipeline.costs.ledger import Asked
from pipeline.store.period import Days
from tests.fakes.metered import books, record
from traffic.errors import InputError

NOVEMBER = (dt.date(2026, 11, 1), dt.date(2026, 12, 1))


def header(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text, newline="")))


def test_names_of_tags_are_no_formulas_and_no_columns_of_the_csv_file() -> None:
    listed = books([record(1, cohort={"usd": "x", "=1+1": "y"})])
    found = header(costs.run(listed, by=["usd", "=1+1"]).csv_text())
    assert found[:2] == ["cohort.usd", "'=1+1"]
    assert len(set(found)) == len(found)


def test_a_dimension_that_is_asked_for_twice_is_shown_once() -> None:
    assert costs.run(books([record(1)]), by=["feature", "model", "feature"]).by == ("feature", "model")


def test_names_cannot_command_the_terminal() -> None:
    listed = [record(1, feature="\x1b[2Jred\nnext\u202e"), record(2, model="\x1b]0;x\x07", cost_usd=None)]
    lines = costs.run(books(listed), by=["feature"]).lines()
    assert all(character.isprintable() for line in lines for character in line)
    assert any("\\x1b[2Jred\\nnext\\u202e" in line for line in lines)


def test_an_empty_name_is_no_name() -> None:
    found = books([record(1, feature="", call_site=" ", customer_id="", cohort={"plan": "", "language": ""}, model="")])
    for by, name in {"feature": "(none)", "call_site": "(none)", "customer": "(none)", "plan": "(unknown)",
                     "language": "(none)", "model": "(unknown)"}.items():  # fmt: skip
        assert costs.run(found, by=[by]).rows[0].key == (name,)


def test_who_does_not_pay_is_no_paying_customer() -> None:
    known = Customers((Subscription("acme", "pro", *NOVEMBER),))
    found = books([record(1), record(2, customer_id=None), record(3, customer_id="free user")], customers=known)
    rows = {row.key[0]: row.customers for row in costs.run(found, by=["customer"], per="customer").rows}
    assert rows == {"acme": 1, "(none)": 0, "free user": 0}


def test_days_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(InputError):
        ledger.period(books([record(1)]).connection, Asked(days=Days(NOVEMBER[1], NOVEMBER[0])))


def test_a_period_without_records_has_no_costs() -> None:
    connection = books([record(1)]).connection
    of = ledger.period(connection, Asked("2027-02"))
    assert (of.days, of.logged_days) == (28, 0)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_of_customers_are_read_in_the_encodings_that_spreadsheets_mark(encoding: str, tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_bytes("Customer ID\tPlan\tPaying From\tPaying until\r\nMüller\tpro\t2026-11-01\t\r\n".encode(encoding))
    (found,) = customers.load(file).subscriptions
    assert (found.customer_id, found.plan) == ("Müller", "pro")


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "customers.csv"
    file.write_text("customer_id,customer_id,plan,paying_from\na,b,pro,2026-11-01\n")
    with pytest.raises(InputError):
        customers.load(file)


def test_overlapping_payments_of_a_customer_count_once_and_cost_once() -> None:
    twice = (Subscription("acme", "pro", *NOVEMBER), Subscription("acme", "team", dt.date(2026, 11, 2), NOVEMBER[1]))
    known = Customers((*twice, *twice))
    assert known.paying(*NOVEMBER) == {"": 1, "pro": 1, "team": 1}
    found = costs.run(books([record(1, cohort={})], customers=known), by=["plan"], per="customer")
    assert [(row.key, row.attempts) for row in found.rows] == [(("team",), 1)]
    assert found.total.usd == 0.01
