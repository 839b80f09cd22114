"""The dashboard's numbers: the books of `fasttier costs` plus the router's log that is not ingested yet.

Cached until the store or the log changes.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import duckdb

from pipeline import costs, store
from pipeline.costs import Books, CostsSummary, ledger
from pipeline.ingest.live import LiveLog, LiveStatus
from pipeline.store import Overlay
from traffic.artifacts import Home

T = TypeVar("T")
_MAX_CACHED = 4

Opener = Callable[[str | None, Overlay], Books]
"""Opens the books of a month, of everything for `all`, or of the last month for None."""


class Ledger:
    """Books by month. A lock serialises reads, since a DuckDB connection is not thread-safe."""

    def __init__(self, home: Home, opener: Opener, log: LiveLog, *, check_s: float) -> None:
        """`check_s`: interval between checks whether the store or the log changed."""
        self._home = home
        self._opener = opener
        self._log = log
        self._overlay = Overlay(commits=())
        self.status = LiveStatus()
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, Any, dt.datetime]] = {}
        self._open: dict[str | None, Books] = {}
        self._version: dict[dt.date, str] = {}
        self._check_s = check_s
        self._checked = -check_s

    def summary(self, month: str | None, by: Sequence[str], where: Sequence[tuple[str, str]] = ()) -> CostsSummary:
        """The summary of `fasttier costs --by ...`, filtered by `where`. Raises: FastTierError."""

        def work(books: Books) -> CostsSummary:
            per = "customer" if books.customers is not None else None
            return costs.run(books, by=by, per=per, where=where)

        return self.read(month, work)

    def rows(self, query: str, values: Sequence[object], month: str | None = None) -> list[dict[str, Any]]:
        """Rows of a query over the books' tables and the store's views."""

        def work(books: Books) -> list[dict[str, Any]]:
            relation = books.connection.execute(query, list(values))
            names = [column[0] for column in relation.description or ()]
            return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]

        return self.read(month, work)

    def cached(self, name: str, age_s: float, work: Callable[[Books], T]) -> tuple[T, dt.datetime]:
        """Result of `work` on the last month's books, cached for `age_s`, and its time. Raises: FastTierError."""
        entry = self._kept.get(name)
        if entry is None or time.monotonic() - entry[0] > age_s:
            value = self.read(None, work)
            entry = self._kept[name] = (time.monotonic(), value, dt.datetime.now(dt.UTC))
        return entry[1], entry[2]

    def dimensions(self) -> list[str]:
        """All dimensions of costs."""
        tags = self.cached("tags", 60.0, lambda books: ledger.tags(books.connection))[0]
        return [*ledger.DIMENSIONS, *(ledger.TAG + tag for tag in tags)]

    def read(self, month: str | None, work: Callable[[Books], T]) -> T:
        """Result of `work` on the books of a month. Raises: FastTierError."""
        with self._lock:
            try:
                return work(self._books(month))
            except duckdb.IOException:
                # Another command has just replaced files of the daily totals or of the live log.
                self._open.clear()
                return work(self._books(month))

    def _books(self, month: str | None) -> Books:
        now = time.monotonic()
        if now - self._checked >= self._check_s:
            self._overlay, self.status = self._log.look()
            version = store.fingerprints(self._home, self._overlay)
            if version != self._version:
                self._open.clear()
            self._version, self._checked = version, now
        if month not in self._open:
            while len(self._open) >= _MAX_CACHED:
                self._open.pop(next(iter(self._open)))
            self._open[month] = self._opener(month, self._overlay)
        return self._open[month]
