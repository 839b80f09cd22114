"""Query string of the dashboard's pages."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from pipeline.costs.ledger import DIMENSIONS, TAG


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Month, dimension and filters of a page; unknown keys and values are ignored."""

    month: str | None
    by: str
    where: tuple[tuple[str, str], ...]

    def link(self, path: str = "", **changes: Any) -> str:
        """A link to the same query with one change: `by`, `month`, `add` a filter, or `without` one."""
        where = [pair for pair in self.where if pair != changes.get("without")]
        where += [changes["add"]] if "add" in changes and changes["add"] not in where else []
        month = changes.get("month", self.month)
        known = [("month", month)] if month else []
        return f"{path}?{urlencode([*known, ('by', changes.get('by', self.by)), *where])}"


def query_of(request: Request) -> Query:
    """The query of a request; invalid values are ignored."""
    given = request.query_params
    month = given.get("month") or None
    if month is not None and month != "all":
        try:
            dt.date.fromisoformat(f"{month}-01")
        except ValueError:
            month = None
    by = given.get("by", "feature")
    # `month` is the period, not a filter.
    where = [(key, value) for key, value in given.multi_items() if _is_dimension(key) and key != "month"]
    return Query(month=month, by=by if _is_dimension(by) else "feature", where=tuple(where))


def _is_dimension(name: str) -> bool:
    return name in DIMENSIONS or name.startswith(TAG)
