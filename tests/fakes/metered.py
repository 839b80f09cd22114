"""Records with costs for tests of the cost reports, and books over them without a store on disk."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

import duckdb
import msgspec

from pipeline.costs import Books, cells, ledger
from pipeline.costs.config import CostsConfig
from pipeline.costs.customers import Customers
from pipeline.costs.ledger import PeriodRequest
from pipeline.store.derived import arrow_row
from pipeline.store.period import Days
from traffic.callsites import Registry
from traffic.prices import Machines, PriceTable
from traffic.record import Output, Record, Usage, to_table

START = dt.datetime(2026, 11, 2, 9, tzinfo=dt.UTC)


def record(n: int | str, **fields: Any) -> Record:
    """One attempt: 100 tokens in, 10 out, for 1 cent, unless told otherwise. `at`: minutes after START."""
    at = fields.pop("at", n if isinstance(n, int) else 0)
    values: dict[str, Any] = {
        "id": f"r{n}", "request_id": f"r{n}", "ts": START + dt.timedelta(minutes=at), "call_site": "desk.topic",
        "feature": "desk", "customer_id": "acme", "cohort": {"plan": "pro"}, "messages": msgspec.Raw(b"[]"),
        "output": Output(text="yes", finish_reason="stop"), "usage": Usage(input_uncached=100, output=10),
        "provider": "openai", "model": "gpt-4o", "tier": 2, "latency_ms": 500.0, "cost_usd": 0.01,
        "price_source": "logged", "source_format": "native",
    }  # fmt: skip
    return Record(**(values | fields))


def books(
    records: Sequence[Record], config: CostsConfig | None = None, *, customers: Customers | None = None,
    machines: Machines | None = None, prices: PriceTable | None = None, registry: Registry | None = None,
) -> Books:  # fmt: skip
    """Books over all days of the records."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set TimeZone = 'UTC'")
    connection.register("records", to_table(arrow_row(r) for r in records))
    first, last = (min(r.ts for r in records).date(), max(r.ts for r in records).date())
    connection.execute("create table feedback (id varchar, thumb varchar)")
    connection.execute(f"create table cells as {cells.query(first, last + dt.timedelta(1))}")
    of = ledger.period(connection, PeriodRequest(days=Days(first, last + dt.timedelta(1))))
    notes = ledger.build(
        connection, of, config or CostsConfig(), prices=prices or PriceTable(), machines=machines or Machines(),
        customers=customers or Customers(()), registry=registry or Registry(),
    )  # fmt: skip
    return Books(connection, of, customers, notes)
