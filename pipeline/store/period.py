"""Limits the records store to a range of days."""

import datetime as dt
from typing import NamedTuple

import duckdb


class Days(NamedTuple):
    """UTC days from `since` (inclusive) to `until` (exclusive); None: unlimited."""

    since: dt.date | None = None
    until: dt.date | None = None

    def limit(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Restrict the view `records` to these days."""
        # Formatted dates: nothing to inject.
        bounds = [f"ts >= timestamptz '{self.since:%Y-%m-%d} 00:00:00+00'"] if self.since else []
        bounds += [f"ts < timestamptz '{self.until:%Y-%m-%d} 00:00:00+00'"] if self.until else []
        if bounds:
            connection.execute(
                f"create temp view records as select * from memory.main.records where {' and '.join(bounds)}"  # noqa: S608
            )


ALL_DAYS = Days()
