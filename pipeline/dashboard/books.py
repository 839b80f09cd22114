"""The dashboard's numbers: the books that `fasttier costs` opens, with what the router has logged since.

They are kept until the store or the log changes.
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
_KEPT = 4

Opener = Callable[[str | None, Overlay], Books]
"""Opens the books of a month, of everything for `all`, or of the last month for None."""


class Ledger:
    """Books by month. One request at a time reads them: a DuckDB connection is no server."""

    def __init__(self, home: Home, opener: Opener, log: LiveLog, *, check_s: float) -> None:
        """`check_s`: how often the store and the log are asked whether they changed."""
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
        """What `fasttier costs --by ...` prints, of the rows that match. Raises: FastTierError."""

        def work(books: Books) -> CostsSummary:
            per = "customer" if books.customers is not None else None
            return costs.run(books, by=by, per=per, where=where)

        return self.read(month, work)

    def rows(self, query: str, values: Sequence[object], month: str | None = None) -> list[dict[str, Any]]:
        """Rows of the store's views, beside the books of a month."""

        def work(books: Books) -> list[dict[str, Any]]:
            relation = books.connection.execute(query, list(values))
            names = [column[0] for column in relation.description or ()]
            return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]

        return self.read(month, work)

    def kept(self, name: str, age_s: float, work: Callable[[Books], T]) -> tuple[T, dt.datetime]:
        """What `work` reads of the last month's books, at most so old; and when it was read. Raises: FastTierError."""
        found = self._kept.get(name)
        if found is None or time.monotonic() - found[0] > age_s:
            value = self.read(None, work)
            found = self._kept[name] = (time.monotonic(), value, dt.datetime.now(dt.UTC))
        return found[1], found[2]

    def dimensions(self) -> list[str]:
        """Everything that costs can be asked by."""
        tags = self.kept("tags", 60.0, lambda books: ledger.tags(books.connection))[0]
        return [*ledger.DIMENSIONS, *(ledger.TAG + tag for tag in tags)]

    def read(self, month: str | None, work: Callable[[Books], T]) -> T:
        """Whatever `work` reads of the books. Raises: FastTierError."""
        with self._lock:
            try:
                return work(self._books(month))
            except duckdb.IOException:
                # Another command has just replaced the daily totals of a day, or parts of the log were joined.
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
            while len(self._open) >= _KEPT:
                self._open.pop(next(iter(self._open)))
            self._open[month] = self._opener(month, self._overlay)
        return self._open[month]
