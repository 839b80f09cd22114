"""Why something changed: which factor of the cost moved most between the batches before and after."""

import math

from pipeline.alerts.series import Batch, value_of
from traffic.number_format import number, percent, usd

_WEIGHTS = (1.0, 0.25, 4.0)
"""Relative prices of input, cached input and output tokens, where only the direction of a change matters."""
_SMALL = 0.02
_SURE = 3.0
"""Standard errors."""
_MOSTLY = 0.7
_FEW = 4
"""Requests: a share of fewer may move by chance alone, whatever its standard error says."""


def likely(before: Batch, after: Batch) -> tuple[str, str]:
    """A short name that alerts of one cause share, and the sentence."""
    if _moved((before.tier_1, before.tiered), (after.tier_1, after.tiered), at_least=0.1):
        return (
            "routing",
            f"the router moved traffic: {percent(_tier(before))} on Tier 1 before, {percent(_tier(after))} now",
        )
    if before.model and after.model and before.model != after.model:
        return f"model {before.model} {after.model}", f"another model answers: {after.model} in place of {before.model}"
    factors = _factors(before, after)
    name = max(factors, key=lambda each: abs(factors[each]))
    if _moved((before.errors, before.attempts), (after.errors, after.attempts), at_least=0.05):
        # What fails costs less, in tokens and in USD: unless something else moved more, this is why.
        old, new = before.errors / before.attempts, after.errors / after.attempts
        if abs(math.log((1.01 - new) / (1.01 - old))) >= _MOSTLY * abs(factors[name]):
            return "errors", f"attempts fail: {percent(old)} before, {percent(new)} now"
    if abs(factors[name]) < _SMALL:
        return "unclear", "no single factor moved enough to name it"
    return name, _sentence(name, before, after)


def _moved(before: tuple[float, float], after: tuple[float, float], *, at_least: float) -> bool:
    """Whether a share (part, whole) moved, by so much at least and by more than few requests do by chance."""
    difference = _share(*after) - _share(*before)
    pooled = _share(before[0] + after[0], before[1] + after[1])
    spread = math.sqrt(pooled * (1 - pooled) * (_share(1, before[1]) + _share(1, after[1])))
    moved = abs(difference) * min(before[1], after[1])
    return abs(difference) >= at_least and abs(difference) > _SURE * spread and moved >= _FEW


def _factors(before: Batch, after: Batch) -> dict[str, float]:
    """What each factor alone does to the logarithm of the cost per request."""

    def cost(attempts: float, asked: float, prompt: float, cached: float, output: float) -> float:
        plain, read, written = _WEIGHTS
        return math.log(
            max(1e-9, attempts * asked * (prompt * ((1 - cached) * plain + cached * read) + output * written))
        )

    old, new = _parts(before), _parts(after)
    start = cost(*old)
    factors = {
        name: cost(*(new[n] if n == position else value for n, value in enumerate(old))) - start
        for position, name in enumerate(("attempts", "answer_cache", "prompt", "cache", "output"))
    }
    if before.usd > 0 and after.usd > 0:
        whole = math.log((after.usd / after.requests) / (before.usd / before.requests))
        factors["price"] = whole - (cost(*new) - start)
    return factors


def _parts(b: Batch) -> tuple[float, float, float, float, float]:
    """Attempts per request, the share that a model answered; per attempt prompt tokens, cached share, output tokens."""
    prompt = b.plain + b.cached
    return (
        b.attempts / b.requests,
        1 - b.hits / b.attempts,
        prompt / b.attempts,
        _share(b.cached, prompt),
        b.output / b.attempts,
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _tier(b: Batch) -> float:
    return _share(b.tier_1, b.tiered)


def describe(series: str, before: Batch, after: Batch) -> str:
    """The values that people read."""
    show = usd if series == "cost_per_request" else number if series == "tokens_per_request" else percent
    return f"{show(value_of(series, before))} before, {show(value_of(series, after))} now"


def _sentence(factor: str, b: Batch, a: Batch) -> str:
    if factor == "attempts":
        return f"attempts per request: {number(b.attempts / b.requests)} before, {number(a.attempts / a.requests)} now"
    if factor == "answer_cache":
        shares = percent(b.hits / b.attempts), percent(a.hits / a.attempts)
        return f"the gateway's answer cache: {shares[0]} of answers before, {shares[1]} now"
    if factor == "prompt":
        return f"the prompt changed its length: {describe('tokens_per_request', b, a)}"
    if factor == "cache":
        return f"the provider's prompt cache is hit differently: {describe('cache_hit_rate', b, a)}"
    if factor == "output":
        lengths = number(b.output / b.attempts), number(a.output / a.attempts)
        return f"answers changed their length: {lengths[0]} tokens before, {lengths[1]} now"
    return "the price changed: as many tokens cost another amount"
