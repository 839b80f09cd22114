"""The verdict at each volume scale and for each cohort, out of the candidates and the evidence."""

from collections.abc import Sequence

from pipeline.decide import evidence as evidence_
from pipeline.decide.candidates import Market, options, state_of
from pipeline.decide.evidence import Evidence
from pipeline.decide.quality import NOT_EVALUATED, Quality, judge
from pipeline.decide.record import Candidate, CohortVerdict, ScaleVerdict
from pipeline.decide.verdict import Option, VerdictName, decide


def by_scale(candidates: Sequence[Candidate], market: Market) -> tuple[ScaleVerdict, ...]:
    """In the order of the configuration."""
    simulated = {each.name for each in candidates if each.simulated}
    found = []
    for index, scale in enumerate(market.config.volume_scales):
        verdict = decide(options(candidates, index))
        found.append(
            ScaleVerdict(
                scale=scale,
                requests_per_month=scale * market.volume.requests_per_month,
                verdict=verdict.verdict,
                cheapest=verdict.winner,
                runner_up=verdict.runner_up,
                simulated=bool(verdict.rests_on & simulated),
                reasons=verdict.reasons,
            )
        )
    return tuple(found)


def by_cohort(
    evidence: Evidence, candidates: Sequence[Candidate], task: VerdictName, market: Market
) -> tuple[CohortVerdict, ...]:
    """Cohorts with enough items. `task`: the verdict of the whole task.

    Where that is to build, a cohort shares machines that are there anyway, so it is judged at the
    task's costs; else its own volume alone would have to pay for them.
    """
    found = []
    simulated = {each.name for each in candidates if each.simulated}
    everyone = evidence.reference.items
    for (key, value), ids in evidence_.cohorts(everyone, market.config.min_cohort_items).items():
        share = 1.0 if task == "build" else len(ids) / len(everyone)
        qualities = _qualities(evidence, ids, market)
        verdict = decide([_option(each, qualities.get(each.name, NOT_EVALUATED), share, market) for each in candidates])
        found.append(
            CohortVerdict(
                key=key,
                value=value,
                n=len(ids),
                verdict=verdict.verdict,
                cheapest=verdict.winner,
                simulated=bool(verdict.rests_on & simulated),
                basis="task" if task == "build" else "alone",
                quality={name: quality.verdict for name, quality in qualities.items()},
                reasons=verdict.reasons,
            )
        )
    return tuple(found)


def _qualities(evidence: Evidence, ids: frozenset[str], market: Market) -> dict[str, Quality]:
    margin, alpha = market.config.margin, market.config.alpha
    return {each.name: judge(each, evidence.reference, margin, alpha, ids) for each in evidence.evaluated}


def _option(candidate: Candidate, quality: Quality, share: float, market: Market) -> Option:
    state, why = state_of(quality, candidate.deprecated_on, market.expires, agreement=market.agreement)
    volume = share * market.config.decide_at * market.volume.requests_per_month
    usd = candidate.cost.monthly_usd(volume) if candidate.cost else None
    return Option(candidate.name, candidate.side, state, usd, why, candidate.simulated)
