"""Chooses the calibration that is deployed with an adapter: the decision's, else the newest one that fits.

A decision to build a cascade names its calibrations, and these are deployed even if there are newer ones, so that the
deployed cascade is the evaluated one.
"""

from collections.abc import Mapping
from pathlib import Path

from traffic import artifacts, calibrations
from traffic.artifacts import Home
from traffic.calibrations import FILE, Calibration
from traffic.own_models import Card

_CHECKS_ALONE = "answers escalate only where they fail their checks"


def choose(home: Home, call_site: str, adapter: Card, judged_with: Mapping[str, str] | None) -> tuple[str | None, str]:
    """Path of the calibration to deploy (relative to the home, None for no threshold), and a note about it.

    `judged_with`: folders of the decision's calibrations by call site; None without a decision for a cascade.
    Raises: NotFound if one is missing, ConfigError if a file is broken.
    """
    if judged_with is None:
        return _newest(home, call_site, adapter)
    if call_site not in judged_with:
        return None, f"no threshold, as the decision's cascade had none here: {_CHECKS_ALONE}"
    path = home.calibrations / judged_with[call_site] / FILE
    return _relative(home, path), f"{_rates(calibrations.load(path))} ({path.parent.name}, as the decision judged it)"


def _newest(home: Home, call_site: str, adapter: Card) -> tuple[str | None, str]:
    """The newest calibration with a threshold on the adapter's own dataset."""
    every = artifacts.listed(home, artifacts.CALIBRATION, call_site=call_site, adapter=adapter.name)
    all_ = [(artifact.path / FILE, calibrations.load(artifact.path / FILE)) for artifact in every]
    if not all_:
        return None, f"not calibrated: {_CHECKS_ALONE} (`fasttier calibrate`)"
    on_own_dataset = [(path, calibration) for path, calibration in all_ if calibration.dataset == adapter.dataset]
    if not on_own_dataset:
        others = ", ".join(sorted({calibration.dataset or "an unknown dataset" for _, calibration in all_}))
        return None, f"calibrated on {others}, not on {adapter.dataset}: no threshold, {_CHECKS_ALONE}"
    newest, last = on_own_dataset[0]
    chosen = next(
        ((path, calibration) for path, calibration in on_own_dataset if calibration.threshold is not None), None
    )
    if chosen is None:
        return None, f"no threshold, {_CHECKS_ALONE}: {last.infeasible} ({newest.parent.name})"
    path, calibration = chosen
    age = "the newest" if path == newest else f"not the newest: {newest.parent.name} has no threshold"
    return _relative(home, path), f"{_rates(calibration)} ({path.parent.name}, {age})"


def _relative(home: Home, path: Path) -> str:
    return str(path.relative_to(home.root))


def _rates(calibration: Calibration) -> str:
    """Expected escalation rate and risk of a threshold."""
    rate, risk = calibration.expected_escalation_rate, calibration.achieved_risk_bound
    text = f"answers under {calibration.threshold:.4g} escalate"
    text += f", about {rate:.0%} of them" if rate is not None else ""
    return text + (
        f"; of the others at most {risk:.1%} are wrong" if risk is not None and calibration.rule == "target" else ""
    )
