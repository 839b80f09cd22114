"""build, buy or wait: a pure rule over adequate candidates and their costs, at each volume and for each cohort."""

from collections.abc import Sequence
from typing import NamedTuple

from pipeline.decide import evidence as evidence_
from pipeline.decide.evidence import Evidence
from pipeline.decide.pricing import Market
from pipeline.decide.quality import NOT_EVALUATED, Quality, State, judge, state_of
from pipeline.decide.record import Candidate, CohortVerdict, ScaleVerdict, Side, VerdictName, label
from pipeline.gate.cohorts import CohortTest
from pipeline.gate.label_groups import KEY as LABEL_GROUP
from traffic.number_format import usd


class Option(NamedTuple):
    """Input of the verdict: one candidate."""

    name: str
    side: Side
    state: State
    cost_usd: float | None
    """Per month; None: unpriced."""
    why: str
    """Reason for the state."""
    simulated: bool = False

    @property
    def label(self) -> str:
        return label(self.name, simulated=self.simulated)


class Verdict(NamedTuple):
    """The verdict at one volume."""

    verdict: VerdictName
    winner: str | None
    """The cheapest adequate candidate; for "wait" the current leader, if any."""
    runner_up: str | None
    """The cheapest adequate candidate of the other side."""
    reasons: tuple[str, ...]
    blocked_by: tuple[str, ...] = ()
    """Candidates of the other side that might be cheaper but lack evidence or a price."""

    @property
    def depends_on(self) -> frozenset[str]:
        """Candidates whose numbers the verdict depends on."""
        return frozenset(name for name in (self.winner, self.runner_up, *self.blocked_by) if name)


def decide(options: Sequence[Option]) -> Verdict:
    """The verdict for one volume.

    The cheapest adequate candidate wins. If a candidate of the other side would be cheaper and only lacks evidence or a
    price, the verdict is "wait".
    """
    adequate = [option for option in options if option.state == "adequate"]
    # At equal cost buying comes first: it is easier to undo.
    priced = sorted((o for o in adequate if o.cost_usd is not None), key=lambda o: (o.cost_usd, o.side == "build"))
    if not priced:
        if adequate:
            names = ", ".join(option.label for option in adequate)
            return Verdict("wait", None, None, (f"no adequate candidate has a price: {names}",))
        return Verdict("wait", None, None, ("no candidate is shown to be adequate", *_shortcomings(options)))
    best = priced[0]
    others = [option for option in options if option.side != best.side]
    runner_up = next((option for option in priced if option.side != best.side), None)
    blockers = [option for option in others if _might_be_cheaper(option, best)]
    verdict = Verdict(best.side, best.name, runner_up.name if runner_up else None, ())
    if best.side == "build" and not others:
        return verdict._replace(verdict="wait", reasons=("no hosted model was evaluated or priced",))
    if blockers:
        return verdict._replace(
            verdict="wait",
            reasons=(
                f"{best.label} leads at {usd(best.cost_usd)} a month",
                *_blocks(blockers),
            ),
            blocked_by=tuple(blocker.name for blocker in blockers),
        )
    mine = [option for option in options if option.side == best.side and option is not best]
    cheaper = [option for option in mine if option.state == "unsettled" and _might_be_cheaper(option, best)]
    # Unsettled candidates of the other side cost more here; otherwise they would have been blockers.
    ruled_out = [option for option in others if option.state == "inadequate"]
    return verdict._replace(reasons=(_wins(best, runner_up), *_blocks(cheaper), *_shortcomings(ruled_out)))


def _might_be_cheaper(option: Option, best: Option) -> bool:
    if option.state == "inadequate":
        return False
    assert best.cost_usd is not None
    return option.cost_usd is None or (option.state == "unsettled" and option.cost_usd < best.cost_usd)


def _blocks(blockers: Sequence[Option]) -> list[str]:
    unpriced = [option for option in blockers if option.cost_usd is None]
    # Candidates that lack the same evidence share a line.
    lacking: dict[str, list[str]] = {}
    for option in blockers:
        if option.cost_usd is not None:
            lacking.setdefault(option.why, []).append(f"{option.label} ({usd(option.cost_usd)})")
    return [
        *(f"{', '.join(names)} would cost less, but: {why}" for why, names in lacking.items()),
        *(f"{option.label} might cost less, but its cost is unknown ({option.why})" for option in unpriced),
    ]


def _wins(best: Option, runner_up: Option | None) -> str:
    costs = f"{best.label} is the cheapest adequate candidate: {usd(best.cost_usd)} a month"
    other = "to buy" if best.side == "build" else "to build"
    if runner_up is None:
        return f"{costs}; nothing {other} is adequate"
    return f"{costs}, against {usd(runner_up.cost_usd)} for {runner_up.label}, the cheapest adequate one {other}"


