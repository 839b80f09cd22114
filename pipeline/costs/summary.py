"""Result of `fasttier costs`: terminal table, CSV file, JSON line."""

import msgspec

from pipeline.costs.ledger import TAG, Period
from pipeline.costs.report import Line, Unpriced
from pipeline.pages import aligned
from pipeline.spreadsheets import csv_text
from traffic.number_format import count, percent, usd
from traffic.terminal import printable

_MAX_ROWS = 25


class CostsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of a period by dimension."""

    schema_version: int = 1
    period: Period
    by: tuple[str, ...]
    per: str | None
    total: Line
    rows: tuple[Line, ...]
    idle_usd: float | None
    """Idle own machines; also a row in `rows`."""
    unpriced: tuple[Unpriced, ...]
    """Attempts with unknown cost; not in any sum."""
    paying_customers: int | None
    notes: tuple[str, ...] = ()
    csv: str | None = None
    """Path of the CSV file, if requested."""

    def lines(self) -> list[str]:
        p, total = self.period, self.total
        logged = f"{p.logged_days} of {p.days} days are logged"
        request_count = count(total.requests, "request")
        lines = [f"{p.since} to {p.until} (exclusive): {amount(total)} for {request_count}; {logged}"]
        if self.per == "customer":
            share = usd(total.usd_per_customer) if total.usd_per_customer is not None else "unknown"
            lines.append(f"{share} per paying customer ({count(self.paying_customers or 0, 'paying customer')})")
        lines += aligned([self.heading(), *map(self.cells, self.rows[:_MAX_ROWS])])
        if hidden := self.rows[_MAX_ROWS:]:
            hidden_usd = sum(line.usd or 0.0 for line in hidden)
            lines.append(f"{len(hidden):,} more: {usd(hidden_usd)} (--csv FILE or --json has all)")
        lines += [
            f"unpriced, not in any sum: {printable(u.provider or '?')}/{printable(u.model or '?')[:64]}: "
            f"{count(u.attempts, 'attempt')}, "
            f"{u.tokens:,} tokens ({u.reason})"
            for u in self.unpriced
        ]
        lines += [f"note: {note}" for note in self.notes]
        return [*lines, *([f"csv: {self.csv}"] if self.csv else [])]

    def heading(self) -> list[str]:
        share = {"customer": ["USD/paying customer"], "request": ["USD/1,000 requests"]}.get(self.per or "", [])
        return [*(self.by or ("all",)), "requests", "USD", "share", *share, "overhead", "estimated", "cached"]

    def cells(self, line: Line) -> list[str]:
        total_usd = self.total.usd
        cached = line.cached_tokens / line.input_tokens if line.input_tokens else None
        share: list[str] = []
        if self.per == "customer":
            share = ["-" if line.usd_per_customer is None else usd(line.usd_per_customer)]
        elif self.per == "request":
            share = ["-" if line.usd_per_request is None else usd(1000 * line.usd_per_request)]
        return [
            *((key[:48] for key in line.key) if line.key else ("total",)), f"{line.requests:,}", amount(line),
            percent(line.usd / total_usd if line.usd is not None and total_usd else None), *share,
            usd(line.overhead_usd or 0.0), usd(line.estimated_usd or 0.0), percent(cached),
        ]  # fmt: skip

    def csv_text(self) -> str:
        """Every row; an unknown amount is an empty cell, never 0."""
        fields = [name for name in Line.__struct_fields__ if name != "key"]
        rows = []
        for line in self.rows:
            values = [getattr(line, name) for name in fields]
            rows.append([*line.key, *("" if value is None else str(value) for value in values)])
        # A tag may have the name of a column.
        named = [f"{TAG}{name}" if name in fields else name for name in self.by]
        return csv_text([*named, *fields], rows)


def amount(line: Line) -> str:
    """Amount of a line: `$12.30`, `$12.30 + 4 unpriced`, `4 unpriced`."""
    if not line.unpriced:
        return usd(line.usd or 0.0)
    return f"{usd(line.usd)} + {line.unpriced:,} unpriced" if line.usd is not None else f"{line.unpriced:,} unpriced"
