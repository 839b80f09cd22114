"""Sums over the temp table `spent`, grouped by dimensions."""

from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from pipeline.costs import ledger
from pipeline.costs.ledger import DIMENSIONS
from traffic.errors import InputError

_SUMS = """
    coalesce(sum(requests), 0)::bigint as requests, sum(attempts)::bigint as attempts, sum(usd)::double as usd,
    (sum(usd) filter (where purpose <> 'serve'))::double as overhead_usd,
    (sum(usd) filter (where state = 'estimated'))::double as estimated_usd,
    coalesce(sum(attempts) filter (where usd is null), 0)::bigint as unpriced,
    coalesce(sum(input_uncached + cache_read + cache_write), 0)::bigint as input_tokens,
    coalesce(sum(cache_read), 0)::bigint as cached_tokens, coalesce(sum(output), 0)::bigint as output_tokens,
    coalesce(sum(errors), 0)::bigint as errors, coalesce(sum(cancelled), 0)::bigint as cancelled,
    (sum(usd) filter (where paying))::double as paying_usd
"""
_REASONS = {
    "own": "own machine without a price by the hour",
    "unpriced": "no price for the model",
    "no_usage": "timed out or cut off, and the log has no usage",
}


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one group."""

    key: tuple[str, ...]
    """One value per dimension."""
    requests: int
    """Requests of callers, each counted once."""
    attempts: int
    usd: float | None
    """All purposes; None if no attempt has a known cost. Excludes the attempts in `unpriced`."""
    overhead_usd: float | None
    """Part of `usd`: retries, escalations, consistency runs, shadows, audits and idle own machines."""
    estimated_usd: float | None
    """Part of `usd` that is estimated from text lengths because the log has no usage."""
    unpriced: int
    """Attempts whose cost is unknown."""
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    errors: int
    cancelled: int
    paying_usd: float | None
    """Part of `usd` for requests of customers who were paying at the time."""
    customers: int | None = None
    """Paying customers: the denominator."""
    usd_per_customer: float | None = None

    @property
    def usd_per_request(self) -> float | None:
        return self.usd / self.requests if self.usd is not None and self.requests else None


class Unpriced(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts with unknown cost, and the reason."""

    provider: str | None
    model: str | None
    reason: str
    attempts: int
    tokens: int


def groups(connection: duckdb.DuckDBPyConnection, by: Sequence[str]) -> list[str]:
    """SQL expressions of the dimensions. Raises: InputError for an unknown one."""
    if all(name in DIMENSIONS for name in by):
        return [DIMENSIONS[name] for name in by]
    tags = ledger.tags(connection)
    unknown = [name for name in by if not (name in DIMENSIONS or name in tags or name.startswith(ledger.TAG))]
    if unknown:
        available = ", ".join([*DIMENSIONS, *tags])
        raise InputError(f"costs cannot be grouped by {unknown[0]!r}; known: {available}")
    return [DIMENSIONS.get(name) or ledger.tag_sql(name) for name in by]


def lines(
    connection: duckdb.DuckDBPyConnection,
    by: Sequence[str],
    paying: Mapping[str, int] | None = None,
    where: Sequence[tuple[str, str]] = (),
) -> list[Line]:
    """Totals of every group, the most expensive first (days in order); without `by` one line with the total.

    `paying`: customers by plan, and all of them under `""`; a group by plan is divided by that plan's customers.
    `where`: pairs of dimension and value to filter by.
    """
    columns = groups(connection, by)
    names = [f"{column} as k{n}" for n, column in enumerate(columns)]
    keys = [f"k{n}" for n in range(len(names))]
    grouping = f"group by {', '.join(keys)}" if names else ""
    times = [key for key, name in zip(keys, by, strict=True) if name in ("day", "month")]
    ordered = f"order by {', '.join([*times, 'usd desc nulls last', *keys])}" if names else ""
    values = [value for _, value in where]
    conditions = [f"{column} = ?" for column in groups(connection, [name for name, _ in where])]
    filter_sql = f"where {' and '.join(conditions)}" if conditions else ""
    # Expressions come from this package, never from a user.
    query = f"select {', '.join([*names, _SUMS])} from spent {filter_sql} {grouping} {ordered}"  # noqa: S608
    relation = connection.execute(query, values)
    fields = [column[0] for column in relation.description or ()][len(names) :]
    lines_ = []
    for row in relation.fetchall():
        key = tuple(map(str, row[: len(names)]))
        sums: dict[str, Any] = dict(zip(fields, row[len(names) :], strict=True))
        sums["attempts"] = sums["attempts"] or 0
        lines_.append(_shared(Line(key=key, **sums), by, paying))
    return lines_


def _shared(line: Line, by: Sequence[str], paying: Mapping[str, int] | None) -> Line:
    if paying is None:
        return line
    customers = paying[""]
    if "customer" in by:
        customers = int(line.paying_usd is not None)
    elif "plan" in by:
        customers = paying.get(line.key[list(by).index("plan")], 0)
    share = line.usd / customers if line.usd is not None and customers else None
    return msgspec.structs.replace(line, customers=customers, usd_per_customer=share)


def unpriced(connection: duckdb.DuckDBPyConnection, where: Sequence[tuple[str, str]] = ()) -> list[Unpriced]:
    """Attempts with unknown cost, by model and reason."""
    filter_sql = "".join(f" and {column} = ?" for column in groups(connection, [name for name, _ in where]))
    query = f"""
        select provider, model, state, sum(attempts)::bigint,
               sum(input_uncached + cache_read + cache_write + output)::bigint
        from spent where usd is null and attempts > 0{filter_sql} group by 1, 2, 3 order by 4 desc, 1, 2, 3
    """  # noqa: S608
    rows = connection.execute(query, [value for _, value in where]).fetchall()
    return [
        Unpriced(provider=provider, model=model, reason=_REASONS[state], attempts=n, tokens=tokens or 0)
        for provider, model, state, n, tokens in rows
    ]
