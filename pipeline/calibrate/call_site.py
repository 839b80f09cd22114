"""Calibration of one candidate at one call site: signal, curve, threshold, and its measured error. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline import metrics, statistics
from pipeline.calibrate import chart, threshold
from pipeline.calibrate.chart import Bin, Point
from pipeline.calibrate.config import CalibrateConfig
from pipeline.calibrate.fit import Fitted, fit
from pipeline.calibrate.threshold import NEVER, Choice, Infeasible
from pipeline.evaluate.predictions import Prediction
from pipeline.gate.references import BY_PEOPLE
from traffic.calibrations import Calibration, KeptAnswers
from traffic.callsites import RequestType


class Splits(NamedTuple):
    """A call site's rows of each split, all of one candidate."""

    calibration: Sequence[Prediction]
    threshold: Sequence[Prediction]
    test: Sequence[Prediction] = ()
    tier_2: Sequence[Prediction] | None = None
    """Tier 2's rows of the test split, in the order of `test`; None if it was not evaluated."""
    test_reference: str | None = None
    """Reference of the test split: labels or logged."""
    clusters: Mapping[str, object] = {}
    """Cluster by record id; rows of one cluster are not independent evidence."""


class Calibrated(NamedTuple):
    """Result of calibrating a call site."""

    calibration: Calibration
    points: list[Point]
    """Cost-quality curve, on the test split if there is one, else on the threshold split."""
    on: str
    """Split of the curve."""
    bins: list[Bin]
    """Reliability diagram of the threshold split."""
    tier_2_known: bool = False
    """The curve uses Tier 2's own answers; otherwise they count as right."""


class Sample(NamedTuple):
    """Rows of one split as arrays, one entry per row."""

    p: list[float]
    """P(right); `NEVER` for answers that always escalate."""
    right: list[bool]
    clusters: list[object]
    weights: NDArray[np.float64]
    """Requests that each row stands for."""

    def measure(self, threshold_value: float, confidence: float) -> KeptAnswers:
        """Counts and error of the answers that a threshold keeps."""
        return threshold.measure(
            self.p, self.right, threshold_value, confidence=confidence, clusters=self.clusters, weights=self.weights
        )


def calibrate(
    splits: Splits, config: CalibrateConfig, *, base: Calibration, own_usd: float | None, other_usd: float | None
) -> Calibrated:
    """Fit on the calibration split, choose the threshold on the threshold split, report on the test split.

    `base`: candidate, call site and dataset. `own_usd`, `other_usd`: mean USD of a request at each tier, None if
    unpriced. Raises: ValueError if no answer of the calibration split is usable.
    """
    usable = [(row.signals, row.correct) for row in splits.calibration if row.usable and row.signals is not None]
    fitted = fit([s for s, _ in usable], [right for _, right in usable], isotonic_from=config.isotonic_from)
    sample = _sample(fitted, splits.threshold, splits.clusters)
    certified = _certify(_sample(fitted, splits.calibration, splits.clusters), sample, config)
    cut = threshold.for_escalation(sample.p, config.max_escalation, sample.weights)
    by_rate = sample.measure(cut, config.confidence)
    choice = certified if isinstance(certified, Choice) else None
    chosen: KeptAnswers | None = choice if config.rule == "target" else by_rate
    test = _sample(fitted, splits.test, splits.clusters) if splits.test else None
    bins = chart.reliability(sample.p, sample.right)
    good = [row.correct and row.usable for row in splits.threshold]
    calibration = msgspec.structs.replace(
        base,
        signal=fitted.signal,
        weights=fitted.weights,
        curve=fitted.curve,
        method=fitted.method,
        reference=_reference(base.reference, splits.threshold),
        fitted_on=fitted.items,
        n=len(sample.p),
        rule=config.rule,
        threshold=chosen.threshold if chosen else None,
        target_risk=config.target_risk,
        confidence=config.confidence,
        achieved_risk=chosen.error if chosen else None,
        achieved_risk_bound=chosen.bound if chosen else None,
        base_risk=1 - float(np.average(good, weights=sample.weights)),
        infeasible=_infeasible_reason(certified) if isinstance(certified, Infeasible) else None,
        at_escalation=by_rate,
        test_reference=_reference(splits.test_reference, splits.test) if splits.test else None,
        test=test.measure(chosen.threshold, config.confidence) if test and chosen else None,
        test_at_escalation=test.measure(cut, config.confidence) if test else None,
        expected_calibration_error=chart.calibration_error(bins),
        usd_per_1k=_usd(chosen, own_usd, other_usd),
        **_expected(chosen, sample),
    )
    calibration = msgspec.structs.replace(calibration, notes=_notes(calibration, fitted, config))
    points, on = _curve(fitted, splits, own_usd, other_usd)
    return Calibrated(calibration, points, on, bins, test is not None and splits.tier_2 is not None)


