"""One candidate at one call site: from evaluated answers to signal, curve, threshold and what they achieve. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from pipeline import metrics, statistics
from pipeline.calibrate import chart, threshold
from pipeline.calibrate.chart import Bin, Point
from pipeline.calibrate.config import CalibrateConfig
from pipeline.calibrate.fit import Fitted, fit
from pipeline.calibrate.threshold import NEVER, Choice, Infeasible
from pipeline.evaluate.predictions import Prediction
from traffic.calibrations import Calibration, Kept
from traffic.callsites import RequestType

_JUDGED_BY_PEOPLE = ("human", "corrected")


class Splits(NamedTuple):
    """A call site's rows of each split, all of one candidate."""

    calibration: Sequence[Prediction]
    threshold: Sequence[Prediction]
    test: Sequence[Prediction] = ()
    tier_2: Sequence[Prediction] | None = None
    """Tier 2's rows of the test split, in the order of `test`; None where it was not evaluated."""
    test_reference: str | None = None
    """What the test split's rows were scored by: labels or logged."""
    clusters: Mapping[str, object] = {}
    """By record id: rows of one near-duplicate group or session are no independent evidence."""


class Calibrated(NamedTuple):
    """What calibration found at a call site."""

    calibration: Calibration
    points: list[Point]
    """Of the cost-quality curve: on the test split, or on the threshold split where there is none."""
    on: str
    """That split."""
    bins: list[Bin]
    """Of the threshold split."""
    tier_2_known: bool = False
    """The curve has Tier 2's own answers; else they are taken to be right."""


def calibrate(
    splits: Splits, config: CalibrateConfig, *, base: Calibration, own_usd: float | None, other_usd: float | None
) -> Calibrated:
    """Fit on the calibration split, choose the threshold on the threshold split, report on the test split.

    `base`: who is calibrated. `own_usd`, `other_usd`: mean USD of a request at both tiers, None where unpriced.
    Raises: ValueError if no answer of the calibration split is usable.
    """
    usable = [(row.signals, row.correct) for row in splits.calibration if row.usable and row.signals is not None]
    fitted = fit([each for each, _ in usable], [right for _, right in usable], isotonic_from=config.isotonic_from)
    p, right = _probabilities(fitted, splits.threshold), [row.correct for row in splits.threshold]
    seen_p, seen = _probabilities(fitted, splits.calibration), [row.correct for row in splits.calibration]
    clusters = _clusters(splits, splits.threshold)
    aim = {"target": config.target_risk, "confidence": config.confidence}
    # Before anything is tested: what the calibration split promises for as many items as the test has.
    found: Choice | Infeasible | None = threshold.feasibility(seen_p, seen, items=len(p), **aim)
    if found is None:
        order = threshold.plan(seen_p, seen, items=len(p), **aim)
        found = threshold.choose(p, right, order=order, clusters=clusters, **aim)
    cut = threshold.for_escalation(p, config.max_escalation)
    most = threshold.measure(p, right, cut, confidence=config.confidence, clusters=clusters)
    certified = found if isinstance(found, Choice) else None
    chosen: Kept | None = certified if config.rule == "target" else most
    later_p, later = _probabilities(fitted, splits.test), [row.correct for row in splits.test]

    def on_test(at: Kept | None) -> Kept | None:
        if at is None or not later:
            return None
        mine = _clusters(splits, splits.test)
        return threshold.measure(later_p, later, at.threshold, confidence=config.confidence, clusters=mine)

    bins = chart.reliability(p, right)
    calibration = msgspec.structs.replace(
        base,
        signal=fitted.signal,
        weights=fitted.weights,
        curve=fitted.curve,
        method=fitted.method,
        reference=_reference(base.reference, splits.threshold),
        fitted_on=fitted.items,
        n=len(p),
        rule=config.rule,
        threshold=chosen.threshold if chosen else None,
        target_risk=config.target_risk,
        confidence=config.confidence,
        achieved_risk=chosen.error if chosen else None,
        achieved_risk_bound=chosen.bound if chosen else None,
        base_risk=1 - sum(row.correct and row.usable for row in splits.threshold) / len(right),
        infeasible=_why(found) if isinstance(found, Infeasible) else None,
        at_escalation=_plain(most),
        test_reference=_reference(splits.test_reference, splits.test) if splits.test else None,
        test=on_test(chosen),
        test_at_escalation=on_test(most),
        expected_calibration_error=chart.calibration_error(bins),
        usd_per_1k=_usd(chosen, own_usd, other_usd),
        **_expected(chosen),
    )
    calibration = msgspec.structs.replace(calibration, notes=_notes(calibration, fitted, config))
    known = bool(splits.test) and splits.tier_2 is not None
    return Calibrated(calibration, *_curve(fitted, splits, own_usd, other_usd), bins, known)


