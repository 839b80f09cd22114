"""Prices the daily cells: the temp table `spent`, with an amount in USD per cell.

Hosted models: the logged cost, else the price table. Own machines are paid by the hour: busy time is shared among the
requests in proportion to their latency, idle time is a separate line. Unpriced attempts have a null amount and are
counted.
"""

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

import duckdb
import msgspec

from pipeline.costs.cells import MONEY, text_sql
from pipeline.costs.config import CostsConfig
from pipeline.costs.customers import Customers
from pipeline.store.period import ALL_DAYS, Days
from traffic.callsites import Registry
from traffic.errors import InputError
from traffic.prices import MTOK, Machines, PriceTable

IDLE = "(idle own machines)"
_MS_PER_HOUR = 3_600_000.0
_DAY = dt.timedelta(1)


def named(column: str, otherwise: str) -> str:
    """SQL expression for a name of the log; `otherwise` for an empty one."""
    return f"coalesce(nullif(trim({column}), ''), '{otherwise}')"


DIMENSIONS: Mapping[str, str] = {
    "feature": named("feature", "(none)"),
    "call_site": named("call_site", "(none)"),
    "plan": named("plan", "(unknown)"),
    "model": named("model", "(unknown)"),
    "provider": named("provider", "(unknown)"),
    "tier": "coalesce('tier ' || tier, '(no tier)')",
    "type": named("request_type", "(unknown)"),
    "customer": named("customer_id", "(none)"),
    "purpose": "purpose",
    "day": "strftime(day, '%Y-%m-%d')",
    "month": "strftime(day, '%Y-%m')",
}
"""Dimensions of costs, as SQL expressions over `spent`. Every cohort tag is one too."""
TAG = "cohort."
"""Prefix of a tag whose name is also a dimension's."""


