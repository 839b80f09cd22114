"""A part of the records store by day."""

import datetime as dt

import duckdb


def limit(connection: duckdb.DuckDBPyConnection, since: dt.date | None, until: dt.date | None) -> None:
    """Let the view `records` show only what is from `since` up to, not including, `until` (UTC days)."""
    if since is None and until is None:
        return
    first, last = (day.isoformat() if day else None for day in (since, until))
    bounds = [f"ts >= timestamptz '{first} 00:00:00+00'"] if first else []
    bounds += [f"ts < timestamptz '{last} 00:00:00+00'"] if last else []
    # Dates of our own making: there is nothing to inject.
    connection.execute(
        f"create temp view records as select * from memory.main.records where {' and '.join(bounds)}"  # noqa: S608
    )
