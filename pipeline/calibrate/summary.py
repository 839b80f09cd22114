"""What `fasttier calibrate` says at the end."""

from pathlib import Path

import msgspec

from pipeline.evaluate.scores import Scores
from traffic import formats
from traffic.calibrations import Calibration, Kept


class CalibrateSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the stage."""

    task: str
    dataset: str
    candidate: str
    calibrations: tuple[Calibration, ...]
    """One per call site that has enough items."""
    folders: dict[str, Path]
    """By call site."""
    left_out: dict[str, str]
    """Call sites without a calibration, with the reason."""
    cascade: Scores | None
    """Tier 1 with these thresholds, then Tier 2, on the test split; None where either was not evaluated there."""
    cascade_folder: Path | None
    tested: bool
    """The candidate was evaluated on the test split."""
    tier_2: str

    @property
    def exit_status(self) -> int:
        """1 where no call site has a threshold."""
        return int(all(each.threshold is None for each in self.calibrations))

    def lines(self) -> list[str]:
        """Per call site signal, threshold and what it achieves; the cascade, the paths and the next command."""
        lines = [f"{self.candidate} on {self.dataset}"]
        for each in self.calibrations:
            lines += [f"{each.call_site}: {line}" if not place else f"  {line}" for place, line in enumerate(_of(each))]
        lines += [f"left out {name}: {reason}" for name, reason in self.left_out.items()]
        if self.cascade is not None:
            lines.append(self._cascade(self.cascade))
        lines += [f"wrote {folder}" for folder in (*self.folders.values(), self.cascade_folder) if folder is not None]
        return [*lines, f"next: {self._next()}"]

    def _cascade(self, scores: Scores) -> str:
        metric = scores.metrics[scores.main_metric]
        cost = f", {formats.usd(scores.cost.usd_per_1k)} per 1,000" if scores.cost.usd_per_1k is not None else ""
        rate = f", {scores.parts.escalation:.1%} escalate" if scores.parts is not None else ""
        simulated = " (simulated)" if scores.simulated else ""
        return (
            f"cascade {self.candidate} then {self.tier_2}{simulated}, test split: {scores.main_metric} "
            f"{metric.value:.1%} ({metric.interval.low:.1%}-{metric.interval.high:.1%}){rate}{cost}"
        )

    def _next(self) -> str:
        if not self.tested:
            return f"fasttier evaluate --dataset {self.dataset}, then calibrate again: it reports on the test split"
        if self.cascade is None and not self.exit_status:
            return f"evaluate {self.tier_2} too (fasttier evaluate --dataset {self.dataset}), then calibrate again"
        return f"fasttier decide --task {self.task}"


def _of(found: Calibration) -> list[str]:
    lines = [f"{found.method}, {found.fitted_on} items; threshold on {found.n} later ones; {found.reference}"]
    target = f"{found.target_risk:.1%}" if found.target_risk is not None else "-"
    sure = f"{found.confidence:.0%}" if found.confidence is not None else "-"
    if found.infeasible is not None:
        lines.append(f"no threshold is certified to leave at most {target} errors at {sure}: {found.infeasible}")
    if found.threshold is not None and found.achieved_risk is not None and found.achieved_risk_bound is not None:
        lines.append(
            f"kept from p(right) {found.threshold:.4g} on: {found.achieved_risk:.2%} of the kept wrong (at most "
            f"{found.achieved_risk_bound:.2%} at {sure}; target {target}), {_rate(found)} escalate{_cost(found)}"
        )
    if found.test is not None:
        lines.append(f"test split, {found.test_reference}: {_kept(found.test)}")
    if found.at_escalation is not None and found.rule == "target":
        rate = formats.percent(found.at_escalation.escalation)
        lines.append(f"at most {rate} escalating instead: {_kept(found.at_escalation)}")
        if found.test_at_escalation is not None:
            lines.append(f"  and on the test split, {found.test_reference}: {_kept(found.test_at_escalation)}")
    return [*lines, *found.notes]


def _rate(found: Calibration) -> str:
    if found.expected_escalation_rate is None or found.expected_escalation_low is None:
        return "-"
    return (
        f"{found.expected_escalation_rate:.1%} "
        f"({found.expected_escalation_low:.1%}-{found.expected_escalation_high or 0.0:.1%})"
    )


def _cost(found: Calibration) -> str:
    return f", {formats.usd(found.usd_per_1k)} per 1,000" if found.usd_per_1k is not None else ""


def _kept(kept: Kept) -> str:
    right = f"{1 - kept.error:.2%} of {kept.kept} kept answers right" if kept.kept else "nothing is kept"
    return f"{right} (at least {1 - kept.bound:.2%} at {kept.confidence:.0%}), {kept.escalation:.1%} escalate"
