"""The candidates of a decision: each evaluation, and each listed rival, with its side, state and cost model."""

import datetime as dt
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import msgspec

from pipeline.decide import costs
from pipeline.decide.break_even import break_even
from pipeline.decide.config import DecideConfig, Rival
from pipeline.decide.costs import CostModel
from pipeline.decide.evidence import Evaluated, Evidence
from pipeline.decide.quality import NOT_EVALUATED, Quality, judge, promotion
from pipeline.decide.record import AtScale, Candidate
from pipeline.decide.verdict import Option, Side, State
from pipeline.decide.volume import Volume
from pipeline.evaluate.scores import Parts
from pipeline.gate.cohorts import Promotion
from pipeline.gate.paired import missing
from traffic import adapters
from traffic.artifacts import Home
from traffic.errors import NotFound, UnknownPrice
from traffic.prices import Machine, Machines, Price, PriceTable

_BOUGHT = ("teacher", "openai")


class Market(NamedTuple):
    """What the costs follow from, besides the evaluations."""

    home: Home
    config: DecideConfig
    volume: Volume
    prices: PriceTable
    machines: Machines
    today: dt.date
    expires: dt.date
    agreement: bool
    """Candidates are scored by agreement with the logged answers, not against human labels."""


class _Costed(NamedTuple):
    cost: CostModel | None
    basis: str
    notes: tuple[str, ...] = ()


def assemble(evidence: Evidence, market: Market) -> tuple[Candidate, ...]:
    """All candidates, the reference first. Raises: NotFound, ConfigError (an adapter or machine that is not there)."""
    stand_ins = {each.scores.model for each in evidence.evaluated if each.scores.simulated}
    found = [_evaluated(each, evidence, stand_ins, market) for each in evidence.evaluated]
    taken = {each.name for each in found} | {each.model for each in found if each.kind == "openai"}
    found += [_listed(rival, market) for rival in market.config.rivals if not {rival.name, rival.model} & taken]
    bought = [each.cost.usd_per_request for each in found if _is_live(each, "buy") and each.cost is not None]
    if not bought:
        return tuple(found)
    return tuple(
        msgspec.structs.replace(each, break_even=break_even(each.cost, min(bought)))
        if each.side == "build" and each.cost is not None
        else each
        for each in found
    )


def options(candidates: Sequence[Candidate], scale: int) -> list[Option]:
    """What the verdict needs, at the volume scale of this index."""
    return [
        Option(each.name, each.side, each.state, each.at[scale].cost_per_month_usd, each.why, each.simulated)
        for each in candidates
    ]


def state_of(
    quality: Quality, deprecated_on: dt.date | None, expires: dt.date, *, agreement: bool
) -> tuple[State, str]:
    """Adequate, unsettled or inadequate, and why, in words. `agreement`: scored against the logged answers."""
    if deprecated_on is not None and deprecated_on <= expires:
        return "inadequate", f"it is switched off on {deprecated_on}, before the decision expires on {expires}"
    if quality.verdict == "reference":
        return "adequate", "the reference: what answers today"
    if quality.verdict == "not evaluated":
        return "unsettled", "not evaluated on this task"
    gap = _gap(quality, agreement=agreement)
    if quality.verdict == "pass":
        return "adequate", f"not worse than the reference by the margin: {gap}"
    if quality.verdict == "fail":
        return "inadequate", f"worse than the reference by more than the margin: {gap}"
    more = missing(quality.test) if quality.test else ""
    return "unsettled", f"{quality.n:,} items do not settle whether it is as good: {gap}{more}"


def with_promotion(state: State, why: str, found: Promotion | None, quality: Quality) -> tuple[State, str]:
    """What the cohorts add to the overall state: a degraded one may block, the others may leave nothing."""
    if found is None or state != "adequate" or quality.verdict != "pass" or found.by == "whole":
        return state, why
    if found.by == "cohorts":
        return state, f"{why}; for {found.share:.0%} of the requests: {_first(found.reasons)}"
    return ("inadequate" if found.blocked else "unsettled"), f"{why}; but {_first(found.reasons)}"


def _first(reasons: Sequence[str]) -> str:
    more = len(reasons) - 1
    return reasons[0] + (f" (and {more} more)" if more > 0 else "")


def _gap(quality: Quality, *, agreement: bool) -> str:
    assert quality.difference is not None
    assert quality.difference_low is not None
    assert quality.difference_high is not None
    what = "agreement with the log" if agreement else ("similarity" if quality.metric == "similarity" else "accuracy")
    low, high = 100 * quality.difference_low, 100 * quality.difference_high
    return f"{what} {100 * quality.difference:+.1f} points ({low:+.1f} to {high:+.1f})"


def _is_live(candidate: Candidate, side: Side) -> bool:
    return candidate.side == side and candidate.state == "adequate"


