"""Requests and spend by dimension, from the temp table `priced`."""

from typing import Any

import duckdb
import msgspec

_USD = "sum(logged_usd) + sum(coalesce(estimated_usd, 0))"
_COUNTS = f"""
    count(*) filter (where purpose = 'serve') as requests, count(*) as attempts, {_USD} as spend_usd,
    sum(logged_usd) as logged_usd, sum(prompt_tokens) as input_tokens, sum(cached_tokens) as cached_tokens,
    sum(output_tokens) as output_tokens, count(*) filter (where not ok) as errors,
    quantile_cont(latency_ms, 0.5) filter (where ok and not cache_hit) as latency_p50_ms,
    quantile_cont(latency_ms, 0.95) filter (where ok and not cache_hit) as latency_p95_ms
"""
_BINS = (0, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one value of one dimension."""

    name: str
    requests: int
    attempts: int
    spend_usd: float
    """Logged, or estimated if missing in the log."""
    logged_usd: float
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    errors: int
    latency_p50_ms: float | None
    latency_p95_ms: float | None

    @property
    def cached_share(self) -> float:
        return self.cached_tokens / self.input_tokens if self.input_tokens else 0.0


class Bin(msgspec.Struct, frozen=True):
    """Requests with at least `tokens` input tokens and fewer than the next bin's."""

    tokens: int
    requests: int


def by(connection: duckdb.DuckDBPyConnection, expression: str) -> list[Line]:
    """Totals by an expression of `priced`'s columns, the most expensive first."""
    # Expressions come from this package, never from a user.
    rows = connection.execute(
        f"select {expression} as name, {_COUNTS} from priced group by 1 order by spend_usd desc, name"  # noqa: S608
    ).fetchall()
    return [Line(name=str(row[0]), **dict(zip(_LINE_FIELDS, map(_plain, row[1:]), strict=True))) for row in rows]


_LINE_FIELDS = Line.__struct_fields__[1:]


def _plain(value: Any) -> Any:
    return 0 if value is None else int(value) if isinstance(value, int) else value


def total(connection: duckdb.DuckDBPyConnection) -> Line:
    return by(connection, "'all'")[0]


def histogram(connection: duckdb.DuckDBPyConnection) -> list[Bin]:
    """Requests by input tokens, in powers of two."""
    cases = " ".join(f"when prompt_tokens >= {low} then {low}" for low in reversed(_BINS))
    rows = connection.execute(
        f"select case {cases} else 0 end as low, count(*) from priced where purpose = 'serve' group by 1"  # noqa: S608
    ).fetchall()
    counts = dict(rows)
    last = max(counts, default=0)
    return [Bin(low, counts.get(low, 0)) for low in _BINS if low <= last]
