"""Monthly cost model of each kind of candidate, with its basis in words."""

import datetime as dt
from typing import NamedTuple

from pipeline.decide import costs
from pipeline.decide.config import DecideConfig
from pipeline.decide.costs import CostModel
from pipeline.decide.evidence import Evaluated, Evidence
from pipeline.decide.volume import Volume
from pipeline.evaluate.scores import Parts
from traffic import adapters
from traffic.artifacts import Home
from traffic.prices import Machine, Machines, PriceTable

CLASSIFIERS = ("classical", "encoder")
"""Kinds of candidates that need no machine of their own: they pay for the CPU seconds that they use."""


class Market(NamedTuple):
    """What costs are computed from, besides the evaluations."""

    home: Home
    config: DecideConfig
    volume: Volume
    prices: PriceTable
    machines: Machines
    today: dt.date
    expires: dt.date
    agreement: bool
    """Candidates are scored by agreement with the logged answers, not against human labels."""


class Costed(NamedTuple):
    """A cost model with its basis; None: unpriced."""

    cost: CostModel | None
    basis: str
    notes: tuple[str, ...] = ()


def cost_of(each: Evaluated, evidence: Evidence, market: Market) -> Costed:
    """Cost model of an evaluated candidate."""
    kind, reference = each.scores.kind, evidence.reference
    if each.scores.parts is not None:
        return _cascade(each, each.scores.parts, evidence, market)
    if kind == "teacher":
        return _as_logged(market.volume)
    if kind == "openai":
        return _hosted(each, reference, market.volume)
    return _classifier(each, market) if kind in CLASSIFIERS else _own(each, market)


def shared(own: Costed, incumbent: Costed, share: float, evidence: Evidence) -> Costed:
    """Cost model if only a share of the requests is promoted and the incumbent answers the rest."""
    rest = f"{own.basis}; it answers {share:.0%} of the requests, {evidence.reference.name} the rest"
    if own.cost is None or incumbent.cost is None:
        return Costed(None, own.basis if own.cost is None else f"{rest}, whose cost is unknown", own.notes)
    return Costed(costs.shared_cost(own.cost, incumbent.cost, share), rest, own.notes)


def _cascade(each: Evaluated, parts: Parts, evidence: Evidence, market: Market) -> Costed:
    """Tier 1 is asked about every request, Tier 2 about escalated ones again."""
    by_name = {other.name: other for other in evidence.evaluated if other is not each}
    absent = [name for name in (parts.tier_1, parts.tier_2) if name not in by_name]
    if absent:
        return Costed(None, f"{', '.join(absent)} is not among the evaluations that count")
    first, second = (cost_of(by_name[name], evidence, market) for name in (parts.tier_1, parts.tier_2))
    basis = f"{parts.tier_1}: {first.basis}; {parts.escalation:.1%} again at {parts.tier_2}: {second.basis}"
    if first.cost is None or second.cost is None:
        return Costed(None, basis)
    return Costed(costs.cascade_cost(first.cost, second.cost, parts.escalation), basis, first.notes)


def _as_logged(volume: Volume) -> Costed:
    if volume.usd_per_request is None:
        return Costed(None, "no answer in the log has a cost; add its model to configs/prices.yaml and ingest again")
    notes = (f"{volume.unpriced:,} logged answers have no cost: the mean is of the others",) if volume.unpriced else ()
    return Costed(CostModel(usd_per_request=volume.usd_per_request), "mean logged cost of an answer", notes)


def _hosted(each: Evaluated, reference: Evaluated, volume: Volume) -> Costed:
    found = each.scores.cost
    measured = _tokens(each)
    if found.price is None or found.usd_per_1k is None or measured is None:
        return Costed(None, f"no price for {each.scores.model}; add one to configs/prices.yaml and evaluate again")
    # Live traffic may have longer or shorter requests than the test items.
    logged = _tokens(reference) if reference.scores.kind == "teacher" else None
    expected, basis = measured, "tokens of the test items x price"
    if logged is not None and volume.input_tokens_mean and volume.output_tokens_mean and all(logged):
        expected = (
            measured[0] * volume.input_tokens_mean / logged[0],
            measured[1] * volume.output_tokens_mean / logged[1],
        )
        basis = "tokens x price, its tokens on the test items scaled to the log's"
    cost = costs.hosted_cost(found.price, found.usd_per_1k / 1000, measured, expected)
    return Costed(cost, f"{basis} ({expected[0]:,.0f} in, {expected[1]:,.0f} out; {found.source})")


def _tokens(each: Evaluated) -> tuple[float, float] | None:
    found = each.scores.cost
    if found.input_tokens_mean is None or found.output_tokens_mean is None:
        return None
    return found.input_tokens_mean, found.output_tokens_mean


def _classifier(each: Evaluated, market: Market) -> Costed:
    seen = [machine for machine in market.machines.machines if machine.date <= market.today]
    newest = {machine.name: machine for machine in sorted(seen, key=lambda machine: machine.date)}
    machine = costs.cheapest_cpu(tuple(newest.values()))
    seconds = each.scores.cost.cpu_s_per_request
    if machine is None or seconds is None:
        return Costed(None, "no CPU machine in configs/gpus.yaml" if machine is None else "no CPU time was measured")
    cost = costs.cpu_cost(machine, seconds, market.config.own_fixed_usd_per_month)
    return Costed(
        cost,
        f"{1000 * seconds:.2g} ms of one core of {machine.name} (${machine.usd_per_hour}/h, {machine.date}) a request; "
        "it runs beside the router and pays for no machine of its own",
    )


def _own(each: Evaluated, market: Market) -> Costed:
    found, config, volume = each.scores.cost, market.config, market.volume
    if found.requests_per_s is None or found.machine is None:
        return Costed(None, "its throughput was not measured; evaluate it again")
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
    return Costed(
        cost,
        f"{part}{machine.name} at ${machine.usd_per_hour}/h ({machine.provider}, {machine.date}), always on; "
        f"{found.requests_per_s:.3g} requests/s measured at {found.concurrency} in flight, planned for "
        f"{config.utilisation:.0%} of it in the busiest hour{tuning}",
        notes,
    )


def _fine_tuning(each: Evaluated, machine: Machine, market: Market) -> tuple[float, str, tuple[str, ...]]:
    """One-time USD, its basis, notes."""
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
