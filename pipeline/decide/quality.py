"""Quality of a candidate: its score, the gate's test against the incumbent, and the requests it may answer."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from pipeline.decide import evidence as evidence_
from pipeline.decide.config import DecideConfig
from pipeline.decide.evidence import Evaluated, Item
from pipeline.gate import cohorts as cohorts_
from pipeline.gate import families, paired, references
from pipeline.gate.cohorts import Cohort, Promotion, Sample, Settings
from pipeline.gate.paired import PairedTest
from pipeline.gate.references import LabelledPair, References
from pipeline.labels.items import canonical

QualityVerdict = Literal["reference", "pass", "fail", "insufficient evidence", "not evaluated"]
State = Literal["adequate", "unsettled", "inadequate"]
"""unsettled: the evidence is not enough, or nothing was evaluated."""


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Result of a candidate's evaluation by requests; differences are to the incumbent, as fractions."""

    verdict: QualityVerdict
    metric: str | None = None
    """accuracy, json_exact or similarity: the metric that ranks candidates of this task."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    """95% interval of the value; None for a cohort, where only the difference decides."""
    n: int = 0
    """Items."""
    requests: int | None = None
    """Logged requests that the items stand for; None in decisions of earlier versions."""
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    """One-sided bounds at 1 - alpha."""
    items_needed: int | None = None
    """Items that settle it if both are equally good; None if settled."""
    test: PairedTest | None = None
    """The whole test; None for the incumbent and in decisions of earlier versions."""
    p_holm: float | None = None
    """p-value of the test after Holm's correction over the candidates; None where nothing was corrected."""
    compared: int = 1
    """Candidates that the correction is over, this one included: those not shown to be worse by the margin."""
    references: References | None = None
    """Share of the comparison that is based on human labels."""


NOT_EVALUATED = Quality(verdict="not evaluated")


def judge(
    new: Evaluated, reference: Evaluated, margin: float, alpha: float, ids: Collection[str] | None = None
) -> Quality:
    """The candidate's quality on all items, or on those of a cohort. The incumbent itself is adequate by definition."""
    metric = new.scores.main_metric
    items = new.items if ids is None else {record_id: new.items[record_id] for record_id in ids}
    value, low, high = _value(new, items) if ids is None else (_mean(items, metric), None, None)
    requests = sum(item.requests for item in items.values())
    plain = Quality(
        verdict="reference", metric=metric, value=value, low=low, high=high, n=len(items), requests=requests
    )
    if new is reference:
        return plain
    test = _test(items, reference.items, metric, margin, alpha)
    return msgspec.structs.replace(
        plain,
        verdict=test.verdict,
        difference=test.difference,
        difference_low=test.low,
        difference_high=test.high,
        items_needed=test.items_needed if test.verdict == "insufficient evidence" else None,
        test=test,
        references=references.of(_judged_items(new, reference, items)),
    )


def judge_all(candidates: Sequence[Evaluated], reference: Evaluated, margin: float, alpha: float) -> dict[str, Quality]:
    """Every candidate's quality on all items, corrected for their number (`pipeline/gate/families.py`)."""
    qualities = {candidate.name: judge(candidate, reference, margin, alpha) for candidate in candidates}
    tests = {name: quality.test for name, quality in qualities.items() if quality.test is not None}
    by_name = {candidate.name: candidate for candidate in candidates}
    for name, result in families.correct(tests, alpha).items():
        quality = msgspec.structs.replace(qualities[name], p_holm=result.p_holm, compared=max(1, result.rivals))
        if quality.verdict == "pass" and not result.passes:
            strict = judge(by_name[name], reference, margin, (1 - alpha) * alpha / result.rivals).test
            items_needed = strict.items_needed if strict is not None else None
            quality = msgspec.structs.replace(quality, verdict=paired.OPEN, items_needed=items_needed)
        qualities[name] = quality
    return qualities


def promotion(new: Evaluated, reference: Evaluated, overall: Quality, config: DecideConfig) -> Promotion | None:
    """The requests that the candidate may answer; None for the incumbent itself."""
    if overall.test is None:
        return None
    tested: dict[Cohort, Sample] = {}
    for cohort, ids in evidence_.cohorts(reference.items, 1, config.cohort_keys).items():
        test = None
        if len(ids) >= config.min_cohort_items:
            items = {record_id: new.items[record_id] for record_id in ids}
            test = _test(items, reference.items, new.scores.main_metric, config.margin, config.alpha)
        tested[cohort] = Sample(len(ids), test)
    keys = {cohort.key for cohort in tested}
    values = [{key: item.cohort.get(key, evidence_.UNKNOWN) for key in keys} for item in reference.items.values()]
    weights = [item.requests for item in reference.items.values()]
    settings = Settings(config.alpha, config.degraded_cohorts, config.unsettled_cohorts, config.min_cohort_items)
    passed = overall.verdict == "pass"
    return cohorts_.promote(overall.test, tested, values, settings, weights, passed=passed)


