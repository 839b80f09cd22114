"""Monthly savings of routing, shaping, caching and own models, compared with one model that answers everything.

Counterfactual: every answer that users got comes from the baseline model at its list price of the day, with the whole
prompt and without any cache. Failed attempts would have failed there too, at the same cost. The parts add up to the
difference.
"""

import datetime as dt
from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import duckdb
import msgspec

from pipeline.costs import Books
from pipeline.costs.ledger import DIMENSIONS
from pipeline.pages import aligned
from traffic.number_format import percent, usd
from traffic.prices import MTOK, Price, PriceTable

PARTS = {
    "routing": "cheaper models answered",
    "own_models": "own machines answered, less their idle hours",
    "prompt_cache": "providers read prompts from their cache, less cache writes",
    "answer_cache": "the gateway answered from its cache",
    "shaping": "tokens pruned from prompts (estimated from lengths)",
    "escalation": "first attempts that were not good enough, and consistency runs",
    "evidence": "shadows and audits",
    "prices": "logged amounts compared with the list price of their tokens",
}


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """User feedback, errors and escalations of the same month."""

    tier: int | None
    answers: int
    rated: int
    thumbs_down: float | None
    """Share of those that were rated."""
    escalated: float | None
    """Share of Tier 1's requests."""
    errors: float | None
    """Share of attempts."""


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month."""

    month: str
    counterfactual_usd: float
    actual_usd: float
    saved_usd: float
    parts: dict[str, float]
    unknown: int
    """Attempts with unknown cost; they are on neither side."""
    quality: tuple[Quality, ...]


class Savings(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier costs savings`."""

    schema_version: int = 1
    baseline: str
    months: tuple[Month, ...]
    assumptions: tuple[str, ...]

    def lines(self) -> list[str]:
        table = [["month", f"all by {self.baseline}", "actual", "saved", "share", "unpriced attempts"]]
        for month in self.months:
            share = month.saved_usd / month.counterfactual_usd if month.counterfactual_usd else None
            amounts = (usd(month.counterfactual_usd), usd(month.actual_usd), usd(month.saved_usd))
            table.append([month.month, *amounts, percent(share), f"{month.unknown:,}"])
        lines = aligned(table)
        for month in self.months:
            lines += [
                f"  {month.month} {usd(amount):>12}  {part}: {PARTS[part]}"
                for part, amount in sorted(month.parts.items(), key=lambda item: -item[1])
            ]
            lines += [f"  {month.month} quality, {_quality(q)}" for q in month.quality]
        return [*lines, *(f"assumed: {assumption}" for assumption in self.assumptions)]


def _quality(q: Quality) -> str:
    rated = f"{percent(q.thumbs_down)} of {q.rated:,} ratings are down" if q.rated else "no ratings"
    escalated = "" if q.escalated is None else f", {percent(q.escalated)} escalated"
    name = f"tier {q.tier}" if q.tier else "no tier"
    return f"{name}: {q.answers:,} answers, {rated}, {percent(q.errors)} of attempts failed{escalated}"


def run(books: Books, *, baseline: str, provider: str | None, prices: PriceTable) -> Savings:
    """The ledger of the books' months. Raises: UnknownPrice if the baseline has no price."""
    rows = books.connection.execute(f"""
        select {DIMENSIONS["month"]}, day, provider, model, purpose, state, answered, cache_hit, tier,
               sum(usd), sum(attempts) filter (where usd is null)::bigint, sum(input_uncached)::double,
               sum(cache_read)::double, sum(cache_write)::double, sum(output)::double, sum(tokens_shaped_away)::double
        from spent group by all order by all
    """).fetchall()  # noqa: S608 -- an expression of our own
    parts: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys(PARTS, 0.0))
    sides: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    actual: dict[str, Decimal] = defaultdict(Decimal)
    for month, day, billed_by, model, purpose, state, answered, hit, tier, exact, unknown, *tokens in rows:
        side = sides[month]
        side[1] += unknown or 0
        if exact is None:
            continue
        amount = float(exact)
        base = prices.price(baseline, provider, day)
        actual_price = _price(prices, billed_by, model, day)
        plain, read, write, output, shaped = (float(n or 0) for n in tokens)
        actual[month] += exact
        if not answered:
            part = _spent_on(purpose, tier)
            if part is None:
                side[0] += amount
            else:
                parts[month][part] -= amount
            continue
        at_base = ((plain + read + write) * base.input_mtok_usd + output * base.output_mtok_usd) / MTOK
        cut = shaped * base.input_mtok_usd / MTOK
        side[0] += at_base + cut
        parts[month]["shaping"] += cut
        for part, saved in _answered(state, hit, at_base, amount, actual_price, (plain, read, write, output)):
            parts[month][part] += saved
    quality = _quality_of(books.connection)
    return Savings(
        baseline=baseline,
        months=tuple(
            Month(
                month=month, counterfactual_usd=sides[month][0], actual_usd=float(actual[month]),
                saved_usd=sides[month][0] - float(actual[month]),
                parts={part: amount for part, amount in parts[month].items() if abs(amount) > 1e-12},
                unknown=int(sides[month][1]), quality=tuple(quality.get(month, ())),
            )
            for month in sorted(sides)
        ),
        assumptions=(
            f"without routing, {baseline} would have answered everything at its list price of the day",
            "it would have read and written as many tokens as the model that answered, with unpruned prompts",
            "attempts that failed would have failed there too; quality is user feedback, not a comparison",
        ),
    )  # fmt: skip


