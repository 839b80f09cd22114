"""The verdict at each volume scale and for each cohort, out of the candidates and the evidence."""

from collections.abc import Sequence

from pipeline.decide import evidence as evidence_
from pipeline.decide.candidates import Market, options, state_of
from pipeline.decide.evidence import Evidence
from pipeline.decide.quality import NOT_EVALUATED, Quality, judge
from pipeline.decide.record import Candidate, CohortVerdict, ScaleVerdict
from pipeline.decide.verdict import Option, VerdictName, decide
from pipeline.gate.cohorts import CohortTest
from pipeline.gate.label_groups import KEY as LABEL_GROUP


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
    adapters = {each.name: each.adapter for each in candidates}
    config = market.config
    for (key, value), ids in evidence_.cohorts(everyone, config.min_cohort_items, config.cohort_keys).items():
        if key == LABEL_GROUP:
            continue
        share = 1.0 if task == "build" else len(ids) / len(everyone)
        qualities = _qualities(evidence, ids, market)
        tests = {each.name: test for each in candidates if (test := _test(each, key, value)) is not None}
        options = [
            _option(each, qualities.get(each.name, NOT_EVALUATED), tests.get(each.name), share, market)
            for each in candidates
        ]
        verdict = decide(options)
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
                adapter=adapters.get(verdict.winner or "") if verdict.verdict == "build" else None,
                outcome={name: test.outcome for name, test in tests.items()},
                calibrations=evidence.calibrations(verdict.winner) if verdict.verdict == "build" else None,
            )
        )
    return tuple(found)


def _test(candidate: Candidate, key: str, value: str) -> CohortTest | None:
    tests = candidate.promotion.cohorts if candidate.promotion else ()
    return next((test for test in tests if (test.key, test.value) == (key, value)), None)


def _qualities(evidence: Evidence, ids: frozenset[str], market: Market) -> dict[str, Quality]:
    margin, alpha = market.config.margin, market.config.alpha
    return {each.name: judge(each, evidence.reference, margin, alpha, ids) for each in evidence.evaluated}


def _option(candidate: Candidate, quality: Quality, test: CohortTest | None, share: float, market: Market) -> Option:
    agreement = quality.references.basis == "agreement" if quality.references else market.agreement
    state, why = state_of(quality, candidate.deprecated_on, market.expires, agreement=agreement)
    # The gate's word on a cohort goes before that of its own test alone: Holm, or a cohort that follows the whole.
    if test is not None and test.outcome == "stays" and state == "adequate":
        state, why = "unsettled", test.why
    if test is not None and test.outcome == "promoted" and state == "unsettled" and quality.test is not None:
        state, why = "adequate", test.why
    # A cohort may be promoted without the others, but only of a candidate that passes as a whole and is not blocked.
    if state == "adequate" and candidate.promotion is not None and candidate.promotion.by == "none":
        state, why = candidate.state, candidate.why
    volume = share * market.config.decide_at * market.volume.requests_per_month
    usd = candidate.cost.monthly_usd(volume) if candidate.cost else None
    return Option(candidate.name, candidate.side, state, usd, why, candidate.simulated)
