"""The dashboard's numbers: the same books that `fasttier costs` opens, kept until the store changes."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import duckdb

from pipeline import costs, store
from pipeline.costs import Books, CostsSummary
from traffic.artifacts import Home

T = TypeVar("T")
CHECK_S = 5.0
"""How often the store is asked whether it changed."""
_KEPT = 4

Opener = Callable[[str | None], Books]
"""Opens the books of a month, of everything for `all`, or of the last month for None."""


class Ledger:
    """Books by month. One request at a time reads them: a DuckDB connection is no server."""

    def __init__(self, home: Home, opener: Opener) -> None:
        self._home = home
        self._opener = opener
        self._lock = threading.Lock()
        self._open: dict[str | None, Books] = {}
        self._version: dict[dt.date, str] = {}
        self._checked = -CHECK_S

    def summary(self, month: str | None, by: Sequence[str], where: Sequence[tuple[str, str]] = ()) -> CostsSummary:
        """What `fasttier costs --by ...` prints, of the rows that match. Raises: FastTierError."""

        def work(books: Books) -> CostsSummary:
            per = "customer" if books.customers is not None else None
            return costs.run(books, by=by, per=per, where=where)

        return self.read(month, work)

    def rows(self, query: str, values: Sequence[object]) -> list[dict[str, Any]]:
        """Rows of the store's views."""

        def work(books: Books) -> list[dict[str, Any]]:
            relation = books.connection.execute(query, list(values))
            names = [column[0] for column in relation.description or ()]
            return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]

        return self.read(None, work)

    def read(self, month: str | None, work: Callable[[Books], T]) -> T:
        """Whatever `work` reads of the books. Raises: FastTierError."""
        with self._lock:
            try:
                return work(self._books(month))
            except duckdb.IOException:
                # Another command has just replaced the daily totals of a day.
                self._open.clear()
                return work(self._books(month))

    def _books(self, month: str | None) -> Books:
        now = time.monotonic()
        if now - self._checked >= CHECK_S:
            version = store.fingerprints(self._home)
            if version != self._version:
                self._open.clear()
            self._version, self._checked = version, now
        if month not in self._open:
            while len(self._open) >= _KEPT:
                self._open.pop(next(iter(self._open)))
            self._open[month] = self._opener(month)
        return self._open[month]
