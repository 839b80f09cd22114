"""Monitored series per call site: batches of consecutive hours with their rates."""

import datetime as dt
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    # Structs of `causes` outlive the interpreter's end together with the globals of this module; the database would
    # report its own as leaks.
    import duckdb

# The database sums hours, and Python merges them into batches, so the log is never sorted.
_HOURS = """
with watched as (
    select coalesce(call_site, '(none)') as call_site, date_trunc('hour', ts) as hour, purpose, cost_usd, status, tier,
           coalesce(usage.input_uncached, 0) as plain, coalesce(usage.cache_read, 0) as cached,
           coalesce(usage.cache_write, 0) as written, coalesce(usage.output, 0) as output,
           coalesce(model, '?') as model, status not between 200 and 399 as failed,
           coalesce(cache_hit, false) as hit,
           adapter is not null or coalesce(provider, '') in ('vllm', 'classifier') as own
    from records where ts >= timestamptz '{since} 00:00:00+00'
),
stated as (
    select *, case when coalesce(cost_usd, 0) > 0 then 'billed' when hit then 'hit' when failed then 'lost'
                   when cost_usd is null and not own then 'unpriced' else 'billed' end as state
    from watched
)
select call_site, epoch(hour)::bigint as hour,
       case when purpose in ('serve', 'escalation') then purpose else 'extra' end as purpose_group, tier, model,
       count(*)::double as attempts, coalesce(sum(cost_usd), 0)::double as usd,
       sum(plain + written)::double as plain, sum(cached)::double as cached,
       count(*) filter (where failed)::double as errors,
       count(*) filter (where state = 'hit')::double as hits, count(*) filter (where state = 'lost')::double as lost,
       count(*) filter (where state = 'unpriced')::double as unpriced,
       coalesce(sum(plain + written) filter (where state = 'billed'), 0)::double as billed_plain,
       coalesce(sum(cached) filter (where state = 'billed'), 0)::double as billed_cached,
       coalesce(sum(output) filter (where state = 'billed'), 0)::double as billed_output
from stated group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5
"""

FlowKey = tuple[str, int | None, str]
"""Purpose group of the attempts (serve, escalation, extra), tier, and model that answered."""


class Flow(msgspec.Struct, kw_only=True):
    """Sums over attempts of one purpose, tier and model, in the order of the query's columns."""

    attempts: float = 0.0
    usd: float = 0.0
    plain: float = 0.0
    """Uncached input tokens."""
    cached: float = 0.0
    errors: float = 0.0
    hits: float = 0.0
    """Answers from the gateway's cache, without cost."""
    lost: float = 0.0
    """Failed attempts without cost."""
    unpriced: float = 0.0
    billed_plain: float = 0.0
    billed_cached: float = 0.0
    billed_output: float = 0.0

    @property
    def billed(self) -> float:
        return self.attempts - self.hits - self.lost - self.unpriced

    def add(self, other: "Flow") -> None:
        for name in Flow.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Batch(Flow, kw_only=True):
    """Consecutive hours of one call site with enough requests to measure rates; its own fields sum over all flows."""

    start: float
    """Start of its first hour, seconds since 1970."""
    end: float = 0.0
    requests: float = 0.0
    escalations: float = 0.0
    tiered: float = 0.0
    tier_1: float = 0.0
    flows: dict[FlowKey, Flow] = {}

    def add_flow(self, key: FlowKey, flow: Flow) -> None:
        purpose, tier, _ = key
        self.add(flow)
        self.flows.setdefault(key, Flow()).add(flow)
        if purpose == "escalation":
            self.escalations += flow.attempts
        elif purpose == "serve":
            self.requests += flow.attempts
            self.tiered += flow.attempts if tier is not None else 0.0
            self.tier_1 += flow.attempts if tier == 1 else 0.0

    @property
    def model(self) -> str | None:
        """The model with the most answers."""
        models: dict[str, float] = {}
        for (purpose, _, model), flow in self.flows.items():
            if purpose == "serve":
                models[model] = models.get(model, 0.0) + flow.attempts
        return max(models, key=lambda name: models[name], default=None)


def _log(value: float) -> float:
    return math.log(value + 1e-9)


def _share(part: float, total: float) -> float:
    """Variance-stabilised share (Anscombe), so that changes of rates near 1% and near 50% are comparable."""
    return math.asin(math.sqrt(min(1.0, max(0.0, (part + 0.375) / (total + 0.75)))))


def floor_of(series: str, size: int) -> float:
    """Minimum standard deviation of a rate (sampling noise); without it, rates that rarely change alarm too often."""
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
"""Series by name: label, value of a batch on a variance-stabilised scale, and whether the batch has a value."""


def value_of(series: str, batch: Batch) -> float:
    """The value in its own unit: USD, tokens, or a share."""
    ratios = {
        "cost_per_request": (batch.usd, batch.requests), "error_rate": (batch.errors, batch.attempts),
        "tokens_per_request": (batch.plain + batch.cached, batch.requests),
        "cache_hit_rate": (batch.cached, batch.plain + batch.cached),
        "escalation_rate": (batch.escalations, batch.tier_1), "tier_1_share": (batch.tier_1, batch.tiered),
    }[series]  # fmt: skip
    return ratios[0] / ratios[1] if ratios[1] else 0.0


def size_of(series: str, before: Batch, after: Batch) -> float:
    """Size of a change: absolute for rates, relative for cost and tokens."""
    old, new = value_of(series, before), value_of(series, after)
    return abs(new - old) if floor_of(series, 1) else abs(new - old) / max(old, 1e-12)


def batches(connection: "duckdb.DuckDBPyConnection", since: dt.date, size: int) -> dict[str, list[Batch]]:
    """Batches of at least `size` requests by call site, in order of time; an incomplete last one is left out."""
    rows = connection.execute(_HOURS.format(since=since)).fetchall()
    by_site: dict[str, list[Batch]] = {}
    for site, of_site in itertools.groupby(rows, key=lambda row: row[0]):
        open_: Batch | None = None
        for hour, of_hour in itertools.groupby(of_site, key=lambda row: row[1]):
            open_ = open_ or Batch(start=float(hour))
            for _, _, purpose, tier, model, *sums in of_hour:
                flow = Flow(**dict(zip(Flow.__struct_fields__, sums, strict=True)))
                open_.add_flow((purpose, tier, model), flow)
            open_.end = float(hour) + 3600
            if open_.requests >= size:
                by_site.setdefault(site, []).append(open_)
                open_ = None
    return by_site


def summed(listed: Sequence[Batch]) -> Batch:
    """All batches merged into one."""
    total = Batch(start=listed[0].start, end=listed[-1].end)
    for batch in listed:
        for key, flow in batch.flows.items():
            total.add_flow(key, flow)
    return total
