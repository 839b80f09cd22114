"""Which attempts belong to one request, where the log does not say: retries, found after the fact.

A retry asks the same (call site, messages, tools), for the same session, soon after an attempt that
failed had ended. The same question after a success is a new request. Records are never rewritten:
the links are small files beside them, one per day, which the view `records` joins.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from traffic.artifacts import Home

RETRY_WINDOW_SECONDS = 300
"""Longest pause before a retry; SDKs back off for seconds, job queues for minutes."""

# Only keys with a failure can hold a retry: everything else is dropped before the window functions sort.
_LINKS = """
with asked as (
    select id, ts, status, date,
           coalesce('s' || session_id, 't' || trace_id, 'u' || user_id) as caller, call_site, request_hash,
           ts + to_microseconds(cast(coalesce(latency_ms, 0) * 1000 as bigint)) as ended
    from read_parquet(?, hive_partitioning = true, hive_types = {'date': date})
    where request_id = id and purpose = 'serve' and attempt = 1
      and coalesce(session_id, trace_id, user_id) is not null
),
failing as (select distinct caller, call_site, request_hash from asked where status not between 200 and 399),
chained as (
    select *, lag(id) over asks as previous, lag(ended) over asks as previous_ended,
           lag(status) over asks as previous_status
    from asked a
    where exists (
        select 1 from failing f
        where f.caller = a.caller and f.request_hash = a.request_hash and f.call_site is not distinct from a.call_site
    )
    window asks as (partition by caller, call_site, request_hash order by ts, id)
),
marked as (
    select *, coalesce(previous_status not between 200 and 399
                       and ts between previous_ended and previous_ended + to_seconds(?), false) as again
    from chained
),
grouped as (
    select *, count(*) filter (where not again) over asks as request
    from marked window asks as (partition by caller, call_site, request_hash order by ts, id)
),
numbered as (
    select id, date, again, previous as parent_id, first_value(id) over asks as request_id,
           cast(row_number() over asks as integer) as attempt
    from grouped window asks as (partition by caller, call_site, request_hash, request order by ts, id)
)
select id, request_id, 'retry' as purpose, attempt, parent_id from numbered where again and date = ?
"""


def folder(home: Home) -> Path:
    return home.records / "_attempts"


def link(connection: duckdb.DuckDBPyConnection, home: Home, parts: Sequence[Path], days: Iterable[str]) -> None:
    """Find the retries of these days, and of the days after them, anew; `parts` are all record files of the store."""
    by_day: dict[date, list[str]] = {}
    for part in parts:
        by_day.setdefault(_day(part), []).append(str(part))
    touched = {date.fromisoformat(day) for day in days}
    folder(home).mkdir(parents=True, exist_ok=True)
    for day in sorted((touched | {day + timedelta(1) for day in touched}) & by_day.keys()):
        # The day before holds the first attempts of requests around midnight.
        files = by_day.get(day - timedelta(1), []) + by_day[day]
        found = connection.sql(_LINKS, params=[files, RETRY_WINDOW_SECONDS, day])
        _replace(found.to_arrow_table(), folder(home) / f"{day}.parquet")


def _replace(table: pa.Table, target: Path) -> None:
    if not table.num_rows:
        target.unlink(missing_ok=True)
        return
    aside = target.with_name(f".{target.name}")
    pq.write_table(table, aside)
    aside.replace(target)


def _day(part: Path) -> date:
    return date.fromisoformat(part.parent.name.removeprefix("date="))