def to_ask(new: Evaluated, reference: Evaluated) -> list[str]:
    """Record ids of the items where a human label would change the comparison."""
    if new.scores.reference == "labels":
        return []
    return references.to_ask(_judged_items(new, reference, new.items))


def state_of(
    quality: Quality, deprecated_on: dt.date | None, expires: dt.date, *, agreement: bool
) -> tuple[State, str]:
    """Adequate, unsettled or inadequate, and the reason. `agreement`: scored against the logged answers."""
    if deprecated_on is not None and deprecated_on <= expires:
        return "inadequate", f"retired on {deprecated_on}, before the decision expires on {expires}"
    if quality.verdict == "reference":
        return "adequate", "the reference: it answers today"
    if quality.verdict == "not evaluated":
        return "unsettled", "not evaluated on this task"
    gap = _gap(quality, agreement=agreement)
    if quality.verdict == "pass":
        return "adequate", f"not worse than the reference by the margin: {gap}"
    if quality.verdict == "fail":
        return "inadequate", f"worse than the reference by more than the margin: {gap}"
    if quality.test is not None and quality.test.verdict == "pass" and quality.p_holm is not None:
        lacking = max(1, (quality.items_needed or 0) - quality.n)
        return "unsettled", (
            f"passes alone, but not after Holm's correction over {quality.compared} candidates (p {quality.p_holm:.3f})"
            f": {gap}; about {lacking:,} more items, or fewer candidates, would settle it"
        )
    more = paired.missing(quality.test) if quality.test else ""
    return "unsettled", f"{quality.n:,} items do not settle whether it is as good: {gap}{more}"


def with_promotion(state: State, reason: str, promotion: Promotion | None, quality: Quality) -> tuple[State, str]:
    """The state after the cohorts' tests: a degraded cohort may block, and cohorts may leave no requests."""
    if promotion is None or state != "adequate" or quality.verdict != "pass" or promotion.by == "whole":
        return state, reason
    if promotion.by == "cohorts":
        return state, f"{reason}; for {promotion.share:.0%} of the requests: {_first(promotion.reasons)}"
    return ("inadequate" if promotion.blocked else "unsettled"), f"{reason}; but {_first(promotion.reasons)}"


def _first(reasons: Sequence[str]) -> str:
    more = len(reasons) - 1
    return reasons[0] + (f" (and {more} more)" if more > 0 else "")


def _gap(quality: Quality, *, agreement: bool) -> str:
    low, high = quality.difference_low, quality.difference_high
    assert quality.difference is not None
    assert low is not None
    assert high is not None
    observed = ""
    if quality.test is not None and quality.test.dominant:
        observed = f", {quality.test.dominant} items with {quality.test.dominant_share:.0%} of the requests as observed"
    metric = "agreement with the log" if agreement else ("similarity" if quality.metric == "similarity" else "accuracy")
    return f"{metric} {100 * quality.difference:+.1f} points ({100 * low:+.1f} to {100 * high:+.1f}{observed})"


def _test(
    items: Mapping[str, Item], reference: Mapping[str, Item], metric: str, margin: float, alpha: float
) -> PairedTest:
    candidate_scores = [_score(item, metric) for item in items.values()]
    reference_scores = [_score(reference[record_id], metric) for record_id in items]
    clusters = [item.cluster or record_id for record_id, item in items.items()]
    weights = [item.requests for item in items.values()]
    return paired.compare(
        candidate_scores,
        reference_scores,
        clusters,
        margin=margin,
        alpha=alpha,
        weights=weights if max(weights) > 1 else None,
    )


def _score(item: Item, metric: str) -> float:
    return item.score if metric == "similarity" else float(item.correct)


def _judged_items(new: Evaluated, reference: Evaluated, items: Mapping[str, Item]) -> Iterator[LabelledPair]:
    by_people = new.scores.reference == "labels"
    for record_id, item in items.items():
        other = reference.items[record_id]
        source = "human" if by_people else item.label_source
        differ = (item.correct, item.score) != (other.correct, other.score) or _answer(item) != _answer(other)
        yield LabelledPair(record_id, source, differ)


def _answer(item: Item) -> str | None:
    return None if item.output is None else canonical(item.output.strip())


def _value(new: Evaluated, items: Mapping[str, Item]) -> tuple[float | None, float | None, float | None]:
    """The main metric by requests, with its interval; by items where each stands for one request."""
    scores = new.scores
    metric = scores.metrics.get(scores.main_metric)
    if scores.traffic is not None and scores.traffic.requests > scores.n:
        metric = scores.traffic.score if scores.main_metric == "similarity" else scores.traffic.accuracy
    if metric is not None:
        return metric.value, metric.interval.low, metric.interval.high
    return _mean(items, scores.main_metric), None, None


def _mean(items: Mapping[str, Item], metric: str) -> float | None:
    total = sum(item.requests for item in items.values())
    return sum(_score(item, metric) * item.requests for item in items.values()) / total if total else None