def no_error_rate(kind: RequestType) -> str | None:
    """Why answers of this type have no error rate (texts are graded, not right or wrong); None if they have."""
    if kind in metrics.METRICS:
        return None
    return (
        f"{kind}: a free text is right only if it equals an accepted text, so no error rate can be certified; add "
        "checks to the call site, which escalate the answers that fail them"
    )


def _certify(plan_sample: Sample, sample: Sample, config: CalibrateConfig) -> Choice | Infeasible:
    aim = {"target": config.target_risk, "confidence": config.confidence}
    # Before any test: what the calibration split predicts for as many items as the threshold split has.
    impossible = threshold.feasibility(plan_sample.p, plan_sample.right, items=len(sample.p), **aim)
    if impossible is not None:
        return impossible
    order = threshold.plan(plan_sample.p, plan_sample.right, items=len(sample.p), **aim)
    return threshold.choose(
        sample.p, sample.right, order=order, clusters=sample.clusters, weights=sample.weights, **aim
    )


def _sample(fitted: Fitted, rows: Sequence[Prediction], clusters: Mapping[str, object]) -> Sample:
    return Sample(
        [fitted.probability(row.signals) if row.usable and row.signals is not None else NEVER for row in rows],
        [row.correct for row in rows],
        [clusters.get(row.record_id, row.record_id) for row in rows],
        np.array([row.requests for row in rows], dtype=np.float64),
    )


def _expected(chosen: KeptAnswers | None, sample: Sample) -> dict[str, float | None]:
    """Expected escalation rate with its interval; counts divided by the design effect of their clusters."""
    if chosen is None:
        return {}
    escalated = np.array([p < max(chosen.threshold, 0.0) for p in sample.p], dtype=np.float64)
    sums, counts = statistics.cluster_sums(escalated, sample.clusters, sample.weights)
    # Independent rows of one request each need no correction.
    effect = 1.0
    if len(sums) < len(escalated) or sample.weights.max(initial=1) > 1:
        effect = statistics.design_effect(escalated, sums, counts, sample.weights)
    interval = statistics.proportion_interval((chosen.items - chosen.kept) / effect, chosen.items / effect)
    return {
        "expected_escalation_rate": chosen.escalation,
        "expected_escalation_low": interval.low,
        "expected_escalation_high": interval.high,
    }


def _usd(chosen: KeptAnswers | None, own: float | None, other: float | None) -> float | None:
    if chosen is None or own is None or other is None:
        return None
    return 1000 * (own + chosen.escalation * other)


def _infeasible_reason(infeasible: Infeasible) -> str:
    if infeasible.least_escalation <= 0:
        return infeasible.reason
    return (
        f"{infeasible.reason}; {infeasible.base_risk:.1%} of the answers are wrong or unusable, so even a perfect "
        f"signal would have to escalate {infeasible.least_escalation:.1%}"
    )


def _notes(calibration: Calibration, fitted: Fitted, config: CalibrateConfig) -> tuple[str, ...]:
    notes = []
    low, high = config.usual_escalation
    rate = calibration.expected_escalation_rate
    if rate is not None and not low <= rate <= high:
        effect = "few answers are checked" if rate < low else "little is saved"
        notes.append(f"escalation rate {rate:.1%} is outside {low:.0%} to {high:.0%}: {effect}")
    if not fitted.informative:
        notes.append("the signal is not informative: more confident answers are not right more often")
    if calibration.rule == "escalation" and calibration.achieved_risk_bound is not None:
        result = "not certified" if calibration.achieved_risk_bound > config.target_risk else "certified"
        notes.append(f"threshold set by escalation rate; the target of {config.target_risk:.1%} is {result}")
    if calibration.test is not None and calibration.expected_escalation_high is not None:
        late = calibration.test.escalation
        if late > calibration.expected_escalation_high:
            notes.append(f"{late:.1%} of the test split escalate: newer requests differ from the training data")
    return tuple(notes)


def _reference(source: str | None, rows: Sequence[Prediction]) -> str:
    """Description of the references."""
    if source == "labels":
        return "human labels"
    people = sum(row.cohort.get("label_source") in BY_PEOPLE for row in rows)
    if not people:
        return "agreement with the logged answers, which is not accuracy: errors of the log are not detected"
    return f"labels of people for {people} of {len(rows)} items, agreement with the logged answers for the rest"


def _curve(fitted: Fitted, splits: Splits, own_usd: float | None, other_usd: float | None) -> tuple[list[Point], str]:
    rows, on = (splits.test, "test") if splits.test else (splits.threshold, "threshold")
    tier_2 = splits.tier_2 if splits.test else None
    sample = _sample(fitted, rows, splits.clusters)
    points = chart.curve(
        sample.p,
        sample.right,
        None if tier_2 is None else [row.correct for row in tier_2],
        own_usd=own_usd,
        other_usd=other_usd,
        weights=sample.weights.tolist(),
    )
    return points, on
