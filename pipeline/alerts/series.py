"""What is watched, per call site: batches of consecutive requests, each with its rates."""

import datetime as dt
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import duckdb
import msgspec

# Hours are summed in the database, and joined to batches here: no sort of the whole log.
_HOURS = """
with watched as (
    select coalesce(call_site, '(none)') as call_site, date_trunc('hour', ts) as hour, purpose, cost_usd, status, tier,
           coalesce(usage.input_uncached, 0) as plain, coalesce(usage.cache_read, 0) as cached,
           coalesce(usage.cache_write, 0) as written, coalesce(usage.output, 0) as output, model, cache_hit
    from records where ts >= timestamptz '{since} 00:00:00+00'
)
select call_site, epoch(hour)::bigint as hour, count(*) filter (where purpose = 'serve')::double as requests,
       count(*)::double as attempts, coalesce(sum(cost_usd), 0) as usd, sum(plain + written)::double as plain,
       sum(cached)::double as cached, sum(output)::double as output,
       count(*) filter (where cache_hit)::double as hits,
       count(*) filter (where status not between 200 and 399)::double as errors,
       count(*) filter (where purpose = 'escalation')::double as escalations,
       count(*) filter (where purpose = 'serve' and tier is not null)::double as tiered,
       count(*) filter (where purpose = 'serve' and tier = 1)::double as tier_1,
       count(*) filter (where cost_usd is null and not cache_hit and status between 200 and 399)::double as unpriced,
       mode(model) as model
from watched group by 1, 2 order by 1, 2
"""
_SUMS = (
    "requests",
    "attempts",
    "usd",
    "plain",
    "cached",
    "output",
    "hits",
    "errors",
    "escalations",
    "tiered",
    "tier_1",
    "unpriced",
)


class Batch(msgspec.Struct, kw_only=True):
    """Consecutive hours of one call site, or of all, with enough requests to measure rates."""

    start: float
    """Of its first hour, seconds since 1970."""
    end: float = 0.0
    requests: float = 0.0
    attempts: float = 0.0
    usd: float = 0.0
    plain: float = 0.0
    """Input tokens that no cache served."""
    cached: float = 0.0
    output: float = 0.0
    hits: float = 0.0
    """Answers out of the gateway's cache."""
    errors: float = 0.0
    escalations: float = 0.0
    tiered: float = 0.0
    tier_1: float = 0.0
    unpriced: float = 0.0
    model: str | None = None
    """That answered most, in the last hour."""

    def add(self, other: "Batch | Mapping[str, Any]") -> None:
        for name in _SUMS:
            value = other[name] if isinstance(other, Mapping) else getattr(other, name)
            setattr(self, name, getattr(self, name) + (value or 0.0))


def _log(value: float) -> float:
    return math.log(value + 1e-9)


def _share(part: float, whole: float) -> float:
    """Variance-stabilised (Anscombe): a rate of 1% and one of 50% move equally far in their own terms."""
    return math.asin(math.sqrt(min(1.0, max(0.0, (part + 0.375) / (whole + 0.75)))))


def floor_of(series: str, size: int) -> float:
    """Standard deviation that chance alone gives a rate of a batch; rates that hardly ever move look too certain."""
    return 0.5 / math.sqrt(size) if series.endswith(("rate", "share")) else 0.0


WATCHED: Mapping[str, tuple[str, Callable[[Batch], float], Callable[[Batch], bool]]] = {
    "cost_per_request": ("cost per request", lambda b: _log(b.usd / b.requests), lambda b: b.usd > 0),
    "tokens_per_request": (
        "input tokens per request",
        lambda b: _log((b.plain + b.cached) / b.requests),
        lambda b: b.plain + b.cached > 0,
    ),
    "cache_hit_rate": (
        "prompt-cache hit rate",
        lambda b: _share(b.cached, b.plain + b.cached),
        lambda b: b.plain + b.cached > 0,
    ),
    "error_rate": ("error rate", lambda b: _share(b.errors, b.attempts), lambda b: True),
    "escalation_rate": ("escalation rate", lambda b: _share(b.escalations, b.tier_1), lambda b: b.tier_1 >= 10),
    "tier_1_share": ("share on Tier 1", lambda b: _share(b.tier_1, b.tiered), lambda b: b.tiered >= 10),
}
"""Series by name: label, value of a batch on a scale on which equal steps are equally likely, whether it has one."""


def value_of(series: str, batch: Batch) -> float:
    """The value that people read: USD, tokens, or a share."""
    whole = {
        "cost_per_request": (batch.usd, batch.requests), "error_rate": (batch.errors, batch.attempts),
        "tokens_per_request": (batch.plain + batch.cached, batch.requests),
        "cache_hit_rate": (batch.cached, batch.plain + batch.cached),
        "escalation_rate": (batch.escalations, batch.tier_1), "tier_1_share": (batch.tier_1, batch.tiered),
    }[series]  # fmt: skip
    return whole[0] / whole[1] if whole[1] else 0.0


def size_of(series: str, before: Batch, after: Batch) -> float:
    """How large a change is: of a rate in parts of the whole, of cost and tokens in parts of what they were."""
    old, new = value_of(series, before), value_of(series, after)
    return abs(new - old) if floor_of(series, 1) else abs(new - old) / max(old, 1e-12)


def batches(connection: duckdb.DuckDBPyConnection, since: dt.date, size: int) -> dict[str, list[Batch]]:
    """Batches of `size` requests or more by call site, in time; a last one that is not full is left out."""
    relation = connection.execute(_HOURS.format(since=since))
    names = [column[0] for column in relation.description or ()]
    found: dict[str, list[Batch]] = {}
    for site, rows in _by_site(relation.fetchall(), names):
        open_: Batch | None = None
        for row in rows:
            open_ = open_ or Batch(start=float(row["hour"]))
            open_.add(row)
            open_.end, open_.model = float(row["hour"]) + 3600, row["model"]
            if open_.requests >= size:
                found.setdefault(site, []).append(open_)
                open_ = None
    return found


def _by_site(rows: list[tuple[Any, ...]], names: list[str]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    sites: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        values = dict(zip(names, row, strict=True))
        sites.setdefault(values["call_site"], []).append(values)
    yield from sites.items()


def summed(listed: list[Batch]) -> Batch:
    """One batch of them all."""
    whole = Batch(start=listed[0].start, end=listed[-1].end, model=listed[-1].model)
    for batch in listed:
        whole.add(batch)
    return whole
