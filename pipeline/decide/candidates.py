"""Candidates of a decision: every evaluation and every listed rival, with side, state and cost model."""

import datetime as dt
from fnmatch import fnmatchcase

import msgspec

from pipeline.decide import costs, pricing
from pipeline.decide.config import DecideConfig, Rival
from pipeline.decide.costs import CostModel, break_even
from pipeline.decide.evidence import Evaluated, Evidence
from pipeline.decide.pricing import Costed, Market
from pipeline.decide.quality import NOT_EVALUATED, Quality, judge_all, promotion, state_of, with_promotion
from pipeline.decide.record import AtScale, Candidate
from traffic.errors import NotFound, UnknownPrice
from traffic.prices import Price

_BOUGHT = ("teacher", "openai")


def assemble(evidence: Evidence, market: Market) -> tuple[Candidate, ...]:
    """All candidates, the incumbent first. Raises: NotFound, ConfigError (missing adapter or machine)."""
    stand_ins = {evaluated.scores.model for evaluated in evidence.evaluated if evaluated.scores.simulated}
    qualities = judge_all(evidence.evaluated, evidence.reference, market.config.margin, market.config.alpha)
    candidates = [_evaluated(e, qualities[e.name], evidence, stand_ins, market) for e in evidence.evaluated]
    evaluated_names = {c.name for c in candidates} | {c.model for c in candidates if c.kind == "openai"}
    candidates += [
        _listed(rival, market) for rival in market.config.rivals if not {rival.name, rival.model} & evaluated_names
    ]
    bought = [c.cost.usd_per_request for c in candidates if c.side == "buy" and c.state == "adequate" and c.cost]
    if not bought:
        return tuple(candidates)
    return tuple(
        msgspec.structs.replace(c, break_even=break_even(c.cost, min(bought))) if c.side == "build" and c.cost else c
        for c in candidates
    )


def _evaluated(
    evaluated: Evaluated, quality: Quality, evidence: Evidence, stand_ins: set[str | None], market: Market
) -> Candidate:
    scores, config = evaluated.scores, market.config
    teacher = scores.kind == "teacher"
    model = next(iter(market.volume.models), scores.model) if teacher else scores.model
    ends = scores.deprecated_on or (_last_day(model, market) if teacher else None)
    agreement = quality.references.basis == "agreement" if quality.references else market.agreement
    state, reason = state_of(quality, ends, market.expires, agreement=agreement)
    promoted = promotion(evaluated, evidence.reference, quality, config)
    state, reason = with_promotion(state, reason, promoted, quality)
    costed = pricing.cost_of(evaluated, evidence, market)
    if promoted is not None and promoted.by == "cohorts":
        incumbent = pricing.cost_of(evidence.reference, evidence, market)
        costed = pricing.shared(costed, incumbent, promoted.share, evidence)
    return Candidate(
        name=evaluated.name,
        kind=scores.kind,
        side="buy" if scores.kind in _BOUGHT else "build",
        state=state,
        why=reason,
        simulated=scores.simulated or (teacher and _is_stand_in(model, stand_ins, config)),
        model=model,
        adapter=scores.adapter,
        deprecated_on=ends,
        quality=quality,
        latency_p50_ms=scores.latency.p50_ms if scores.latency else None,
        latency_p95_ms=scores.latency.p95_ms if scores.latency else None,
        cost=costed.cost,
        basis=costed.basis,
        at=_costs_at_scales(costed.cost, market),
        cost_per_1k_usd=_per_1k(costed.cost, market),
        notes=(*scores.notes, *costed.notes),
        evaluation=evaluated.folder.name,
        promotion=promoted,
    )


def _listed(rival: Rival, market: Market) -> Candidate:
    volume = market.volume
    price: Price | None = None
    try:
        price = market.prices.price(rival.model, rival.provider, market.today)
    except UnknownPrice as error:
        costed = Costed(None, str(error))
    else:
        if volume.input_tokens_mean is None or volume.output_tokens_mean is None:
            costed = Costed(None, "the log has no token counts")
        else:
            usd = costs.list_price(price, volume.input_tokens_mean, volume.output_tokens_mean)
            costed = Costed(CostModel(usd_per_request=usd), f"the log's tokens x price ({price.source})")
    ends = price.deprecated_on if price else None
    state, reason = state_of(NOT_EVALUATED, ends, market.expires, agreement=False)
    return Candidate(
        name=rival.name,
        kind="listed",
        side="buy",
        state=state,
        why=reason,
        simulated=False,
        model=rival.model,
        adapter=None,
        deprecated_on=ends,
        quality=NOT_EVALUATED,
        cost=costed.cost,
        basis=costed.basis,
        at=_costs_at_scales(costed.cost, market),
        cost_per_1k_usd=_per_1k(costed.cost, market),
    )


def _costs_at_scales(cost: CostModel | None, market: Market) -> tuple[AtScale, ...]:
    costs_at = []
    for scale in market.config.volume_scales:
        volume = scale * market.volume.requests_per_month
        usd, machines = (cost.monthly_usd(volume), cost.machines(volume)) if cost else (None, 0)
        costs_at.append(AtScale(scale, volume, usd, machines))
    return tuple(costs_at)


def _per_1k(cost: CostModel | None, market: Market) -> float | None:
    volume = market.config.decide_at * market.volume.requests_per_month
    return None if cost is None else 1000 * cost.monthly_usd(volume) / volume


def _last_day(model: str | None, market: Market) -> dt.date | None:
    if model is None:
        return None
    try:
        return market.prices.price(model, None, market.today).deprecated_on
    except NotFound:
        return None


def _is_stand_in(model: str | None, stand_ins: set[str | None], config: DecideConfig) -> bool:
    patterns = config.simulated_models
    return model is not None and (model in stand_ins or any(fnmatchcase(model, pattern) for pattern in patterns))
