"""Summary of a calibration."""

from pathlib import Path

import msgspec

from pipeline.evaluate.scores import Scores
from traffic.calibrations import Calibration, KeptAnswers
from traffic.number_format import percent, usd


class CalibrateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    dataset: str
    candidate: str
    calibrations: tuple[Calibration, ...]
    """One per call site with enough items."""
    folders: dict[str, Path]
    """By call site."""
    left_out: dict[str, str]
    """Call sites without a calibration, with the reason."""
    cascade: Scores | None
    """Tier 1 with these thresholds, then Tier 2, on the test split; None if either was not evaluated there."""
    cascade_folder: Path | None
    tested: bool
    """The candidate was evaluated on the test split."""
    tier_2: str

    @property
    def exit_status(self) -> int:
        """1 if no call site has a threshold."""
        return int(all(calibration.threshold is None for calibration in self.calibrations))

    def lines(self) -> list[str]:
        """Per call site method, threshold and what it achieves; the cascade, paths and the next command."""
        lines = [f"{self.candidate} on {self.dataset}"]
        for calibration in self.calibrations:
            first, *rest = _lines(calibration)
            lines += [f"{calibration.call_site}: {first}", *(f"  {line}" for line in rest)]
        lines += [f"left out {name}: {reason}" for name, reason in self.left_out.items()]
        if self.cascade is not None:
            lines.append(self._cascade(self.cascade))
        lines += [f"wrote {folder}" for folder in (*self.folders.values(), self.cascade_folder) if folder is not None]
        return [*lines, f"next: {self._next()}"]

    def _cascade(self, scores: Scores) -> str:
        metric = scores.metrics[scores.main_metric]
        cost = f", {usd(scores.cost.usd_per_1k)} per 1,000" if scores.cost.usd_per_1k is not None else ""
        rate = f", {scores.parts.escalation:.1%} escalate" if scores.parts is not None else ""
        simulated = " (simulated)" if scores.simulated else ""
        return (
            f"cascade {self.candidate} then {self.tier_2}{simulated}, test split: {scores.main_metric} "
            f"{metric.value:.1%} ({metric.interval.low:.1%}-{metric.interval.high:.1%}){rate}{cost}"
        )

    def _next(self) -> str:
        if not self.tested:
            return f"fasttier evaluate --dataset {self.dataset}, then calibrate again to report on the test split"
        if self.cascade is None and not self.exit_status:
            return f"fasttier evaluate --dataset {self.dataset} with {self.tier_2}, then calibrate again"
        return f"fasttier decide --task {self.task}"


def _lines(calibration: Calibration) -> list[str]:
    method = f"{calibration.method}, {calibration.fitted_on} items"
    lines = [f"{method}; threshold split {calibration.n} items; {calibration.reference}"]
    target, confidence = percent(calibration.target_risk), percent(calibration.confidence, 0)
    if calibration.infeasible is not None:
        lines.append(f"no threshold certified for {target} errors at {confidence}: {calibration.infeasible}")
    if calibration.threshold is not None and calibration.achieved_risk is not None:
        lines.append(
            f"threshold p(right) >= {calibration.threshold:.4g}: error {calibration.achieved_risk:.2%} of kept answers "
            f"(at most {calibration.achieved_risk_bound or 0.0:.2%} at {confidence}; target {target}), "
            f"escalation {_rate(calibration)}{_cost(calibration)}"
        )
    if calibration.test is not None:
        lines.append(f"test split, {calibration.test_reference}: {_kept_text(calibration.test)}")
    if calibration.at_escalation is not None and calibration.rule == "target":
        rate = percent(calibration.at_escalation.escalation)
        lines.append(f"alternative, at most {rate} escalation: {_kept_text(calibration.at_escalation)}")
        if calibration.test_at_escalation is not None:
            lines.append(f"  test split, {calibration.test_reference}: {_kept_text(calibration.test_at_escalation)}")
    return [*lines, *calibration.notes]


def _rate(calibration: Calibration) -> str:
    if calibration.expected_escalation_rate is None or calibration.expected_escalation_low is None:
        return "-"
    return (
        f"{calibration.expected_escalation_rate:.1%} "
        f"({calibration.expected_escalation_low:.1%}-{calibration.expected_escalation_high or 0.0:.1%})"
    )


def _cost(calibration: Calibration) -> str:
    return f", {usd(calibration.usd_per_1k)} per 1,000" if calibration.usd_per_1k is not None else ""


def _kept_text(result: KeptAnswers) -> str:
    right = f"{1 - result.error:.2%} of {result.kept} kept answers right" if result.kept else "nothing is kept"
    return f"{right} (at least {1 - result.bound:.2%} at {result.confidence:.0%}), escalation {result.escalation:.1%}"