def tags(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Names of the cohort tags in the log, without the plan, which is a dimension."""
    rows = connection.execute(
        "select distinct unnest(map_keys(cohort)) as tag from cells where cohort is not null order by 1"
    ).fetchall()
    return [row[0] for row in rows]


def tag_sql(name: str) -> str:
    """SQL expression for the value of a cohort tag, `cohort.NAME` or `NAME`."""
    return named(f"cohort[{text_sql(name.removeprefix(TAG))}]", "(none)")


# The prompt-cache discount of an answer without usage is that of the answers with usage of the same day, call site and
# model.
_SPENT = """
create or replace temp table spent as
with period as (select * from cells where day >= date '{since}' and day < date '{until}'),
stated as (
    select day as at, call_site as site, provider as of, model as named,
           sum(cache_read) / nullif(sum(input_uncached + cache_read + cache_write), 0) as cached
    from period where state = 'priced' and without_usage = 0 group by all
),
rated as (
    select p.*, p.cost_usd::double - coalesce(p.input_uncached * s.cached * r.discount / {mtok}, 0) as discounted_usd,
           case when p.without_usage = 0 and p.at_list_price then (p.input_uncached * r.plain + p.cache_read * r.read
               + p.cache_write * r.write + p.output * r.output) / {mtok} end as listed_usd
    from period p
    left join stated s on s.at = p.day and s.site is not distinct from p.call_site
         and s.of is not distinct from p.provider and s.named is not distinct from p.model
    left join rates r on r.day = p.day and r.provider is not distinct from p.provider and r.model = p.model
)
select c.* exclude (request_type, plan, discounted_usd, listed_usd),
       coalesce(c.request_type, g.request_type) as request_type, coalesce(c.plan, u.plan) as plan,
       u.customer_id is not null as paying,
       case state when 'priced' then c.cost_usd when 'free' then 0
                  else try_cast(case state when 'estimated' then discounted_usd when 'unpriced' then listed_usd
                                when 'own' then h.usd * c.latency_ms::double / nullif(h.latency_ms, 0) end
                                as {money}) end as usd
from rated c
left join registered g on g.call_site = c.call_site
left join subscribed u on u.customer_id = c.customer_id and c.day >= u.start and c.day < u.stop
left join hours h on c.state = 'own' and h.day = c.day and h.endpoint is not distinct from c.endpoint
"""


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """Reported days: [since, until)."""

    since: dt.date
    until: dt.date
    logged_days: int
    """Days with records."""

    @property
    def days(self) -> int:
        return (self.until - self.since).days


class PeriodRequest(NamedTuple):
    """What to report: a month, or days; by default the last month that has records, or with `everything` the log."""

    month: str | None = None
    """2026-11"""
    days: Days = ALL_DAYS
    everything: bool = False


LAST_MONTH = PeriodRequest()


def period(connection: duckdb.DuckDBPyConnection, request: PeriodRequest) -> Period:
    """The given month or days. Raises: InputError if `until` is not later."""
    month, (since, until) = request.month, request.days
    if month is None and request.days == ALL_DAYS and not request.everything:
        month = connection.execute("select strftime(max(day), '%Y-%m') from cells").fetchall()[0][0]
    if month is not None:
        first = dt.date.fromisoformat(f"{month}-01")
        since, until = first, (first + dt.timedelta(32)).replace(day=1)
    low, high = connection.execute("select min(day), max(day) + 1 from cells").fetchall()[0]
    since, until = since or low, until or high
    if until <= since:
        raise InputError(f"no day from {since} up to, not including, {until}; the log has {low} to {high - _DAY}")
    logged = connection.execute(
        "select count(distinct day) from cells where day >= ? and day < ?", [since, until]
    ).fetchall()[0][0]
    return Period(since=since, until=until, logged_days=logged)


def build(
    connection: duckdb.DuckDBPyConnection,
    of: Period,
    config: CostsConfig,
    *,
    prices: PriceTable,
    machines: Machines,
    customers: Customers,
    registry: Registry,
) -> tuple[str, ...]:
    """Create the temp table `spent` of a period; returns notes on its assumptions. Raises: ConfigError, NotFound."""
    connection.execute(
        "create or replace temp table rates (day date, provider varchar, model varchar, plain double, read double, "
        "write double, output double, discount double)"
    )
    rates, notes = _rates(connection, of, prices)
    _insert(connection, "rates", rates)
    connection.execute("create or replace temp table registered (call_site varchar, request_type varchar)")
    _insert(connection, "registered", [(s.name, s.request_type) for s in registry.call_sites if s.request_type])
    connection.execute(
        "create or replace temp table subscribed (customer_id varchar, plan varchar, start date, stop date)"
    )
    _insert(connection, "subscribed", _disjoint(customers, of))
    idle, machine_notes = _hours(connection, of, config, machines)
    connection.execute(_SPENT.format(since=of.since, until=of.until, mtok=MTOK, money=MONEY))
    for day, name, usd in idle:
        connection.execute(
            "insert into spent by name select ?::date as day, ? as feature, ? as call_site, ? as model, 1 as tier, "
            "'idle' as purpose, 'idle' as state, false as answered, false as cache_hit, 0 as attempts, 0 as requests, "
            "? as usd",
            [day, IDLE, IDLE, name, usd],
        )
    return (*notes, *machine_notes, *customers.notes)


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: list[tuple[object, ...]]) -> None:
    if rows:
        marks = ", ".join("?" * len(rows[0]))
        connection.executemany(f"insert into {table} values ({marks})", rows)  # noqa: S608 -- own table name


def _rates(
    connection: duckdb.DuckDBPyConnection, of: Period, prices: PriceTable
) -> tuple[list[tuple[object, ...]], list[str]]:
    """Prices of models with estimated costs, or without a price when their records were ingested."""
    rows = connection.execute(
        "select distinct day, provider, model, state from cells where (state = 'estimated' or (state = 'unpriced' "
        "and at_list_price)) and model is not null and day >= ? and day < ?",
        [of.since, of.until],
    ).fetchall()
    rates: dict[tuple[dt.date, str | None, str], tuple[object, ...]] = {}
    later = set()
    for day, provider, model, state in rows:
        try:
            price = prices.price(model, provider, day)
        except LookupError:
            continue
        plain, read = price.input_mtok_usd, price.read_mtok_usd
        # Daily totals do not have the lengths of prompts, so prices with steps cannot be applied to them; nor the rest.
        by_totals = not (price.steps or price.request_usd or price.reasoning_mtok_usd is not None)
        listed = (plain, read, price.write_mtok_usd, price.output_mtok_usd) if by_totals else (None,) * 4
        rates[day, provider, model] = (day, provider, model, *listed, plain - read)
        if state == "unpriced" and by_totals:
            later.add(model)
    notes = [f"priced now, not when the log was read: {', '.join(sorted(later))}"] if later else []
    return list(rates.values()), notes


def _disjoint(customers: Customers, of: Period) -> list[tuple[object, ...]]:
    """Subscriptions of the period; of two that overlap, the earlier one ends when the later one begins."""
    by_customer: dict[str, list[tuple[str, dt.date, dt.date]]] = {}
    for s in sorted(customers.subscriptions, key=lambda s: (s.customer_id, s.start, s.end)):
        if not s.pays(of.since, of.until):
            continue
        listed = by_customer.setdefault(s.customer_id, [])
        if listed and listed[-1][2] > s.start:
            listed[-1] = (listed[-1][0], listed[-1][1], s.start)
        listed.append((s.plan, s.start, s.end))
    return [
        (name, plan, start, end) for name, listed in by_customer.items() for plan, start, end in listed if start < end
    ]


def _hours(
    connection: duckdb.DuckDBPyConnection, of: Period, config: CostsConfig, machines: Machines
) -> tuple[list[tuple[dt.date, str, float]], list[str]]:
    """Fill `hours` (cost of each own endpoint's busy time, by day); returns idle time by day and machine, and notes."""
    connection.execute("create or replace temp table hours (day date, endpoint varchar, usd double, latency_ms double)")
    used: dict[tuple[dt.date, str | None], tuple[float, float]] = {
        (day, endpoint): (busy, latency)
        for day, endpoint, busy, latency in connection.execute(
            "select day, endpoint, sum(busy_ms)::double, sum(latency_ms)::double from cells where state = 'own' "
            "and day >= ? and day < ? group by 1, 2",
            [of.since, of.until],
        ).fetchall()
    }
    first: dict[str | None, dt.date] = dict(
        connection.execute("select endpoint, min(day) from cells where state = 'own' group by 1").fetchall()
    )
    last = connection.execute("select max(day) from cells").fetchall()[0][0]
    named = {entry.endpoint for entry in config.machines if entry.endpoint}
    idle: list[tuple[dt.date, str, float]] = []
    rows: list[tuple[object, ...]] = []
    for entry in config.machines:
        served = [entry.endpoint] if entry.endpoint else [name for name in first if name not in named]
        first_day = entry.from_ or min((first[name] for name in served if name in first), default=None)
        if first_day is None:
            continue
        end = min(entry.until or dt.date.max, of.until, last + dt.timedelta(1))
        day = max(first_day, of.since)
        while day < end:
            usd = entry.hours_per_day * entry.rate_usd_per_hour(machines)
            busy = sum(used.get((day, name), (0.0, 0.0))[0] for name in served)
            share = min(1.0, busy / (entry.hours_per_day * _MS_PER_HOUR))
            for name in served:
                usage = used.get((day, name), (0.0, 0.0))
                if usage[1]:
                    rows.append((day, name, usd * share * usage[0] / busy if busy else 0.0, usage[1]))
            idle.append((day, entry.name, usd * (1 - share)))
            day += dt.timedelta(1)
    _insert(connection, "hours", rows)
    return idle, _machine_notes(config, used, rows)


def _machine_notes(
    config: CostsConfig, used: Mapping[tuple[dt.date, str | None], object], rows: list[tuple[object, ...]]
) -> list[str]:
    priced = {(row[0], row[1]) for row in rows}
    missing = sorted({endpoint or "(unnamed)" for day, endpoint in used if (day, endpoint) not in priced})
    notes = []
    if missing:
        notes.append(f"own machines without a price by the hour: {', '.join(missing)}; see configs/costs.yaml")
    if config.machines and priced:
        notes.append("own machines: busy time is shared in proportion to latency; idle time is a separate line")
    return notes
