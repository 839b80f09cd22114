"""Temp table `facts` for all totals: the log's compact columns with the shape of each request.

Bodies are not copied: 1 M records take about 200 MB here. Costs without a logged usage are kept apart from logged
costs: those of ingest's estimated tokens, and missing ones, estimated from other requests of the same shape and model.
"""

import duckdb
import msgspec

CACHED = 0.05
"""Share of cached input tokens of a shape from which on the price of estimated tokens misses a discount."""

_FACTS = """
create or replace temp table facts as
select r.id, r.request_id, r.purpose, r.attempt, r.ts, s.shape, coalesce(r.call_site, '(none)') as call_site,
       coalesce(r.feature, r.call_site, '(none)') as feature, coalesce(r.cohort['plan'], '(unknown)') as plan,
       coalesce(r.customer_id, '') as customer_id, coalesce(r.model, '(unknown)') as model, r.status,
       r.status between 200 and 399 as ok, r.cost_usd, r.usage is not null as has_usage,
       coalesce(r.usage.estimated, false) as has_estimated_usage,
       coalesce(r.usage.input_uncached, 0) + coalesce(r.usage.cache_read, 0) + coalesce(r.usage.cache_write, 0)
           as input_tokens,
       coalesce(r.usage.cache_read, 0) as cached_tokens, coalesce(r.usage.output, 0) as output_tokens,
       coalesce(r.input_chars, 0) as input_chars, coalesce(length(r.output.text), 0) as output_chars,
       r.ttft_ms, r.latency_ms, coalesce(r.params.stream, false) as stream, r.params.max_tokens as max_tokens,
       hash(coalesce(r.params.temperature, 1), r.response_format) as settings,
       r.cohort['environment'] is not null as in_test_environment,
       r.output.finish_reason as finish_reason, r.request_hash, r.system_hash, r.visibility, r.cache_hit,
       r.session_id, r.user_id
from records r join shaped s using (id)
"""
_ESTIMATE = """
create or replace temp table priced as
with rate as (
    select shape, model, sum(cost_usd) / nullif(sum(input_chars + 4 * output_chars), 0) as usd_per_char,
           sum(input_tokens) / nullif(sum(input_chars), 0) as tokens_per_char,
           sum(cached_tokens) / nullif(sum(input_tokens), 0) as cached_share
    from facts where cost_usd is not null and has_usage and not has_estimated_usage and ok group by all
),
any_rate as (select model, sum(cost_usd) / nullif(sum(input_chars + 4 * output_chars), 0) as usd_per_char
             from facts where cost_usd is not null and has_usage and ok group by all)
select f.*, case when f.has_estimated_usage then 0 else coalesce(f.cost_usd, 0) end as logged_usd,
       case when f.cost_usd is not null and not f.has_estimated_usage then 0
            when f.cost_usd is not null and coalesce(r.cached_share, 0) < {cached} then f.cost_usd
            when not f.ok or f.cache_hit then 0
            else coalesce(r.usd_per_char, a.usd_per_char) * (f.input_chars + 4 * f.output_chars) end as estimated_usd,
       case when f.has_usage and f.input_tokens > 0 then f.input_tokens
            else cast(f.input_chars * coalesce(r.tokens_per_char, 0.25) as bigint) end as prompt_tokens
from facts f left join rate r using (shape, model) left join any_rate a using (model)
"""


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of the log."""

    attempts: int
    requests: int
    spend_usd: float
    """Sum of logged costs."""
    estimated_usd: float
    """Additional cost of attempts whose usage or cost is estimated."""
    uncosted: int
    """Attempts without a logged cost and without an estimate."""
    first: str
    last: str
    days: float


def build(connection: duckdb.DuckDBPyConnection) -> Totals:
    """Create the temp table `priced` and return its totals."""
    connection.execute(_FACTS)
    connection.execute(_ESTIMATE.format(cached=CACHED))
    connection.execute("drop table facts")
    row = connection.execute("""
        select count(*), count(distinct request_id), sum(logged_usd), sum(coalesce(estimated_usd, 0)),
               count(*) filter (where cost_usd is null and estimated_usd is null),
               strftime(min(ts), '%Y-%m-%dT%H:%M:%SZ'), strftime(max(ts), '%Y-%m-%dT%H:%M:%SZ'),
               (epoch(max(ts)) - epoch(min(ts))) / 86400
        from priced
    """).fetchall()[0]
    return Totals(
        attempts=row[0], requests=row[1], spend_usd=row[2] or 0.0, estimated_usd=row[3] or 0.0, uncosted=row[4],
        first=row[5], last=row[6], days=row[7] or 0.0,
    )  # fmt: skip
