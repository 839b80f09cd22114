"""Cost of the AI in each feature: by feature, plan, model, tier, type, customer and day.

    fasttier costs --by feature,plan --per customer --month 2026-11 --customers customers.csv

Reads the records store through daily totals cached in <home>/costs/cells/. Retries, escalations, shadows, audits,
cancelled streams and hours of own machines are charged to the feature whose request caused them.
"""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec

from pipeline.costs import cells, customers, invoices, ledger, reconcile, report
from pipeline.costs.config import CostsConfig
from pipeline.costs.customers import Customers
from pipeline.costs.ledger import LAST_MONTH, Period, PeriodRequest
from pipeline.costs.reconcile import Reconciliation
from pipeline.costs.summary import CostsSummary
from pipeline.store import Overlay
from pipeline.store.period import Days
from traffic import callsites
from traffic.artifacts import Home, write_atomic
from traffic.errors import InputError
from traffic.prices import Machines, PriceTable

__all__ = ["Books", "CostsConfig", "CostsSummary", "PeriodRequest", "against_invoice", "open_books", "run"]


class Books(msgspec.Struct, frozen=True):
    """Costs of a period: a connection with the temp table `spent`."""

    connection: duckdb.DuckDBPyConnection
    period: Period
    customers: Customers | None
    notes: tuple[str, ...]


def open_books(
    config: CostsConfig, *, home: Home, prices: PriceTable, machines: Machines, customers_file: Path | None = None,
    asked: PeriodRequest = LAST_MONTH, overlay: Overlay | None = None,
) -> Books:  # fmt: skip
    """Update the daily totals and price them.

    `overlay`: uncommitted records to include. Raises: NotFound, InputError, ConfigError.
    """
    connection = cells.connect(home, overlay)
    period = ledger.period(connection, asked)
    file = customers_file or home.root / customers.FILE
    paying = customers.load(file) if customers_file or file.is_file() else None
    notes = ledger.build(
        connection, period, config, prices=prices, machines=machines, customers=paying or Customers(()),
        registry=callsites.load_or_empty(home.root / callsites.FILE),
    )  # fmt: skip
    return Books(connection, period, paying, notes)


def run(
    books: Books,
    *,
    by: Sequence[str],
    per: str | None = None,
    where: Sequence[tuple[str, str]] = (),
    csv: Path | None = None,
) -> CostsSummary:
    """Sums by the dimensions in `by`, filtered by `where`. Raises: InputError."""
    if per == "customer" and books.customers is None:
        raise InputError(
            "costs per customer need --customers FILE: a CSV with customer_id, plan, paying_from, paying_until"
        )
    by = tuple(dict.fromkeys(by))
    period = books.period
    paying = books.customers.paying(period.since, period.until) if books.customers else None
    idle = books.connection.execute("select sum(usd)::double from spent where purpose = 'idle'").fetchall()[0][0]
    result = CostsSummary(
        period=period, by=by, per=per, total=report.lines(books.connection, (), paying, where)[0],
        rows=tuple(report.lines(books.connection, by, paying, where)), idle_usd=idle,
        unpriced=tuple(report.unpriced(books.connection, where)), paying_customers=paying[""] if paying else None,
        notes=books.notes, csv=str(csv) if csv else None,
    )  # fmt: skip
    if csv:
        write_atomic(csv, result.csv_text())
    return result


def against_invoice(
    file: Path, config: CostsConfig, *, home: Home, prices: PriceTable, machines: Machines
) -> Reconciliation:
    """Reconcile metered and billed amounts over the invoice's days. Raises: NotFound, InputError, ConfigError."""
    invoice = invoices.load(file, config.invoice)
    days = [line.day for line in invoice.lines]
    books = open_books(
        config, home=home, prices=prices, machines=machines,
        asked=PeriodRequest(days=Days(min(days), max(days) + dt.timedelta(1))),
    )  # fmt: skip
    return reconcile.run(books.connection, invoice, config.invoice, prices, name=str(file))
