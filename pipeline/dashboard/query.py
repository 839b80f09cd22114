"""What a page is asked for."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from pipeline.costs.ledger import DIMENSIONS, TAG


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """What a page is asked for, from its query string; unknown keys and values are ignored."""

    month: str | None
    by: str
    where: tuple[tuple[str, str], ...]

    def link(self, path: str = "", **changes: Any) -> str:
        """The same question with one thing changed: `by`, `month`, `add` a condition, or `without` one."""
        where = [pair for pair in self.where if pair != changes.get("without")]
        where += [changes["add"]] if "add" in changes and changes["add"] not in where else []
        month = changes.get("month", self.month)
        known = [("month", month)] if month else []
        return f"{path}?{urlencode([*known, ('by', changes.get('by', self.by)), *where])}"


def query_of(request: Request) -> Query:
    """Never raises: a bad value is as if it were not there."""
    given = request.query_params
    month = given.get("month") or None
    if month is not None and month != "all":
        try:
            dt.date.fromisoformat(f"{month}-01")
        except ValueError:
            month = None
    by = given.get("by", "feature")
    # `month` is the period that is shown, whoever asks for it.
    where = [(key, value) for key, value in given.multi_items() if _is_dimension(key) and key != "month"]
    return Query(month=month, by=by if _is_dimension(by) else "feature", where=tuple(where))


def _is_dimension(name: str) -> bool:
    return name in DIMENSIONS or name.startswith(TAG)
