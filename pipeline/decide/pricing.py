"""Monthly cost model of each kind of candidate, with an explanation of its basis."""

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
    """Inputs of the cost models besides the evaluations."""

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


def cost_of(evaluated: Evaluated, evidence: Evidence, market: Market) -> Costed:
    """Cost model of an evaluated candidate."""
    kind, reference = evaluated.scores.kind, evidence.reference
    if evaluated.scores.parts is not None:
        return _cascade(evaluated, evaluated.scores.parts, evidence, market)
    if kind == "teacher":
        return _as_logged(market.volume)
    if kind == "openai":
        return _hosted(evaluated, reference, market.volume)
    return _classifier(evaluated, market) if kind in CLASSIFIERS else _own_model(evaluated, market)


def shared(own: Costed, incumbent: Costed, share: float, evidence: Evidence) -> Costed:
    """Cost model if only a share of the requests is promoted and the incumbent answers the rest."""
    basis = f"{own.basis}; it answers {share:.0%} of the requests, {evidence.reference.name} the rest"
    if own.cost is None or incumbent.cost is None:
        return Costed(None, own.basis if own.cost is None else f"{basis}, whose cost is unknown", own.notes)
    return Costed(costs.shared_cost(own.cost, incumbent.cost, share), basis, own.notes)


def _cascade(evaluated: Evaluated, parts: Parts, evidence: Evidence, market: Market) -> Costed:
    """Every request goes to Tier 1, the escalated ones to Tier 2 too."""
    by_name = {other.name: other for other in evidence.evaluated if other is not evaluated}
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


def _hosted(evaluated: Evaluated, reference: Evaluated, volume: Volume) -> Costed:
    measured_cost = evaluated.scores.cost
    measured = _tokens(evaluated)
    if measured_cost.price is None or measured_cost.usd_per_1k is None or measured is None:
        return Costed(None, f"no price for {evaluated.scores.model}; add one to configs/prices.yaml and evaluate again")
    # Live traffic may have longer or shorter requests than the test items.
    logged = _tokens(reference) if reference.scores.kind == "teacher" else None
    expected, basis = measured, "tokens of the test items x price"
    if logged is not None and volume.input_tokens_mean and volume.output_tokens_mean and all(logged):
        expected = (
            measured[0] * volume.input_tokens_mean / logged[0],
            measured[1] * volume.output_tokens_mean / logged[1],
        )
        basis = "tokens x price, its tokens on the test items scaled to the log's"
    cost = costs.hosted_cost(measured_cost.price, measured_cost.usd_per_1k / 1000, measured, expected)
    return Costed(cost, f"{basis} ({expected[0]:,.0f} in, {expected[1]:,.0f} out; {measured_cost.source})")


def _tokens(evaluated: Evaluated) -> tuple[float, float] | None:
    measured_cost = evaluated.scores.cost
    if measured_cost.input_tokens_mean is None or measured_cost.output_tokens_mean is None:
        return None
    return measured_cost.input_tokens_mean, measured_cost.output_tokens_mean


def _classifier(evaluated: Evaluated, market: Market) -> Costed:
    dated = [machine for machine in market.machines.machines if machine.date <= market.today]
    newest = {machine.name: machine for machine in sorted(dated, key=lambda machine: machine.date)}
    machine = costs.cheapest_cpu(tuple(newest.values()))
    seconds = evaluated.scores.cost.cpu_s_per_request
    if machine is None or seconds is None:
        return Costed(None, "no CPU machine in configs/gpus.yaml" if machine is None else "no CPU time was measured")
    cost = costs.cpu_cost(machine, seconds, market.config.own_fixed_usd_per_month)
    return Costed(
        cost,
        f"{1000 * seconds:.2g} ms of one core of {machine.name} (${machine.usd_per_hour}/h, {machine.date}) a request; "
        "it runs beside the router and pays for no machine of its own",
    )


def _own_model(evaluated: Evaluated, market: Market) -> Costed:
    measured_cost, config, volume = evaluated.scores.cost, market.config, market.volume
    if measured_cost.requests_per_s is None or measured_cost.machine is None:
        return Costed(None, "its throughput was not measured; evaluate it again")
    machine = market.machines.get(measured_cost.machine, market.today)
    once, tuning, notes = _fine_tuning(evaluated, machine, market)
    fixed = config.own_fixed_usd_per_month + costs.per_month(once, config.expires_after_days)
    cost = costs.machine_cost(
        machine,
        requests_per_s=measured_cost.requests_per_s,
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
        f"{measured_cost.requests_per_s:.3g} requests/s measured at {measured_cost.concurrency} in flight, planned for "
        f"{config.utilisation:.0%} of it in the busiest hour{tuning}",
        notes,
    )


def _fine_tuning(evaluated: Evaluated, machine: Machine, market: Market) -> tuple[float, str, tuple[str, ...]]:
    """One-time USD, its basis, notes."""
    if evaluated.scores.adapter is None:
        return 0.0, "", ()
    seconds = adapters.load(market.home.adapter(evaluated.scores.adapter)).metrics.get("seconds")
    if seconds is None:
        return 0.0, "", ("its training time is not in adapter.yaml: fine-tuning is not in the cost",)
    on = market.config.training_machine
    trained_on = market.machines.get(on, market.today) if on else machine
    once = seconds / costs.SECONDS_PER_HOUR * trained_on.usd_per_hour
    days = market.config.expires_after_days
    return once, f"; fine-tuning {seconds:,.0f} s on {trained_on.name} = ${once:.4g} once, over {days} days", ()