def _spent_on(purpose: str, tier: int | None) -> str | None:
    """The part that an attempt whose answer nobody got belongs to; None: it would have been made anyway."""
    if purpose in ("shadow", "audit"):
        return "evidence"
    if purpose == "idle":
        return "own_models"
    if purpose in ("escalation", "consistency") or (purpose == "serve" and tier == 1):
        return "escalation"
    return None


def _answered(
    state: str, hit: bool, at_base: float, amount: float, actual_price: Price | None, tokens: tuple[float, ...]
) -> list[tuple[str, float]]:
    if hit:
        return [("answer_cache", at_base - amount)]
    if state == "own":
        return [("own_models", at_base - amount)]
    if actual_price is None or actual_price.steps:
        return [("routing", at_base - amount)]
    plain, read, write, output = tokens
    listed = ((plain + read + write) * actual_price.input_mtok_usd + output * actual_price.output_mtok_usd) / MTOK
    cached = (
        read * (actual_price.input_mtok_usd - actual_price.read_mtok_usd)
        + write * (actual_price.input_mtok_usd - actual_price.write_mtok_usd)
    ) / MTOK
    if state == "estimated":
        # Its cached tokens are unknown: the cache discount is the list price minus the cost.
        cached = listed - amount
    return [("routing", at_base - listed), ("prompt_cache", cached), ("prices", listed - cached - amount)]


def _price(prices: PriceTable, provider: str | None, model: str | None, day: dt.date) -> Price | None:
    try:
        return prices.price(model, provider, day) if model else None
    except LookupError:
        return None


def _quality_of(connection: duckdb.DuckDBPyConnection) -> Mapping[str, list[Quality]]:
    rows: list[Any] = connection.execute(f"""
        with told as (select id, any_value(thumb) as thumb from feedback where thumb is not null group by 1),
        rated as (
            select strftime(r.ts, '%Y-%m') as month, r.tier, count(*) as rated,
                   count(*) filter (where f.thumb = 'down') as down
            from records r join told f using (id) group by all
        ),
        answers as (
            select {DIMENSIONS["month"]} as month, tier,
                   coalesce(sum(attempts) filter (where answered), 0)::bigint as n,
                   sum(errors) / nullif(sum(attempts), 0) as errors,
                   sum(requests) filter (where tier = 1) as first, sum(attempts) filter (where purpose = 'escalation')
                       as escalations
            from spent where purpose <> 'idle' group by all
        ),
        whole as (select month, sum(escalations) / nullif(sum(first), 0) as escalated from answers group by 1)
        select a.month, a.tier, a.n, coalesce(r.rated, 0), r.down / nullif(r.rated, 0), a.errors,
               case when a.tier = 1 then coalesce(w.escalated, 0) end
        from answers a left join rated r on r.month = a.month and r.tier is not distinct from a.tier
        join whole w on w.month = a.month
        order by 1, 2
    """).fetchall()  # noqa: S608
    by_month: dict[str, list[Quality]] = defaultdict(list)
    for month, tier, n, rated, down, errors, escalated in rows:
        by_month[month].append(
            Quality(tier=tier, answers=n, rated=rated, thumbs_down=down, errors=errors, escalated=escalated)
        )
    return by_month
