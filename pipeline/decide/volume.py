"""Traffic of a task from the records store: requests per month, busiest hour, tokens, spend."""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from pipeline import store
from pipeline.dataset import TaskDataset
from pipeline.decide.costs import HOURS_PER_MONTH
from pipeline.store import untagged
from traffic import callsites
from traffic.artifacts import Home
from traffic.errors import NotEnoughData, NotFound

GAP_DAYS = 7
"""A longer period without any record counts as a gap in the log, not as a quiet week."""

_NOT_TRAFFIC = ("other_purpose", "retries", "errors", "cache_hits", "own_model")
_NOT_MOVABLE = ("not_tier_1", "no_template", "tool_calls")


class Volume(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Traffic of a task's call sites; a month has 730 hours."""

    call_sites: tuple[str, ...]
    first: str
    """First and last record of the whole store, which is the time that the log covers."""
    last: str
    hours: float
    """Covered, without gaps of more than a week."""
    requests: int
    """Requests to a model, each counted once; answers from the gateway's cache excluded."""
    movable_share: float
    """Share that an own model may answer: Tier 1, text only, matching a trained template."""
    requests_per_month: float
    """The movable ones."""
    peak_requests_per_hour: float
    """In the busiest hour, the movable ones."""
    input_tokens_mean: float | None
    output_tokens_mean: float | None
    usd_per_request: float | None
    """Mean logged cost of hosted models' answers; None if none has a cost."""
    unpriced: int
    """Such answers without a cost."""
    spend_usd_per_month: float | None
    """Sum over all attempts of the call sites: retries, escalations, shadows."""
    models: dict[str, int]
    """Answers by hosted model, the most frequent first."""


_PERIOD = "SELECT epoch(min(ts)), epoch(max(ts)) FROM seen"
_DAYS = "SELECT DISTINCT date FROM seen ORDER BY date"
_REQUESTS = """
SELECT count(DISTINCT request_id), date_trunc('hour', ts)::varchar FROM calls
WHERE purpose = 'serve' AND NOT coalesce(cache_hit, false) GROUP BY 2
"""
_ANSWERS = """
SELECT avg(usage.input_uncached + usage.cache_read + usage.cache_write), avg(usage.output), avg(cost_usd),
    count(*) FILTER (cost_usd IS NULL)
FROM calls WHERE purpose = 'serve' AND NOT coalesce(cache_hit, false) AND adapter IS NULL
    AND status BETWEEN 200 AND 299 AND error IS NULL
"""
_MODELS = """
SELECT model, count(*) FROM calls WHERE purpose = 'serve' AND NOT coalesce(cache_hit, false) AND adapter IS NULL
    AND model IS NOT NULL AND status BETWEEN 200 AND 299 GROUP BY 1 ORDER BY 2 DESC, 1
"""
_SPEND = "SELECT sum(cost_usd) FROM calls"


def read(
    home: Home,
    dataset: TaskDataset,
    *,
    min_hours: float,
    log_from: dt.date | None = None,
    log_until: dt.date | None = None,
) -> Volume:
    """Raises: NotFound without records of the call sites, NotEnoughData if the log is shorter than `min_hours`."""
    sites = tuple(dataset.call_sites)
    with store.connect(home) as connection:
        untagged.name(connection, callsites.chosen(home.root), sites)
        connection.execute(
            "CREATE TEMP TABLE seen AS SELECT id, request_id, purpose, ts, date, call_site, model, adapter, usage,"
            " cost_usd, cache_hit, status, error FROM records"
            " WHERE date >= coalesce($first, date) AND ($until IS NULL OR date < $until)",
            {"first": log_from, "until": log_until},
        )
        connection.execute(
            "CREATE TEMP TABLE calls AS SELECT * FROM seen WHERE list_contains($sites, call_site)",
            {"sites": list(sites)},
        )
        hourly = [count for count, _ in connection.execute(_REQUESTS).fetchall()]
        if not hourly:
            period = f" between {log_from or 'the first day'} and {log_until or 'the last'}"
            raise NotFound(
                f"no requests of {', '.join(sites)} in {home.records}{period if log_from or log_until else ''}; "
                "run `fasttier ingest LOG`"
            )
        first, last = _first_row(connection, _PERIOD)
        days = [day for (day,) in connection.execute(_DAYS).fetchall()]
        hours = (last - first) / 3600 - 24 * missing_days(days)
        if hours < min_hours:
            raise NotEnoughData(
                f"the log in {home.records} covers {hours:.1f} hours; a month's volume needs at least {min_hours:g} "
                "(min_log_hours)"
            )
        return _volume(connection, dataset, (first, last), hours, hourly)


def _volume(
    connection: duckdb.DuckDBPyConnection,
    dataset: TaskDataset,
    period: tuple[float, float],
    hours: float,
    hourly: Sequence[int],
) -> Volume:
    input_mean, output_mean, cost_mean, unpriced = _first_row(connection, _ANSWERS)
    [spend] = _first_row(connection, _SPEND)
    movable = movable_share(dataset)
    months = hours / HOURS_PER_MONTH
    return Volume(
        call_sites=tuple(dataset.call_sites),
        first=_iso(period[0]),
        last=_iso(period[1]),
        hours=round(hours, 2),
        requests=sum(hourly),
        movable_share=round(movable, 4),
        requests_per_month=_rounded(sum(hourly) / months * movable),
        peak_requests_per_hour=_rounded(max(hourly) * movable),
        input_tokens_mean=_rounded(input_mean),
        output_tokens_mean=_rounded(output_mean),
        usd_per_request=_rounded(cost_mean),
        unpriced=unpriced,
        spend_usd_per_month=None if spend is None else _rounded(spend / months),
        models={str(model): count for model, count in connection.execute(_MODELS).fetchall()},
    )


def _rounded(value: Any) -> Any:
    """Multi-threaded sums differ in the last digits; the same log must give the same decision."""
    return None if value is None else float(f"{value:.9g}")


def missing_days(days: Sequence[dt.date]) -> int:
    """Whole days within gaps of more than `GAP_DAYS`; `days`: those with records, ascending."""
    gaps = [(after - before).days - 1 for before, after in itertools.pairwise(days)]
    return sum(gap for gap in gaps if gap > GAP_DAYS)


def movable_share(dataset: TaskDataset) -> float:
    """Share of the task's answered requests that an own model may answer, from the filters of `extract`."""
    removed: Mapping[str, int] = {step.name: step.removed for step in dataset.filters}
    answered = dataset.rows_considered - sum(removed.get(name, 0) for name in _NOT_TRAFFIC)
    other = sum(removed.get(name, 0) for name in _NOT_MOVABLE)
    return 1 - other / answered if answered > 0 else 1.0


def _first_row(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None, query
    return row


def _iso(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).replace(microsecond=0).isoformat()
