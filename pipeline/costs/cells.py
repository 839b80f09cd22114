"""Cache of daily totals of the records store, by every dimension of costs.

    <home>/costs/cells/<day>-<key>.parquet

A day is aggregated again only if its records or links changed, or those of the day before, where a request may have
begun. Every view of costs reads these cells, so all show the same numbers.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from pipeline import store
from pipeline.store import Overlay
from pipeline.store.database import write_parquet
from pipeline.store.identity import paths_sql
from traffic.artifacts import Home, hash8
from traffic.errors import NotFound
from traffic.prices import LIST_PRICE

DAYS_AT_ONCE = 31
MONEY = "decimal(30, 12)"
"""Amounts are summed exactly: every order and every grouping gives the same sum."""
_SAMPLE = 200_000
_MOST_VALUES = 100
FAST_MS = 1000
"""The playbook's bar for the latency of Tier 1."""

# Dimensions of the request (feature, plan, customer, ...) come from the attempt that served it and apply to its
# retries, escalations, shadows and audits; model, tier and endpoint are those of each attempt.
_QUERY = """
with attempts as not materialized (
    select r.id, r.request_id, r.purpose, r.attempt, r.ts, coalesce(r.feature, r.call_site) as feature, r.call_site,
           r.request_type, {cohort} as cohort, r.customer_id, r.provider, r.model, r.tier, r.endpoint,
           (r.adapter is not null or r.provider in ('vllm', 'classifier')) and r.cost_usd is null as own,
           try_cast(r.cost_usd as {money}) as cost_usd, r.usage is not null as has_usage,
           r.usage.input_uncached as input_uncached, r.usage.cache_read as cache_read,
           r.usage.cache_write as cache_write, r.usage.output as output, r.status, r.cache_hit, r.latency_ms,
           -- What totals of tokens do not tell apart has prices of its own.
           greatest(r.usage.input_audio, r.usage.output_audio, r.usage.web_searches, r.usage.cache_write_1h, 0) = 0
               and coalesce(try_cast(r.params.other as json)->>'service_tier', 'default') in ({list_price})
               as at_list_price,
           r.template is not null as shaped, r.input_chars, coalesce(r.price_source, '') as price_source
    from records r where r.ts >= timestamptz '{before}' and r.ts < timestamptz '{end}'
),
beside as (select * from attempts where purpose <> 'serve' and ts >= timestamptz '{start}'),
origin as (
    -- For requests with several attempts: the request's dimensions, and the attempt whose answer was sent.
    select request_id, arg_min(struct_pack(feature := feature, call_site := call_site, request_type := request_type,
                                           cohort := cohort, customer_id := customer_id), ts)
               filter (where purpose = 'serve') as of,
           arg_max(id, (attempt, ts, id)) filter (where purpose in ('serve', 'retry', 'escalation')
                                                    and status between 200 and 399) as final
    from attempts where request_id in (select request_id from beside) group by 1
),
attributed as not materialized (
    select s.*, s.status between 200 and 399 and coalesce(o.final = s.id, true) as answered
    from attempts s left join origin o using (request_id)
    where s.purpose = 'serve' and s.ts >= timestamptz '{start}'
    union all by name
    select b.* replace (
        coalesce(o.of.feature, b.feature) as feature, coalesce(o.of.call_site, b.call_site) as call_site,
        coalesce(o.of.request_type, b.request_type) as request_type,
        map_concat(coalesce(b.cohort, map{{}}), coalesce(o.of.cohort, map{{}})) as cohort,
        coalesce(o.of.customer_id, b.customer_id) as customer_id), coalesce(o.final = b.id, false) as answered
    from beside b left join origin o using (request_id)
),
occupied as (
    -- Busy time of an own endpoint, as a union: each attempt adds the time that no earlier one covered.
    select id, greatest(0, stop - greatest(start, coalesce(max(stop) over (
               partition by endpoint, cast(ts as date) order by start, id
               rows between unbounded preceding and 1 preceding), start))) as busy_ms
    from (select id, endpoint, ts, epoch_ms(ts) as start, epoch_ms(ts) + coalesce(latency_ms, 0) as stop
          from attempts where own and ts >= timestamptz '{start}')
),
stated as (
    select a.*, case when own then 'own'
                     when cost_usd is not null and price_source like '%estimated usage' then 'estimated'
                     when cost_usd is not null then 'priced'
                     when cache_hit then 'free'
                     -- A refused request is not billed; one that timed out or was cancelled may be.
                     when not has_usage and status not between 200 and 399 and status not in (0, 408, 499, 504)
                         then 'free'
                     when has_usage then 'unpriced' else 'no_usage' end as state,
           coalesce(o.busy_ms, 0) as busy_ms
    from attributed a left join occupied o using (id)
)
select * replace (case when cardinality(cohort) > (cohort['plan'] is not null)::int
                  then map_from_entries(list_filter(map_entries(cohort), lambda e: e.key <> 'plan')) end as cohort),
       cohort['plan'] as plan
from (
select cast(ts as date) as day, feature, call_site, request_type, cohort, customer_id, provider, model, tier, purpose,
       endpoint, state, at_list_price, answered, cache_hit, count(*) as attempts,
       count(*) filter (where purpose = 'serve') as requests, sum(cost_usd) as cost_usd,
       coalesce(sum(input_uncached), 0)::bigint as input_uncached, coalesce(sum(cache_read), 0)::bigint as cache_read,
       coalesce(sum(cache_write), 0)::bigint as cache_write, coalesce(sum(output), 0)::bigint as output,
       count(*) filter (where not has_usage) as without_usage, count(*) filter (where status = 499) as cancelled,
       count(*) filter (where status not between 200 and 399) as errors,
       coalesce(sum(try_cast(latency_ms as {money})), 0) as latency_ms, sum(try_cast(busy_ms as {money})) as busy_ms,
       count(*) filter (where latency_ms <= {fast_ms} and status between 200 and 399) as fast,
       coalesce(sum(greatest(0, input_chars // 4 - coalesce(input_uncached + cache_read + cache_write, 0)))
                filter (where shaped and has_usage), 0)::bigint as tokens_shaped_away
from stated group by all
)
"""


