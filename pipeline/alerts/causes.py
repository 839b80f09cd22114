"""Likely cause of a change: decomposes the change of the cost per request exactly into volume, mix, tokens and price.

For a product, the difference of each factor is weighted by the mean of the other factors before and after (Bennet 1920,
Journal of the Royal Statistical Society 83:455), so that the parts add up. Factors: attempts per request, billed share
of the attempts, tokens of each kind, USD per token; the last by tier, by model within the tier, and within the model.
"""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from pipeline.alerts.series import Batch, Flow, size_of, value_of
from traffic.number_format import number, percent, usd
from traffic.prices import PriceTable

ONE_PART_SHARE = 0.6
"""A single part is the cause from this share of the movement in the direction of the change."""
_TWO_PARTS_SHARE = 0.8
"""Two parts together are the cause from this share."""
_SHOWN_RATIO = 0.25
"""Minimum size of the other parts that are shown, relative to the largest."""
_NEW_MODEL_SHARE = 0.5
"""Minimum share of requests answered by another model for a remark besides another cause."""
_REROUTED_SHARE = 0.1
"""Traffic was rerouted if the share on Tier 1 moved by at least this much, ..."""
_REROUTED_ERRORS = 3.0
"""... by this many standard errors, ..."""
_REROUTED_REQUESTS = 4
"""... and by this many requests: fewer move by chance."""
UNKNOWN = "unknown"
_CERTAIN = {"tier_1_share": "routing", "error_rate": "errors", "escalation_rate": "escalations"}
"""Series whose change is itself a cause."""
_VOLUME = {"serve": "attempts", "escalation": "escalations", "extra": "attempts"}
"""Cause by purpose, if the number of attempts changes."""

Parts = dict[str, float]
K = TypeVar("K")


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """Prices of a model's tokens as multiples of its price of an uncached input token."""

    cached: float = 0.25
    output: float = 4.0

    def of(self, flow: Flow) -> float:
        return flow.billed_plain + self.cached * flow.billed_cached + self.output * flow.billed_output


_SERIES_WEIGHTS = {"tokens_per_request": Weights(cached=1, output=0), "cache_hit_rate": Weights(cached=0.25, output=0)}
"""Series of tokens: their weighted number is decomposed, not USD."""


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The likely cause of one change."""

    name: str
    """Identifies the cause across changes."""
    sentence: str
    parts: Parts
    """USD (tokens, for series of tokens) per request by cause; {} if the series is itself a cause."""
    size: float
    """Relative to the value before, or a difference of shares."""


def likely(series: str, before: Batch, after: Batch, prices: PriceTable) -> Cause:
    """The likely cause of a series' change."""
    if series in _CERTAIN:
        name = _CERTAIN[series]
        size = size_of(series, before, after)
        return Cause(name=name, sentence=_sentence(name, before, after), parts={}, size=size)
    weights = _SERIES_WEIGHTS.get(series) or _relative_prices(before, prices)
    amount = weights.of if series in _SERIES_WEIGHTS else _amount
    parts = decompose(before, after, weights, amount)
    if _rerouted(before, after):
        # A tier that gained traffic is not comparable with its own past: its rate is part of the rerouting.
        _add(parts, "routing", parts.pop("model", 0.0) + parts.pop("price", 0.0))
    names = dominant(parts)
    sentence = "; ".join(_sentence(name, before, after) for name in names or (UNKNOWN,))
    if "model" not in names and (other := _redirected(before, after)):
        sentence += f"; besides, {other}"
    cause_names = (f"model {before.model} {after.model}" if name == "model" else name for name in names)
    old = sum(map(amount, before.flows.values()))
    size = abs(sum(parts[name] for name in names)) * before.requests / old if old else 0.0
    return Cause(name="+".join(cause_names) or UNKNOWN, sentence=sentence, parts=parts, size=size)


def dominant(parts: Parts) -> tuple[str, ...]:
    """The part that explains most of the change, or two of them; empty if no one or two do."""
    total = sum(parts.values())
    along = {name: value for name, value in parts.items() if value * total > 0}
    ranked = sorted(along, key=lambda name: -abs(along[name]))
    moved = abs(sum(along.values()))
    for n, share in ((1, ONE_PART_SHARE), (2, _TWO_PARTS_SHARE)):
        if along and abs(sum(along[name] for name in ranked[:n])) >= share * moved:
            return tuple(ranked[:n])
    return ()


def parts_text(parts: Parts, before: float) -> str:
    """The largest parts as shares of the value before: `price +38.2%, prompt +1.1%`."""
    listed = sorted(parts.items(), key=lambda item: -abs(item[1]))
    largest = [(name, value) for name, value in listed if value and abs(value) >= _SHOWN_RATIO * abs(listed[0][1])]
    return ", ".join(f"{name} {value / before:+.1%}" for name, value in largest) if before else ""


