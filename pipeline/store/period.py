"""Limits the records store to a range of days."""

import datetime as dt

import duckdb


def limit(connection: duckdb.DuckDBPyConnection, since: dt.date | None, until: dt.date | None) -> None:
    """Restrict the view `records` to `since` <= day < `until` (UTC)."""
    if since is None and until is None:
        return
    first, last = (day.isoformat() if day else None for day in (since, until))
    bounds = [f"ts >= timestamptz '{first} 00:00:00+00'"] if first else []
    bounds += [f"ts < timestamptz '{last} 00:00:00+00'"] if last else []
    # Formatted dates: nothing to inject.
    connection.execute(
        f"create temp view records as select * from memory.main.records where {' and '.join(bounds)}"  # noqa: S608
    )