def _evaluated(each: Evaluated, evidence: Evidence, stand_ins: set[str | None], market: Market) -> Candidate:
    scores, config = each.scores, market.config
    teacher = scores.kind == "teacher"
    model = next(iter(market.volume.models), scores.model) if teacher else scores.model
    ends = scores.deprecated_on or (_last_day(model, market) if teacher else None)
    quality = judge(each, evidence.reference, config.margin, config.alpha)
    agreement = quality.references.basis == "agreement" if quality.references else market.agreement
    state, why = state_of(quality, ends, market.expires, agreement=agreement)
    found = promotion(each, evidence.reference, quality, config)
    state, why = with_promotion(state, why, found, quality)
    costed = _cost(each, evidence, market)
    if found is not None and found.by == "cohorts":
        costed = _shared(costed, _cost(evidence.reference, evidence, market), found.share, evidence)
    return Candidate(
        name=each.name,
        kind=scores.kind,
        side="buy" if scores.kind in _BOUGHT else "build",
        state=state,
        why=why,
        simulated=scores.simulated or (teacher and _is_stand_in(model, stand_ins, config)),
        model=model,
        adapter=scores.adapter,
        deprecated_on=ends,
        quality=quality,
        latency_p50_ms=scores.latency.p50_ms if scores.latency else None,
        latency_p95_ms=scores.latency.p95_ms if scores.latency else None,
        cost=costed.cost,
        basis=costed.basis,
        at=_at(costed.cost, market),
        cost_per_1k_usd=_per_1k(costed.cost, market),
        notes=(*scores.notes, *costed.notes),
        evaluation=each.folder.name,
        promotion=found,
    )


def _listed(rival: Rival, market: Market) -> Candidate:
    volume = market.volume
    price: Price | None = None
    try:
        price = market.prices.price(rival.model, rival.provider, market.today)
    except UnknownPrice as error:
        costed = _Costed(None, str(error))
    else:
        if volume.input_tokens_mean is None or volume.output_tokens_mean is None:
            costed = _Costed(None, "the log has no token counts")
        else:
            usd = costs.list_price(price, volume.input_tokens_mean, volume.output_tokens_mean)
            costed = _Costed(CostModel(usd_per_request=usd), f"the log's tokens x price ({price.source})")
    ends = price.deprecated_on if price else None
    state, why = state_of(NOT_EVALUATED, ends, market.expires, agreement=False)
    return Candidate(
        name=rival.name,
        kind="listed",
        side="buy",
        state=state,
        why=why,
        simulated=False,
        model=rival.model,
        adapter=None,
        deprecated_on=ends,
        quality=NOT_EVALUATED,
        cost=costed.cost,
        basis=costed.basis,
        at=_at(costed.cost, market),
        cost_per_1k_usd=_per_1k(costed.cost, market),
    )


# ------------------------------------------------------------------------------------------------ cost


def _cost(each: Evaluated, evidence: Evidence, market: Market) -> _Costed:
    kind, reference = each.scores.kind, evidence.reference
    if each.scores.parts is not None:
        return _cascade(each, each.scores.parts, evidence, market)
    if kind == "teacher":
        return _as_logged(market.volume)
    if kind == "openai":
        return _hosted(each, reference, market.volume)
    return _classical(each, market) if kind == "classical" else _own(each, market)


def _shared(own: _Costed, incumbent: _Costed, share: float, evidence: Evidence) -> _Costed:
    """The cost where only a share of the requests is promoted and the incumbent answers the rest."""
    rest = f"{own.basis}; it answers {share:.0%} of the requests, {evidence.reference.name} the rest"
    if own.cost is None or incumbent.cost is None:
        return _Costed(None, own.basis if own.cost is None else f"{rest}, whose cost is unknown", own.notes)
    return _Costed(costs.shared_cost(own.cost, incumbent.cost, share), rest, own.notes)


def _cascade(each: Evaluated, parts: Parts, evidence: Evidence, market: Market) -> _Costed:
    """Tier 1 is asked about every request, and Tier 2 about those that escalate: these are paid twice."""
    by_name = {other.name: other for other in evidence.evaluated if other is not each}
    absent = [name for name in (parts.tier_1, parts.tier_2) if name not in by_name]
    if absent:
        return _Costed(None, f"{', '.join(absent)} is not among the evaluations that count")
    first, second = (_cost(by_name[name], evidence, market) for name in (parts.tier_1, parts.tier_2))
    basis = f"{parts.tier_1}: {first.basis}; {parts.escalation:.1%} again at {parts.tier_2}: {second.basis}"
    if first.cost is None or second.cost is None:
        return _Costed(None, basis)
    return _Costed(costs.cascade_cost(first.cost, second.cost, parts.escalation), basis, first.notes)


def _as_logged(volume: Volume) -> _Costed:
    if volume.usd_per_request is None:
        return _Costed(None, "no answer in the log has a cost; add its model to configs/prices.yaml and ingest again")
    notes = (f"{volume.unpriced:,} logged answers have no cost: the mean is of the others",) if volume.unpriced else ()
    return _Costed(CostModel(usd_per_request=volume.usd_per_request), "mean logged cost of an answer", notes)