def decompose(before: Batch, after: Batch, weights: Weights, amount: Callable[[Flow], float]) -> Parts:
    """The change of `amount` per request by cause; the parts add up to it."""
    parts: Parts = {}
    for purpose, cause in _VOLUME.items():
        old, new = _flows(before, purpose), _flows(after, purpose)
        volume = [_total_flow(flows).attempts / b.requests for flows, b in ((old, before), (new, after))]
        unit = [_ratio(_sum(flows, amount), _total_flow(flows).attempts) for flows in (old, new)]
        if not volume[0] or not volume[1]:
            # A purpose that appeared or disappeared: all of its cost is volume.
            unit = [sum(unit)] * 2
            within: Parts = {}
        else:
            within = _per_attempt(old, new, weights, amount)
        _add(parts, cause, (volume[1] - volume[0]) * _mean(*unit))
        for name, value in within.items():
            _add(parts, name, value * _mean(*volume))
    # A failed attempt without cost and its billed retry are one answer.
    error_part, attempt_part = parts.get("errors", 0.0), parts.get("attempts", 0.0)
    if error_part * attempt_part < 0:
        retried = math.copysign(min(abs(error_part), abs(attempt_part)), attempt_part)
        parts |= {"errors": error_part + retried, "attempts": attempt_part - retried}
    return parts


_Flows = Mapping[tuple[int | None, str], Flow]
"""By tier and model."""


def _per_attempt(old: _Flows, new: _Flows, weights: Weights, amount: Callable[[Flow], float]) -> Parts:
    """The change of `amount` per attempt: billed share, tokens of a billed attempt, amount per token."""
    a, b = _total_flow(old), _total_flow(new)
    if not a.billed and not b.billed:
        return {"price": _ratio(_sum(new, amount), b.attempts) - _ratio(_sum(old, amount), a.attempts)}
    by_token = bool(weights.of(a) or weights.of(b))
    size: Callable[[Flow], float] = weights.of if by_token else lambda flow: flow.billed
    share = [a.billed / a.attempts, b.billed / b.attempts]
    tokens = [_ratio(size(a), a.billed), _ratio(size(b), b.billed)]
    rate = [_ratio(_sum(old, amount), size(a)), _ratio(_sum(new, amount), size(b))]
    for side, total in ((0, a), (1, b)):
        if not size(total):
            tokens[side], rate[side] = tokens[1 - side], rate[1 - side]
    billed = _mean(tokens[0] * rate[0], tokens[1] * rate[1])
    parts = {
        name: (getattr(a, column) / a.attempts - getattr(b, column) / b.attempts) * billed
        for name, column in (("answer_cache", "hits"), ("errors", "lost"), ("unpriced", "unpriced"))
    }
    if size(a) and size(b):
        kinds = _tokens(a, b, weights) if by_token else {}
        rates = _rates(old, new, size, amount)
        parts |= {name: value * _mean(*share) * _mean(*rate) for name, value in kinds.items()}
        parts |= {name: value * _mean(*share) * _mean(*tokens) for name, value in rates.items()}
    return parts


def _tokens(a: Flow, b: Flow, weights: Weights) -> Parts:
    """The change of weighted tokens per billed attempt: share of cached tokens, prompt length, output length."""
    plain = b.billed_plain / b.billed - a.billed_plain / a.billed
    cached = b.billed_cached / b.billed - a.billed_cached / a.billed
    moved = 0.0
    if plain * cached < 0:
        moved = min(abs(plain), abs(cached)) * (1 if plain > 0 else -1)
    return {
        "cache": moved * (1 - weights.cached),
        "prompt": plain - moved + (cached + moved) * weights.cached,
        "output": (b.billed_output / b.billed - a.billed_output / a.billed) * weights.output,
    }


def _rates(old: _Flows, new: _Flows, size: Callable[[Flow], float], amount: Callable[[Flow], float]) -> Parts:
    """The change of `amount` per weighted token: between tiers, between a tier's models, and within a model."""
    tiers = [_by_tier(old), _by_tier(new)]
    by_tier = [{tier: _total_flow(flows) for tier, flows in side.items()} for side in tiers]
    routing = _mix(by_tier[0], by_tier[1], size, amount)
    sizes = [_sum(flows, size) for flows in (old, new)]
    model = sum(
        _mix(tiers[0][tier], tiers[1][tier], size, amount)
        * _mean(_sum(tiers[0][tier], size) / sizes[0], _sum(tiers[1][tier], size) / sizes[1])
        for tier in tiers[0].keys() & tiers[1].keys()
    )
    change = _sum(new, amount) / sizes[1] - _sum(old, amount) / sizes[0]
    return {"routing": routing, "model": model, "price": change - routing - model}