def query(start: dt.date, end: dt.date, without: Sequence[str] = ()) -> str:
    """Query of the cells from day `start` up to, not including, `end`; `without`: tags to leave out."""
    cohort = "r.cohort"
    if without:
        names = ", ".join(map(text_sql, without))
        cohort = f"map_from_entries(list_filter(map_entries(r.cohort), lambda e: e.key not in ({names})))"
    return _QUERY.format(
        before=f"{start - dt.timedelta(1)} 00:00:00+00", start=f"{start} 00:00:00+00", end=f"{end} 00:00:00+00",
        fast_ms=FAST_MS, cohort=cohort, money=MONEY, list_price=", ".join(map(text_sql, sorted(LIST_PRICE))),
    )  # fmt: skip


def text_sql(text: str) -> str:
    """A text of the log as an SQL literal."""
    return "'" + text.replace("'", "''").replace("\0", "") + "'"


def _many_valued(connection: duckdb.DuckDBPyConnection, start: dt.date, end: dt.date) -> list[str]:
    """Tags with too many values for cohorts, such as request ids: they would give one cell per record."""
    rows = connection.execute(f"""
        select tag.key from (
            select unnest(map_entries(cohort)) as tag from (
                select cohort from records
                where ts >= timestamptz '{start} 00:00:00+00' and ts < timestamptz '{end} 00:00:00+00'
                limit {_SAMPLE}
            )
        ) where tag.key <> 'plan' group by 1 having approx_count_distinct(tag.value) > {_MOST_VALUES} order by 1
    """).fetchall()  # noqa: S608 -- dates and numbers of our own
    return [row[0] for row in rows]


def connect(home: Home, overlay: Overlay | None = None) -> duckdb.DuckDBPyConnection:
    """The store's connection with the updated view `cells` over all days.

    Totals that include records of `overlay` are cached in its own folder; the home caches committed records only.
    Raises: NotFound.
    """
    connection = store.connect(home, overlay)
    connection.execute("set preserve_insertion_order = false")
    folder = home.root / "costs" / "cells"
    committed = _keys(store.fingerprints(home, overlay and Overlay(commits=overlay.commits)))
    keys = _keys(store.fingerprints(home, overlay)) if overlay else committed
    shared = {day: key for day, key in keys.items() if committed.get(day) == key}
    files = _current(connection, folder, shared, kept=committed)
    if overlay and overlay.cells and keys != committed:
        live = {day: key for day, key in keys.items() if committed.get(day) != key}
        files += _current(connection, overlay.cells, live, kept=live)
    connection.execute(f"create view cells as select * from read_parquet({paths_sql(files)})")  # noqa: S608 -- own paths
    return connection


def refresh(home: Home) -> None:
    """Update the daily totals ahead of the first query."""
    try:
        connect(home).close()
    except NotFound:
        return


def _current(
    connection: duckdb.DuckDBPyConnection, folder: Path, keys: dict[dt.date, str], *, kept: dict[dt.date, str]
) -> list[Path]:
    """Files of the days in `keys`, created if missing; files of days in neither `keys` nor `kept` are removed."""
    folder.mkdir(parents=True, exist_ok=True)
    stale = [day for day, key in keys.items() if not _file(folder, day, key).is_file()]
    for first in range(0, len(stale), DAYS_AT_ONCE):
        _aggregate(connection, folder, {day: keys[day] for day in stale[first : first + DAYS_AT_ONCE]})
    files = [_file(folder, day, key) for day, key in keys.items()]
    for old in set(folder.glob("*.parquet")) - {_file(folder, day, key) for day, key in (kept | keys).items()}:
        old.unlink(missing_ok=True)
    return files


def _keys(fingerprints: Mapping[dt.date, str]) -> dict[dt.date, str]:
    return {
        day: hash8(_QUERY, print_, fingerprints.get(day - dt.timedelta(1)))
        for day, print_ in sorted(fingerprints.items())
    }


def _file(folder: Path, day: dt.date, key: str) -> Path:
    return folder / f"{day}-{key}.parquet"


def _aggregate(connection: duckdb.DuckDBPyConnection, folder: Path, keys: Mapping[dt.date, str]) -> None:
    """Aggregate days, one query per run of consecutive days."""
    days = sorted(keys)
    runs = [[days[0]]]
    for day in days[1:]:
        if day - runs[-1][-1] == dt.timedelta(1):
            runs[-1].append(day)
        else:
            runs.append([day])
    for run in runs:
        start, end = run[0], run[-1] + dt.timedelta(1)
        without = _many_valued(connection, start, end)
        connection.execute(f"create or replace temp table made as {query(start, end, without)}")
        for day in run:
            write_parquet(connection, f"from made where day = date '{day}'", _file(folder, day, keys[day]))
        connection.execute("drop table made")