def _hosted(each: Evaluated, reference: Evaluated, volume: Volume) -> _Costed:
    found = each.scores.cost
    measured = _tokens(each)
    if found.price is None or found.usd_per_1k is None or measured is None:
        return _Costed(None, f"no price for {each.scores.model}; add one to configs/prices.yaml and evaluate again")
    # Duplicates were dropped from the test items: live traffic may have longer or shorter requests.
    logged = _tokens(reference) if reference.scores.kind == "teacher" else None
    expected, basis = measured, "tokens of the test items x price"
    if logged is not None and volume.input_tokens_mean and volume.output_tokens_mean and all(logged):
        expected = (
            measured[0] * volume.input_tokens_mean / logged[0],
            measured[1] * volume.output_tokens_mean / logged[1],
        )
        basis = "tokens x price, its tokens on the test items scaled to the log's"
    cost = costs.hosted_cost(found.price, found.usd_per_1k / 1000, measured, expected)
    return _Costed(cost, f"{basis} ({expected[0]:,.0f} in, {expected[1]:,.0f} out; {found.source})")


def _tokens(each: Evaluated) -> tuple[float, float] | None:
    found = each.scores.cost
    if found.input_tokens_mean is None or found.output_tokens_mean is None:
        return None
    return found.input_tokens_mean, found.output_tokens_mean


def _classical(each: Evaluated, market: Market) -> _Costed:
    seen = [machine for machine in market.machines.machines if machine.date <= market.today]
    newest = {machine.name: machine for machine in sorted(seen, key=lambda machine: machine.date)}
    machine = costs.cheapest_cpu(tuple(newest.values()))
    seconds = each.scores.cost.cpu_s_per_request
    if machine is None or seconds is None:
        return _Costed(None, "no CPU machine in configs/gpus.yaml" if machine is None else "no CPU time was measured")
    cost = costs.cpu_cost(machine, seconds, market.config.own_fixed_usd_per_month)
    return _Costed(
        cost,
        f"{1000 * seconds:.2g} ms of one core of {machine.name} (${machine.usd_per_hour}/h, {machine.date}) a request; "
        "it runs beside the router and pays for no machine of its own",
    )


def _own(each: Evaluated, market: Market) -> _Costed:
    found, config, volume = each.scores.cost, market.config, market.volume
    if found.requests_per_s is None or found.machine is None:
        return _Costed(None, "its throughput was not measured; evaluate it again")
    machine = market.machines.get(found.machine, market.today)
    once, tuning, notes = _fine_tuning(each, machine, market)
    fixed = config.own_fixed_usd_per_month + costs.per_month(once, config.expires_after_days)
    cost = costs.machine_cost(
        machine,
        requests_per_s=found.requests_per_s,
        peak_requests_per_hour=volume.peak_requests_per_hour,
        requests_per_month=volume.requests_per_month,
        utilisation=config.utilisation,
        share=config.share_of_machine,
        fixed_usd_per_month=fixed,
    )
    part = f"{config.share_of_machine:.0%} of " if config.share_of_machine < 1 else ""
    return _Costed(
        cost,
        f"{part}{machine.name} at ${machine.usd_per_hour}/h ({machine.provider}, {machine.date}), always on; "
        f"{found.requests_per_s:.3g} requests/s measured at {found.concurrency} in flight, planned for "
        f"{config.utilisation:.0%} of it in the busiest hour{tuning}",
        notes,
    )


def _fine_tuning(each: Evaluated, machine: Machine, market: Market) -> tuple[float, str, tuple[str, ...]]:
    """USD once, how it was reckoned, notes."""
    if each.scores.adapter is None:
        return 0.0, "", ()
    seconds = adapters.load(market.home.adapter(each.scores.adapter)).metrics.get("seconds")
    if seconds is None:
        return 0.0, "", ("its training time is not in adapter.yaml: fine-tuning is not in the cost",)
    on = market.config.training_machine
    trained_on = market.machines.get(on, market.today) if on else machine
    once = seconds / costs.SECONDS_PER_HOUR * trained_on.usd_per_hour
    days = market.config.expires_after_days
    return once, f"; fine-tuning {seconds:,.0f} s on {trained_on.name} = ${once:.4g} once, over {days} days", ()


def _at(cost: CostModel | None, market: Market) -> tuple[AtScale, ...]:
    found = []
    for scale in market.config.volume_scales:
        volume = scale * market.volume.requests_per_month
        usd, machines = (cost.monthly_usd(volume), cost.machines(volume)) if cost else (None, 0)
        found.append(AtScale(scale, volume, usd, machines))
    return tuple(found)


def _per_1k(cost: CostModel | None, market: Market) -> float | None:
    volume = market.config.decide_at * market.volume.requests_per_month
    return None if cost is None else 1000 * cost.monthly_usd(volume) / volume


# ------------------------------------------------------------------------------------------ the teacher


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
