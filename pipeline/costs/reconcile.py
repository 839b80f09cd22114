"""Reconciles metered with billed amounts, per model and day, and attributes the difference to causes.

Causes are tested from the most to the least certain; each takes its part of the difference, and the rest is `unknown`,
so that they add up to billed minus metered.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import duckdb
import msgspec

from pipeline.costs.invoices import Billed, Invoice, InvoiceConfig, family
from pipeline.pages import aligned
from traffic.number_format import usd
from traffic.prices import MTOK, Price, PriceTable

CAUSES = {
    "bypass": "calls that do not pass the router",
    "credit": "credits and refunds",
    "services": "billed beside models: tools, storage, taxes",
    "not_logged": "days before the log begins or after it ends",
    "not_billed": "metered, but not on the invoice",
    "cached_tokens": "the log priced cached tokens as uncached ones",
    "price": "the log's price is not the list price of its tokens",
    "cancelled": "cut or timed out, billed without being metered",
    "unpriced": "metered, but the model has no price",
    "rounding": "the invoice's digits",
    "unknown": "not explained",
}
_SURE_OF_CANCELLED = 1.5
"""The whole difference is attributed to cancelled attempts up to this multiple of their expected cost."""


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """The log's side of one model and day."""

    usd: float = 0.0
    attempts: int = 0
    """Attempts that are or may be billed."""
    unmetered: int = 0
    """Of them, without usage: cancelled or timed out."""
    unpriced: int = 0
    """Of them, of a model without a price."""
    cached_price_usd: float = 0.0
    """List price minus the logged one, if the log ignored the discount of cached tokens."""
    other_price_usd: float = 0.0

    @property
    def mean_usd(self) -> float:
        stated = self.attempts - self.unmetered - self.unpriced
        return self.usd / stated if stated else 0.0


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One model and day."""

    day: dt.date
    model: str
    metered_usd: float
    billed_usd: float
    causes: dict[str, float]
    """USD of billed minus metered, by cause; zeros are left out."""


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier costs --invoice`."""

    schema_version: int = 1
    invoice: str
    provider: str | None
    since: dt.date
    until: dt.date
    metered_usd: float
    billed_usd: float
    causes: dict[str, float]
    rows: tuple[Difference, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        difference = self.billed_usd - self.metered_usd
        head = f"{self.since} to {self.until} (exclusive), {self.provider or 'every provider'}: "
        head += f"billed {usd(self.billed_usd)}, metered {usd(self.metered_usd)}, difference {usd(difference)}"
        lines = [head]
        lines += [
            f"  {usd(amount):>12}  {cause}: {CAUSES[cause]}"
            for cause, amount in sorted(self.causes.items(), key=lambda item: -abs(item[1]))
        ]
        worst = sorted(self.rows, key=lambda row: -abs(row.billed_usd - row.metered_usd))[:15]
        table = [["day", "model", "metered", "billed", "difference", "cause"]]
        table += [
            [
                str(row.day), row.model[:40], usd(row.metered_usd), usd(row.billed_usd),
                usd(row.billed_usd - row.metered_usd),
                ", ".join(f"{name} {usd(amount)}" for name, amount in row.causes.items()),
            ]
            for row in worst
        ]  # fmt: skip
        lines += aligned(table)
        if len(self.rows) > len(worst):
            lines.append(f"{len(self.rows) - len(worst)} more: --json has all")
        return [*lines, *(f"note: {note}" for note in self.notes)]


Key = tuple[dt.date, str]
NO_MODEL = "(no model)"


def run(
    connection: duckdb.DuckDBPyConnection, invoice: Invoice, config: InvoiceConfig, prices: PriceTable, *, name: str
) -> Reconciliation:
    """Compare the temp table `spent` with an invoice over the invoice's days."""
    since = min(line.day for line in invoice.lines)
    until = max(line.day for line in invoice.lines) + dt.timedelta(1)
    metered = _metered(connection, invoice.provider, since, until, prices)
    billed: dict[Key, list[Billed]] = defaultdict(list)
    for line in invoice.lines:
        billed[line.day, line.model or NO_MODEL].append(line)
    notes = list(invoice.notes)
    bare = [day for day, model in billed if model == NO_MODEL]
    if bare and len(bare) == len(billed):
        # Not grouped by model: days can be compared, models cannot.
        notes.append("the invoice names no models (export it grouped by line item or description): whole days compared")
        metered = _by_day(metered)
    low, high = connection.execute("select min(day), max(day) from cells").fetchall()[0]
    rows = [
        _difference(key, metered.get(key, Metered()), billed.get(key, ()), config, logged=low <= key[0] <= high)
        for key in sorted(metered.keys() | billed.keys())
    ]
    causes: dict[str, float] = defaultdict(float)
    for row in rows:
        for cause, amount in row.causes.items():
            causes[cause] += amount
    return Reconciliation(
        invoice=name, provider=invoice.provider, since=since, until=until,
        metered_usd=sum(row.metered_usd for row in rows), billed_usd=sum(row.billed_usd for row in rows),
        causes=dict(causes), rows=tuple(rows), notes=tuple(notes),
    )  # fmt: skip


def _difference(
    key: Key, metered: Metered, billed: Sequence[Billed], config: InvoiceConfig, *, logged: bool
) -> Difference:
    total = sum(line.usd for line in billed)
    remaining = total - metered.usd
    causes: dict[str, float] = {}

    def take(cause: str, amount: float) -> None:
        nonlocal remaining
        if amount:
            causes[cause] = causes.get(cause, 0.0) + amount
            remaining -= amount

    for cause, amount in _set_apart(billed, config).items():
        take(cause, amount)
    if not logged:
        take("not_logged", remaining)
    if not metered.attempts or not billed:
        take("bypass" if billed else "not_billed", remaining)
    for cause, amount in (("cached_tokens", metered.cached_price_usd), ("price", metered.other_price_usd)):
        # Only if the invoice is closer to the list price than to the log's: a contract may have other prices.
        if billed and abs(remaining - amount) < abs(remaining):
            take(cause, amount)
    # Every amount is off by up to half a unit of its last digit.
    if remaining and abs(remaining) <= sum(0.5 * 10.0**-line.decimals for line in billed) * (1 + 1e-9):
        take("rounding", remaining)
    if not config.router_projects:
        take("bypass", _uncounted(remaining, total, metered, billed))
    if remaining > 0 and metered.unpriced:
        take("unpriced", remaining)
    if remaining > 0 and metered.unmetered:
        expected = metered.unmetered * metered.mean_usd
        take("cancelled", remaining if remaining <= _SURE_OF_CANCELLED * expected else expected)
    take("unknown", remaining)
    return Difference(
        day=key[0], model=key[1], metered_usd=metered.usd, billed_usd=total,
        causes={cause: amount for cause, amount in causes.items() if abs(amount) > 1e-9},
    )  # fmt: skip


def _uncounted(remaining: float, total: float, metered: Metered, billed: Sequence[Billed]) -> float:
    """Cost of the requests that the invoice counts and the log does not have, at most `left`."""
    billed_requests = sum(line.requests or 0 for line in billed)
    return (
        min(remaining, (billed_requests - metered.attempts) * total / billed_requests)
        if remaining > 0 and billed_requests > metered.attempts
        else 0.0
    )


def _set_apart(billed: Sequence[Billed], config: InvoiceConfig) -> dict[str, float]:
    """Causes that are evident from the invoice's lines."""
    causes: dict[str, float] = defaultdict(float)
    for line in billed:
        if line.usd < 0:
            causes["credit"] += line.usd
        elif not line.is_model:
            causes["services"] += line.usd
        elif config.router_projects and line.project not in config.router_projects:
            causes["bypass"] += line.usd
    return causes


def _by_day(metered: Mapping[Key, Metered]) -> dict[Key, Metered]:
    by_day: dict[Key, list[Metered]] = defaultdict(list)
    for (day, _), of_model in metered.items():
        by_day[day, NO_MODEL].append(of_model)
    return {key: _summed(listed) for key, listed in by_day.items()}


def _summed(listed: Sequence[Metered]) -> Metered:
    return Metered(**{name: sum(getattr(m, name) for m in listed) for name in Metered.__struct_fields__})


def _metered(
    connection: duckdb.DuckDBPyConnection, provider: str | None, since: dt.date, until: dt.date, prices: PriceTable
) -> Mapping[Key, Metered]:
    rows = connection.execute(
        "select day, provider, model, state, sum(usd)::double, sum(attempts)::bigint, "
        "coalesce(sum(attempts) filter (where usd is null), 0)::bigint, sum(without_usage)::bigint, "
        "sum(input_uncached)::double, sum(cache_read)::double, sum(cache_write)::double, sum(output)::double "
        "from spent where state in ('priced', 'estimated', 'unpriced', 'no_usage') and day >= ? and day < ? "
        "group by 1, 2, 3, 4",
        [since, until],
    ).fetchall()
    by_key: dict[Key, list[Metered]] = defaultdict(list)
    for day, billed_by, model, state, amount, attempts, unknown, bare, *tokens in rows:
        if provider is not None and billed_by is not None and billed_by.casefold() != provider.casefold():
            continue
        free = bare if state == "priced" else 0
        cached, other = 0.0, 0.0
        if state == "priced" and model:
            cached, other = _priced_apart(prices, day, billed_by, model, amount, tokens)
        by_key[day, family(model or NO_MODEL)].append(
            Metered(
                usd=amount or 0.0,
                attempts=attempts - free,
                unmetered=unknown if state == "no_usage" else 0,
                unpriced=unknown if state == "unpriced" else 0,
                cached_price_usd=cached,
                other_price_usd=other,
            )
        )
    return {key: _summed(listed) for key, listed in by_key.items()}


def _priced_apart(
    prices: PriceTable, day: dt.date, provider: str | None, model: str, logged: float, tokens: Sequence[Any]
) -> tuple[float, float]:
    """List price minus logged price of a day's tokens: the part due to the cache discount, and the rest."""
    try:
        price = prices.price(model, provider, day)
    except LookupError:
        return 0.0, 0.0
    if price.steps or price.request_usd:
        # Daily totals do not have the lengths of prompts.
        return 0.0, 0.0
    listed, undiscounted = (_cost(price, tokens, discount) for discount in (True, False))
    # A log sums rounded amounts.
    if abs(listed - logged) <= 0.002 * listed:
        return 0.0, 0.0
    if abs(undiscounted - logged) <= 0.002 * undiscounted:
        return listed - logged, 0.0
    return 0.0, listed - logged


def _cost(price: Price, tokens: Sequence[float], discount: bool) -> float:
    plain, cached, cache_writes, output = tokens
    read = price.read_mtok_usd if discount else price.input_mtok_usd
    prompt = plain * price.input_mtok_usd + cached * read + cache_writes * price.write_mtok_usd
    return (prompt + output * price.output_mtok_usd) / MTOK