def _clusters(splits: Splits, rows: Sequence[Prediction]) -> list[object]:
    return [splits.clusters.get(row.record_id, row.record_id) for row in rows]


def no_rate(kind: RequestType) -> str | None:
    """Why answers of this kind have no rate of wrong ones: texts are closer to the accepted ones or further away."""
    if kind in metrics.METRICS:
        return None
    return (
        f"{kind}: a free text counts as right only where it is an accepted one to the letter, so no error rate can be "
        "promised; give the call site checks, which escalate what fails them"
    )


def _probabilities(fitted: Fitted, rows: Sequence[Prediction]) -> list[float]:
    """P(right) of each answer; `NEVER` of those that escalate whatever it is."""
    return [fitted.probability(row.signals) if row.usable and row.signals is not None else NEVER for row in rows]


def _expected(chosen: Kept | None) -> dict[str, float | None]:
    if chosen is None:
        return {}
    interval = statistics.proportion_interval(chosen.items - chosen.kept, chosen.items)
    return {
        "expected_escalation_rate": chosen.escalation,
        "expected_escalation_low": interval.low,
        "expected_escalation_high": interval.high,
    }


def _usd(chosen: Kept | None, own: float | None, other: float | None) -> float | None:
    if chosen is None or own is None or other is None:
        return None
    return 1000 * (own + chosen.escalation * other)


def _plain(kept: Kept) -> Kept:
    return Kept(**{name: getattr(kept, name) for name in Kept.__struct_fields__})


def _why(found: Infeasible) -> str:
    if found.least_escalation <= 0:
        return found.reason
    return (
        f"{found.reason}; {found.base_risk:.1%} of the answers are wrong or unusable, so that even a perfect signal "
        f"would have to escalate {found.least_escalation:.1%}"
    )


def _notes(found: Calibration, fitted: Fitted, config: CalibrateConfig) -> tuple[str, ...]:
    notes = []
    low, high = config.usual_escalation
    rate = found.expected_escalation_rate
    if rate is not None and not low <= rate <= high:
        effect = "few answers are checked" if rate < low else "little is saved"
        notes.append(f"an escalation rate of {rate:.1%} is outside of {low:.0%} to {high:.0%}: {effect}")
    if not fitted.informative:
        notes.append("surer answers are not right more often: the signal cannot tell right from wrong")
    if found.rule == "escalation" and found.achieved_risk_bound is not None:
        above = "not " if found.achieved_risk_bound > config.target_risk else ""
        notes.append(
            f"the threshold follows from the escalation rate; the target of {config.target_risk:.1%} is {above}shown"
        )
    if found.test is not None and rate is not None and found.expected_escalation_high is not None:
        late = found.test.escalation
        if late > found.expected_escalation_high:
            notes.append(f"on the test split {late:.1%} escalate: newer requests are less like those it learned from")
    return tuple(notes)


def _reference(given: str | None, rows: Sequence[Prediction]) -> str:
    """What right means here."""
    if given == "labels":
        return "human labels"
    people = sum(row.cohort.get("label_source") in _JUDGED_BY_PEOPLE for row in rows)
    if not people:
        return "agreement with the logged answers, which is not accuracy: where those are wrong nothing says so"
    return f"labels of people for {people} of {len(rows)} items, agreement with the logged answers for the others"


def _curve(fitted: Fitted, splits: Splits, own_usd: float | None, other_usd: float | None) -> tuple[list[Point], str]:
    rows, on = (splits.test, "test") if splits.test else (splits.threshold, "threshold")
    other = splits.tier_2 if splits.test else None
    points = chart.curve(
        _probabilities(fitted, rows),
        [row.correct for row in rows],
        None if other is None else [row.correct for row in other],
        # Means: what a single item took says nothing about the next one.
        own_usd=[own_usd] * len(rows),
        other_usd=[other_usd] * len(rows),
    )
    return points, on
