"""Forecast of a feature's cost before it ships, from a similar logged feature."""

import datetime as dt

import msgspec
import numpy as np

from pipeline.costs import Books
from traffic.errors import InputError, NotEnoughData, NotFound
from traffic.number_format import count, percent, usd
from traffic.prices import MTOK, PriceTable

QUANTILES = (0.1, 0.9)
FEW_REQUESTS = 30


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier costs plan`: USD a month."""

    schema_version: int = 1
    feature: str
    like: str
    requests_per_month: float
    usd_per_request: float
    """Retries, escalations and other overhead included."""
    month_usd: float
    low_usd: float
    """At the request cost of a cheap day and less use than assumed."""
    high_usd: float
    usd_per_user: float
    input_tokens: float
    """Per request, all attempts."""
    output_tokens: float
    cached_share: float
    model: str
    assumptions: tuple[str, ...]

    def lines(self) -> list[str]:
        total = f"{usd(self.month_usd)} a month ({usd(self.low_usd)} to {usd(self.high_usd)})"
        prompt = f"{self.input_tokens:,.0f} tokens in ({percent(self.cached_share)} cached)"
        unit = f"{self.requests_per_month:,.0f} requests at {usd(self.usd_per_request)}"
        return [
            f"{self.feature}: {total}, {usd(self.usd_per_user)} per user",
            f"  {unit}: {prompt}, {self.output_tokens:,.0f} out, {self.model}",
            *(f"assumed: {assumption}" for assumption in self.assumptions),
        ]


class NewFeature(msgspec.Struct, frozen=True, kw_only=True):
    """A feature that is not in the log yet."""

    name: str
    like: str
    """A feature or call site of the log."""
    users: int
    requests_per_user: float
    """A month."""
    spread: float = 0.5
    """Relative uncertainty of the usage (0.5: 50% to 150%)."""
    model: str | None = None
    """Price the same tokens at another model's list price."""


def run(books: Books, feature: NewFeature, *, prices: PriceTable, today: dt.date) -> Forecast:
    """Monthly cost of a new feature. Raises: InputError, NotFound, NotEnoughData, UnknownPrice."""
    like, model, users, spread = feature.like, feature.model, feature.users, feature.spread
    requests_per_user = feature.requests_per_user
    if users < 1 or not requests_per_user > 0 or not 0 <= spread <= 1:
        raise InputError("costs plan: --users and --requests-per-user above 0, --spread from 0 to 1")
    days = _days(books, like)
    requests = sum(day[1] for day in days)
    if requests < FEW_REQUESTS:
        raise NotEnoughData(f"{like} has {requests} requests in this time; {FEW_REQUESTS} are needed")
    plain, cached, output = sum(day[3] for day in days), sum(day[4] for day in days), sum(day[5] for day in days)
    cache_writes = sum(day[7] for day in days)
    prompt = plain + cache_writes + cached
    if any(day[2] is None for day in days) and model is None:
        raise NotFound(f"no request of {like} has a known cost; name a model with --model")
    unit = sum(day[2] or 0.0 for day in days) / requests
    low, high = np.quantile([(day[2] or 0.0) / day[1] for day in days if day[1]], QUANTILES)
    named = _models(books, like)
    basis = f"the request costs what it cost in {count(len(days), 'day')} of {like}, all attempts included"
    if model is not None:
        price, named = prices.price(model, None, today), model
        answers = output * price.output_mtok_usd
        prompts = plain * price.input_mtok_usd + cached * price.read_mtok_usd + cache_writes * price.write_mtok_usd
        unit = (prompts + answers) / MTOK / requests
        low, high = unit, (prompt * price.input_mtok_usd + answers) / MTOK / requests
        basis = f"tokens of {like} at the list price of {model} ({price.source}); the upper end has no prompt cache"
    volume = requests_per_user * users
    unknown = sum(day[6] for day in days)
    of = f"{requests_per_user:g} requests a month by each of {count(users, 'user')}"
    assumptions = [basis, f"{of}; the range has {spread:.0%} less and more"]
    if model is not None and price.steps:
        above = min(step.above_input_tokens for step in price.steps)
        assumptions.append(f"no prompt is longer than {above:,} tokens, above which {model} costs more")
    if model is None:
        ends = " and ".join(f"{quantile:.0%}" for quantile in QUANTILES)
        assumptions.append(f"range of the request's cost: the {ends} quantile of its days")
    if unknown:
        excluded = count(unknown, "attempt")
        assumptions.append(f"{excluded} of {like} without a known cost are left out: the truth is higher")
    return Forecast(
        feature=feature.name, like=like, requests_per_month=volume, usd_per_request=unit, month_usd=volume * unit,
        low_usd=volume * (1 - spread) * min(unit, float(low)), high_usd=volume * (1 + spread) * max(unit, float(high)),
        usd_per_user=requests_per_user * unit, input_tokens=prompt / requests,
        output_tokens=output / requests, cached_share=cached / prompt if prompt else 0.0,
        model=named, assumptions=tuple(assumptions),
    )  # fmt: skip


def _days(books: Books, like: str) -> list[tuple[dt.date, int, float | None, float, float, float, int, float]]:
    """Day, requests, USD, tokens (uncached, cache read, output), unpriced attempts, tokens written to the cache.

    Raises: NotFound.
    """
    rows = books.connection.execute(
        "select day, sum(requests)::bigint, sum(usd)::double, coalesce(sum(input_uncached), 0)::double, "
        "coalesce(sum(cache_read), 0)::double, coalesce(sum(output), 0)::double, "
        "coalesce(sum(attempts) filter (where usd is null), 0)::bigint, coalesce(sum(cache_write), 0)::double "
        "from spent where feature = ? or call_site = ? group by 1 order by 1",
        [like, like],
    ).fetchall()
    if not rows:
        known = books.connection.execute(
            "select feature from spent where feature is not null group by 1 order by sum(requests) desc limit 5"
        ).fetchall()
        raise NotFound(f"no feature or call site {like!r} in this time; known: {', '.join(r[0] for r in known)}")
    return rows


def _models(books: Books, like: str) -> str:
    rows = books.connection.execute(
        "select coalesce(model, '?'), sum(attempts) / sum(sum(attempts)) over () from spent "
        "where feature = ? or call_site = ? group by 1 order by 2 desc",
        [like, like],
    ).fetchall()
    return ", ".join(f"{name} {share:.0%}" for name, share in rows[:3])
