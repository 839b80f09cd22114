"""Projects the bill with three tiers from the logged tokens, with all assumptions."""

import datetime as dt
from collections.abc import Mapping, Sequence

import duckdb
import msgspec

from pipeline.profile.config import ProfileConfig
from pipeline.profile.proposed_registry import Profiled
from traffic.prices import Price, PriceTable
from traffic.tiers import RoutingConfig

MTOK = 1_000_000


class TierBill(msgspec.Struct, frozen=True, kw_only=True):
    """One tier's share of the bill."""

    tier: int
    requests: int
    share: float
    logged_month_usd: float
    model: str | None
    month_usd: float | None
    """None if the model has no price."""


class Projection(msgspec.Struct, frozen=True, kw_only=True):
    """Monthly cost now, and with three tiers."""

    month_usd: float | None
    """None for a log of less than a day."""
    projected_month_usd: float | None
    saved_share: float | None
    without_waste_month_usd: float | None
    """Projected cost, reduced by the share of wasted calls."""
    tiers: tuple[TierBill, ...]
    assumptions: dict[str, str]


def prices_of(connection: duckdb.DuckDBPyConnection, table: PriceTable) -> dict[str, Price]:
    """Price of each model in the log on its last day; models without a price are omitted."""
    rows = connection.execute(
        "select r.model, any_value(r.provider), max(cast(r.ts as date)) from records r "
        "where model is not null group by 1"
    ).fetchall()
    prices = {}
    for model, provider, day in rows:
        price = _price(table, model, provider, day)
        if price is not None:
            prices[model] = price
    return prices


def _price(table: PriceTable, model: str, provider: str | None, day: dt.date) -> Price | None:
    try:
        return table.price(model, provider, day)
    except LookupError:
        return None


def project(
    connection: duckdb.DuckDBPyConnection,
    profiled: Sequence[Profiled],
    config: ProfileConfig,
    routing: RoutingConfig,
    table: PriceTable,
    *,
    days: float,
    wasted_usd: float,
    today: dt.date,
) -> Projection:
    """The bill if every shape is sent to its proposed tier; requests without a shape go to Tier 2.

    Attempts without a known cost are on neither side: the present bill has nothing to compare with theirs.
    """
    scale = config.month_days / days if days >= 1 else None
    tier_of = {p.number: p.proposal.tier for p in profiled}
    usage = {tier: [0, 0.0, 0, 0, 0] for tier in (1, 2, 3)}
    rows = connection.execute("""
        select shape, count(*) filter (where purpose = 'serve'), sum(logged_usd + coalesce(estimated_usd, 0)),
               sum(prompt_tokens - cached_tokens) filter (where costed), sum(cached_tokens) filter (where costed),
               sum(output_tokens) filter (where costed)
        from (select *, cost_usd is not null or estimated_usd is not null as costed from priced) group by 1
    """).fetchall()
    for shape, *values in rows:
        bucket = usage[tier_of.get(shape, 2)]
        for n, value in enumerate(values):
            bucket[n] += value or 0
    total = sum(bucket[0] for bucket in usage.values()) or 1
    models = {2: config.tier_2_model, 3: config.tier_3_model}
    bills = []
    for tier, (requests, logged, plain, cached, output) in usage.items():
        endpoint = next(iter(routing.endpoints_of(tier)), None)
        model = models.get(tier) or (endpoint.price_name if endpoint is not None else None)
        provider = endpoint.provider_name if endpoint is not None and models.get(tier) is None else None
        usd: float | None
        if tier == 1:
            usd, model = config.tier_1_usd_per_mtok * (plain + cached + output) / MTOK, "own model"
        else:
            price = _price(table, model, provider, today) if model else None
            usd = _cost(price, plain, cached, output) if price is not None else None
        bills.append(
            TierBill(
                tier=tier, requests=int(requests), share=requests / total, logged_month_usd=logged * (scale or 0.0),
                model=model, month_usd=None if usd is None or scale is None else usd * scale,
            )
        )  # fmt: skip
    spend = sum(bucket[1] for bucket in usage.values())
    priced = [bill.month_usd for bill in bills if bill.month_usd is not None]
    projected = sum(priced) if len(priced) == len(bills) and scale is not None else None
    month = spend * scale if scale is not None else None
    useful_share = 1 - wasted_usd / spend if spend else 1.0
    return Projection(
        month_usd=month,
        projected_month_usd=projected,
        saved_share=1 - projected / month if projected is not None and month else None,
        without_waste_month_usd=projected * useful_share if projected is not None else None,
        tiers=tuple(bills),
        assumptions=_assumptions(config, bills),
    )


def _cost(price: Price, plain: float, cached: float, output: float) -> float:
    read = price.cache_read_mtok_usd if price.cache_read_mtok_usd is not None else price.input_mtok_usd
    return (plain * price.input_mtok_usd + cached * read + output * price.output_mtok_usd) / MTOK


def _assumptions(config: ProfileConfig, bills: Sequence[TierBill]) -> dict[str, str]:
    named: Mapping[int, str] = {bill.tier: bill.model or "no model" for bill in bills}
    return {
        "tier_1_usd_per_mtok": f"{config.tier_1_usd_per_mtok}: an own machine is paid by the hour; `fasttier decide`",
        "tier_2_model": named[2],
        "tier_3_model": named[3],
        "tokens": "as logged: another model's tokenizer, longer answers and escalations are not in it",
        "month_days": str(config.month_days),
    }