def _shortcomings(options: Sequence[Option]) -> list[str]:
    return [f"{option.label}: {option.why}" for option in options if option.state != "adequate"]


def options_at(candidates: Sequence[Candidate], scale: int) -> list[Option]:
    """Options for the verdict at the volume scale of this index."""
    return [
        Option(
            candidate.name,
            candidate.side,
            candidate.state,
            candidate.at[scale].cost_per_month_usd,
            candidate.why,
            candidate.simulated,
        )
        for candidate in candidates
    ]


def by_scale(candidates: Sequence[Candidate], market: Market) -> tuple[ScaleVerdict, ...]:
    """Verdicts by volume scale, in the order of the configuration."""
    simulated = {candidate.name for candidate in candidates if candidate.simulated}
    verdicts = []
    for index, scale in enumerate(market.config.volume_scales):
        verdict = decide(options_at(candidates, index))
        verdicts.append(
            ScaleVerdict(
                scale=scale,
                requests_per_month=scale * market.volume.requests_per_month,
                verdict=verdict.verdict,
                cheapest=verdict.winner,
                runner_up=verdict.runner_up,
                simulated=bool(verdict.depends_on & simulated),
                reasons=verdict.reasons,
            )
        )
    return tuple(verdicts)


def by_cohort(
    evidence: Evidence, candidates: Sequence[Candidate], task: VerdictName, market: Market
) -> tuple[CohortVerdict, ...]:
    """Verdicts of cohorts with enough items. `task`: the verdict of the whole task.

    If that is to build, a cohort shares the task's machines and costs; otherwise its own volume pays for them.
    """
    verdicts = []
    simulated = {candidate.name for candidate in candidates if candidate.simulated}
    everyone = evidence.reference.items
    adapters = {candidate.name: candidate.adapter for candidate in candidates}
    config = market.config
    for (key, value), ids in evidence_.cohorts(everyone, config.min_cohort_items, config.cohort_keys).items():
        if key == LABEL_GROUP:
            continue
        share = 1.0 if task == "build" else len(ids) / len(everyone)
        qualities = _qualities(evidence, ids, market)
        tests = {candidate.name: test for candidate in candidates if (test := _test(candidate, key, value)) is not None}
        options = [
            _option(candidate, qualities.get(candidate.name, NOT_EVALUATED), tests.get(candidate.name), share, market)
            for candidate in candidates
        ]
        verdict = decide(options)
        verdicts.append(
            CohortVerdict(
                key=key,
                value=value,
                n=len(ids),
                verdict=verdict.verdict,
                cheapest=verdict.winner,
                simulated=bool(verdict.depends_on & simulated),
                basis="task" if task == "build" else "alone",
                quality={name: quality.verdict for name, quality in qualities.items()},
                reasons=verdict.reasons,
                adapter=adapters.get(verdict.winner or "") if verdict.verdict == "build" else None,
                outcome={name: test.outcome for name, test in tests.items()},
                calibrations=evidence.calibrations(verdict.winner) if verdict.verdict == "build" else None,
            )
        )
    return tuple(verdicts)


def _test(candidate: Candidate, key: str, value: str) -> CohortTest | None:
    tests = candidate.promotion.cohorts if candidate.promotion else ()
    return next((test for test in tests if (test.key, test.value) == (key, value)), None)


def _qualities(evidence: Evidence, ids: frozenset[str], market: Market) -> dict[str, Quality]:
    margin, alpha = market.config.margin, market.config.alpha
    return {
        evaluated.name: judge(evaluated, evidence.reference, margin, alpha, ids) for evaluated in evidence.evaluated
    }


def _option(candidate: Candidate, quality: Quality, test: CohortTest | None, share: float, market: Market) -> Option:
    agreement = quality.references.basis == "agreement" if quality.references else market.agreement
    state, reason = state_of(quality, candidate.deprecated_on, market.expires, agreement=agreement)
    # The gate overrules the cohort's own test: Holm's correction, or a cohort that follows the whole.
    if test is not None and test.outcome == "stays" and state == "adequate":
        state, reason = "unsettled", test.why
    if test is not None and test.outcome == "promoted" and state == "unsettled" and quality.test is not None:
        state, reason = "adequate", test.why
    # A cohort is promoted alone only if the candidate passes as a whole, corrected for the number of candidates, and is
    # not blocked.
    if state == "adequate" and candidate.promotion is not None and candidate.promotion.by == "none":
        state, reason = candidate.state, candidate.why
    volume = share * market.config.decide_at * market.volume.requests_per_month
    usd = candidate.cost.monthly_usd(volume) if candidate.cost else None
    return Option(candidate.name, candidate.side, state, usd, reason, candidate.simulated)
