"""The proposed request type and tier of a shape, with a confidence and its evidence.

Signals add points to request types (`signals.py`); wording is one signal among others. No signal decides
alone: closed, short answers speak for a label, but a hard question can have a short answer too. The tiers of call
sites that behave alike (`known_call_sites.py`) are weighed against all signals. A tier is chosen by expected cost,
where a hard request sent low is several times as bad as an easy one sent high.
"""

import math
from typing import Literal

import msgspec

from pipeline.profile import kinds
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.known_call_sites import TierProbabilities
from pipeline.profile.scores import Evidence
from pipeline.profile.signals import AGENT, FEW, LABEL_TYPES, score
from traffic.callsites import RequestType

Tier = Literal[1, 2, 3]

UNSURE = 0.7
"""Confidence below which a shape goes to Tier 2 and a person is asked."""
HEAVY_POINTS = 1.0
"""Points for a type of Tier 3 without which an unsure shape is not sent there."""
HEAVY_SHARE = 0.5
"""Probability of Tier 3 by known call sites that counts as such points."""
SIGNALS_WEIGHT, KNOWN_WEIGHT = 0.5, 1.0
"""Exponents of the tiers' probabilities by the signals (overconfident) and by known call sites; these predicted the
companies of unseen authors best."""
LEAST = 1e-3
"""Added to both probabilities, so that neither rules out a tier."""
LOW_COST, HIGH_COST = 4.0, 1.0
"""Cost of a request one tier too low, and one too high."""
_TIERS: dict[RequestType, Tier] = {
    "classification": 1, "intent": 1, "moderation": 1, "extraction": 1, "rewrite": 1,
    "generation": 2, "summarization": 2, "structured": 2, "tool_use": 2,
    "reasoning": 3, "long_context": 3, "code": 3, "chat": 3,
}  # fmt: skip
_HEAVY = frozenset[str](kind for kind, tier in _TIERS.items() if tier == 3)
_TIER_OF: dict[str, Tier] = {
    "label": 1, AGENT: 3, **{kind: tier for kind, tier in _TIERS.items() if kind not in LABEL_TYPES}
}  # fmt: skip
"""Tier of what signals give points to."""
_PRIORS = {"generation": 0.0, "label": -1.0}
_OTHER_PRIOR = -1.7


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What the registry should say about a shape."""

    request_type: RequestType
    tier: Tier
    confidence: float
    """Probability of the tier, as far as the signals can tell; of the likeliest tier where `unsure`."""
    unsure: bool
    evidence: tuple[Evidence, ...]


def propose(b: Behaviour, known: TierProbabilities | None = None) -> Proposal:
    """Type and tier of a shape that behaves like this, and like `known` call sites of these tiers."""
    scores = score(b)
    weights = {name: math.exp(scores.points.get(name, 0.0) + _PRIORS.get(name, _OTHER_PRIOR)) for name in _TIER_OF}
    total = sum(weights.values())
    by_tier = {1: 0.0, 2: 0.0, 3: 0.0}
    for name, weight in weights.items():
        by_tier[_TIER_OF[name]] += weight / total
    compared = known is not None and b.answered >= FEW
    if known is not None and compared:
        joined = {
            tier: (p + LEAST) ** SIGNALS_WEIGHT * (known[tier] + LEAST) ** KNOWN_WEIGHT for tier, p in by_tier.items()
        }
        by_tier = {tier: p / sum(joined.values()) for tier, p in joined.items()}
        shares = ", ".join(f"{p:.0%} Tier {tier}" for tier, p in known.items())
        scores.evidence.append(Evidence(f"known call sites with similar behaviour and wording: {shares}", {}))
    cost = {
        tier: sum(p * (LOW_COST if true > tier else HIGH_COST) * abs(true - tier) for true, p in by_tier.items())
        for tier in by_tier
    }
    tier = min(cost, key=lambda t: (cost[t], t))
    unsure = b.answered < FEW or by_tier[tier] < UNSURE
    if unsure:
        # Never Tier 1. Tier 3 where something speaks for it and it costs less; hardly any answers: as it is worded.
        worded = sum(share for kind, share in b.wording.items() if kind in _HEAVY)
        spoken = max(scores.points.get(kind, 0.0) for kind in (*_HEAVY, AGENT)) >= HEAVY_POINTS
        spoken = spoken or (known is not None and compared and known[3] >= HEAVY_SHARE)
        heavy = worded >= 0.5 if b.answered < FEW else spoken and cost[3] < cost[2]
        tier = 3 if heavy else 2
    # An unsure shape keeps the type that it most likely has.
    fitting = [name for name in weights if unsure or (_TIER_OF[name] == tier and scores.points.get(name, 0.0) > 0)]
    best = max(fitting, key=lambda name: weights[name]) if fitting else _untyped(tier, b)
    return Proposal(
        request_type=_request_type(best, b),
        tier=tier,  # type: ignore[arg-type]
        confidence=round(by_tier[tier], 3),
        unsure=unsure,
        evidence=tuple(scores.evidence),
    )


def _untyped(tier: int, b: Behaviour) -> str:
    """The type of a shape whose tier follows from known call sites alone."""
    if tier == 1:
        return "label" if kinds.is_closed(b) else "extraction" if b.is_record else "rewrite"
    return "generation" if tier == 2 else "reasoning"


def _request_type(name: str, b: Behaviour) -> RequestType:
    if name == AGENT:
        return "tool_use"
    if name != "label":
        return next(kind for kind in _TIERS if kind == name)
    worded: dict[RequestType, float] = {kind: b.wording[kind] for kind in LABEL_TYPES if kind in b.wording}
    return max(worded, key=lambda kind: worded[kind]) if worded else "classification"