def _mix(
    old: Mapping[K, Flow], new: Mapping[K, Flow], size: Callable[[Flow], float], amount: Callable[[Flow], float]
) -> float:
    """The change of `amount` per token that is due to changed shares of the flows."""
    wholes = [_sum(old, size), _sum(new, size)]
    if not all(wholes):
        return 0.0
    difference = 0.0
    for key in old.keys() | new.keys():
        sides = [flows.get(key, Flow()) for flows in (old, new)]
        rates = [_ratio(amount(flow), size(flow)) for flow in sides if size(flow)]
        if rates:
            moved = size(sides[1]) / wholes[1] - size(sides[0]) / wholes[0]
            difference += moved * sum(rates) / len(rates)
    return difference


def _by_tier(flows: _Flows) -> dict[int | None, dict[tuple[int | None, str], Flow]]:
    tiers: dict[int | None, dict[tuple[int | None, str], Flow]] = {}
    for key, flow in flows.items():
        tiers.setdefault(key[0], {})[key] = flow
    return tiers


def _flows(batch: Batch, purpose: str) -> _Flows:
    return {(tier, model): flow for (group, tier, model), flow in batch.flows.items() if group == purpose}


def _total_flow(flows: Mapping[K, Flow]) -> Flow:
    total = Flow()
    for flow in flows.values():
        total.add(flow)
    return total


def _amount(flow: Flow) -> float:
    return flow.usd


def _sum(flows: Mapping[K, Flow], value: Callable[[Flow], float]) -> float:
    return sum(map(value, flows.values()))


def _mean(a: float, b: float) -> float:
    return (a + b) / 2


def _ratio(part: float, total: float) -> float:
    return part / total if total else 0.0


def _add(parts: Parts, name: str, value: float) -> None:
    parts[name] = parts.get(name, 0.0) + value


def _relative_prices(batch: Batch, prices: PriceTable) -> Weights:
    """Weights of the model with the most answers; defaults if it has no price per token."""
    try:
        price = prices.price(batch.model or "", None, dt.datetime.fromtimestamp(batch.start, dt.UTC).date())
    except LookupError:
        return Weights()
    plain = price.input_mtok_usd
    if not plain:
        return Weights()
    return Weights(cached=price.read_mtok_usd / plain, output=price.output_mtok_usd / plain)


def _rerouted(before: Batch, after: Batch) -> bool:
    """Whether the share on Tier 1 moved by more than chance."""
    if not before.tiered or not after.tiered:
        return False
    difference = after.tier_1 / after.tiered - before.tier_1 / before.tiered
    pooled = (before.tier_1 + after.tier_1) / (before.tiered + after.tiered)
    spread = math.sqrt(pooled * (1 - pooled) * (1 / before.tiered + 1 / after.tiered))
    requests = abs(difference) * min(before.tiered, after.tiered)
    large, certain = abs(difference) >= _REROUTED_SHARE, abs(difference) > _REROUTED_ERRORS * spread
    return large and certain and requests >= _REROUTED_REQUESTS


def _redirected(before: Batch, after: Batch) -> str | None:
    """A remark if most requests are now answered by a model that answered hardly any before."""
    name = after.model
    if name is None or name == before.model:
        return None
    shares = [sum(f.attempts for (p, _, m), f in b.flows.items() if p == "serve" and m == name) / b.requests
              for b in (before, after)]  # fmt: skip
    return _sentence("model", before, after) if shares[1] - shares[0] >= _NEW_MODEL_SHARE else None


def describe(series: str, before: Batch, after: Batch) -> str:
    """Values before and after, formatted."""
    show = usd if series == "cost_per_request" else number if series == "tokens_per_request" else percent
    return f"{show(value_of(series, before))} before, {show(value_of(series, after))} now"


def _sentence(name: str, b: Batch, a: Batch) -> str:
    if name == "model" and a.model == b.model:
        return "the shares of the models changed"
    answered = [f"{number(_ratio(batch.billed_output, batch.billed))} tokens" for batch in (b, a)]
    return {
        "routing": f"the router moved traffic: {describe('tier_1_share', b, a)} on Tier 1",
        "model": f"another model answers: {a.model} in place of {b.model}",
        "errors": f"attempts fail: {describe('error_rate', b, a)}",
        "escalations": f"Tier 1 escalates: {describe('escalation_rate', b, a)}",
        "attempts": f"attempts per request: {number(b.attempts / b.requests)} before, "
        f"{number(a.attempts / a.requests)} now",
        "answer_cache": f"the gateway's answer cache: {percent(b.hits / b.attempts)} of answers before, "
        f"{percent(a.hits / a.attempts)} now",
        "unpriced": f"attempts without a price: {percent(b.unpriced / b.attempts)} before, "
        f"{percent(a.unpriced / a.attempts)} now",
        "prompt": f"the prompt length changed: {describe('tokens_per_request', b, a)}",
        "cache": f"the hit rate of the provider's prompt cache changed: {describe('cache_hit_rate', b, a)}",
        "output": f"the answer length changed: {answered[0]} before, {answered[1]} now",
        "price": "the price per token changed",
        UNKNOWN: "unknown: no part explains most of the change",
    }[name]
