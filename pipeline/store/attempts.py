"""Links retries to the request that they repeat if the log does not.

A retry has the same call site, messages, tools and session as a failed attempt, and starts soon after that ended.
Without a session the user counts, then the trace: clients often open a trace for each attempt. The same prompt after a
success is a new request. Attempts that the log itself links (the router's retries, escalations and shadows share a
`request_id`) count as one request, and only whole requests are linked. Records are never rewritten: links are small
files beside them, one per day and commit; the newest of each day counts. The view `records` joins them.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from pipeline.store import manifest
from pipeline.store.identity import paths_sql
from pipeline.store.manifest import Commit
from traffic.artifacts import Home

RETRY_WINDOW_SECONDS = 300
"""Longest pause before a retry; SDKs back off for seconds, job queues for minutes."""

# Only prompts of failed attempts can have retries; all others are dropped before grouping and sorting, so that memory
# grows with the failures only.
_ATTEMPTS = """
create or replace temp table attempts as
with every as not materialized (
    select request_id, id, ts, status, purpose, attempt,
           coalesce('s' || session_id, 'u' || user_id, 't' || trace_id) as caller, call_site, request_hash,
           ts + to_microseconds(cast(coalesce(latency_ms, 0) * 1000 as bigint)) as ended
    from read_parquet({parts}, hive_partitioning = false)
    where purpose in ('serve', 'retry', 'escalation', 'consistency')
      and coalesce(session_id, trace_id, user_id) is not null
),
failed_requests as (select distinct request_id from every where status not between 200 and 399),
failed_prompts as (
    select distinct request_hash from every where request_id in (select request_id from failed_requests)
)
select * from every where request_id in (
    select request_id from every where request_hash in (select request_hash from failed_prompts)
)
"""

# The links of a day follow from that day and the day before, which holds the first attempts of requests around
# midnight: every attempt is looked at for two days (`day`). `asked`: one row per request, with the end and status of
# its last attempt.
_LINKS = """
with attempts_of_day as (
    select *, unnest([cast(ts as date), cast(ts as date) + 1]) as day from attempts
),
asked as (
    select day, request_id, min_by(id, (attempt, ts)) as id, max_by(id, (ended, attempt)) as last_id, min(ts) as ts,
           max(ended) as ended, max_by(status, (ended, attempt)) as status, min_by(caller, (attempt, ts)) as caller,
           min_by(call_site, (attempt, ts)) as call_site, min_by(request_hash, (attempt, ts)) as request_hash,
           count(*) as attempts
    from attempts_of_day group by day, request_id having bool_or(purpose = 'serve')
),
failing as (select distinct day, caller, call_site, request_hash from asked where status not between 200 and 399),
chained as (
    select *, lag(last_id) over asks as previous, lag(ended) over asks as previous_ended,
           lag(status) over asks as previous_status
    from asked a
    where exists (
        select 1 from failing f
        where f.day = a.day and f.caller = a.caller and f.request_hash = a.request_hash
          and f.call_site is not distinct from a.call_site
    )
    window asks as (partition by day, caller, call_site, request_hash order by ts, id)
),
marked as (
    select *, coalesce(previous_status not between 200 and 399
                       and ts between previous_ended and previous_ended + to_seconds({window}), false) as again
    from chained
),
grouped as (
    select *, count(*) filter (where not again) over asks as request
    from marked window asks as (partition by day, caller, call_site, request_hash order by ts, id)
),
numbered as (
    select day, request_id as own, id, again, previous as parent_id, first_value(request_id) over asks as first_request,
           coalesce(sum(attempts) over (asks rows between unbounded preceding and 1 preceding), 0) as before
    from grouped window asks as (partition by day, caller, call_site, request_hash, request order by ts, id)
)
select n.day, a.id, n.first_request as request_id,
       case when a.purpose = 'serve' then 'retry' else a.purpose end as purpose,
       cast(a.attempt + n.before as integer) as attempt,
       case when a.id = n.id then n.parent_id else null end as parent_id
from numbered n join attempts a on a.request_id = n.own and cast(a.ts as date) = n.day
where n.again
order by all
"""


def folder(home: Home) -> Path:
    return home.records / "_attempts"


def link(
    connection: duckdb.DuckDBPyConnection,
    parts: Sequence[Path],
    added: Sequence[Path],
    target: Path,
    commit_id: str,
    *,
    rows_at_once: int = 50_000,
) -> None:
    """Link the retries on the days of `added` and on the days after them. `parts`: all record files.

    Writes one file per day below `target`, even if it has no rows: it replaces that day's links of older commits.
    `rows_at_once`: rows per query. Planning costs more than running, so days are grouped; memory grows with the rows.
    """
    by_day: dict[date, list[Path]] = {}
    for part in parts:
        by_day.setdefault(day_of(part), []).append(part)
    touched = {day_of(part) for part in added}
    days = sorted((touched | {day + timedelta(1) for day in touched if day < date.max}) & by_day.keys())
    for group in _groups(days, by_day, rows_at_once):
        looked_at = sorted({*group, *(day - timedelta(1) for day in group if day > date.min)} & by_day.keys())
        files = [part for day in looked_at for part in by_day[day]]
        connection.execute(_ATTEMPTS.format(parts=paths_sql(files)))
        links = connection.sql(_LINKS.format(window=RETRY_WINDOW_SECONDS)).to_arrow_table()
        of_day = links["day"].to_pylist()
        target.mkdir(parents=True, exist_ok=True)
        for day in group:
            first, last = bisect_left(of_day, day), bisect_right(of_day, day)
            rows = links.drop_columns("day").slice(first, last - first)
            pq.write_table(rows, target / f"part-{day}-{commit_id}.parquet")


def _groups(days: Sequence[date], by_day: Mapping[date, Sequence[Path]], rows_at_once: int) -> Iterator[list[date]]:
    """Groups of days, each linked by one query."""
    group: list[date] = []
    rows = 0
    for day in days:
        of_day = sum(pq.read_metadata(part).num_rows for part in by_day[day])
        if group and rows + of_day > rows_at_once:
            yield group
            group, rows = [], 0
        group.append(day)
        rows += of_day
    if group:
        yield group


def current(home: Home, committed: Sequence[Commit]) -> list[Path]:
    """The valid links file of each day: the newest commit's; in stores of earlier versions, one without a commit."""
    newest = {path.stem: path for path in sorted(folder(home).glob("????-??-??.parquet"))}
    for path in manifest.parts(home, list(committed), "attempts"):
        newest[day_of_links(path)] = path
    return [newest[day] for day in sorted(newest)]


def day_of_links(path: Path) -> str:
    """Day (YYYY-MM-DD) in the name of a links file."""
    return path.stem if path.stem[:1].isdigit() else path.name.removeprefix("part-")[:10]


def day_of(part: Path) -> date:
    """Day in the folder name of a part with records."""
    return date.fromisoformat(part.parent.name.removeprefix("date="))
