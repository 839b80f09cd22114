"""Which calibration is deployed with an adapter: the one that the decision judged it with, else the newest that fits.

What is judged must be what is deployed: a decision to build a cascade names its calibrations, and a later one, such as
of a target that could not be certified, does not take their place.
"""

from collections.abc import Mapping
from pathlib import Path

from traffic import artifacts, calibrations
from traffic.artifacts import Home
from traffic.calibrations import FILE, Calibration
from traffic.own_models import Card

_CHECKS_ALONE = "answers escalate only where they fail their checks"


def choose(home: Home, call_site: str, adapter: Card, judged_with: Mapping[str, str] | None) -> tuple[str | None, str]:
    """The calibration that goes into the table, relative to the home, and what to know about it.

    `judged_with`: by call site the folders of the calibrations of a decision for a cascade; None: there is none.
    Raises: NotFound if one is missing, ConfigError if a file is broken.
    """
    if judged_with is None:
        return _newest(home, call_site, adapter)
    if call_site not in judged_with:
        return None, f"no threshold, as the decision's cascade had none here: {_CHECKS_ALONE}"
    path = home.calibrations / judged_with[call_site] / FILE
    return _relative(home, path), f"{_rates(calibrations.load(path))} ({path.parent.name}, as the decision judged it)"


def _newest(home: Home, call_site: str, adapter: Card) -> tuple[str | None, str]:
    """The newest one with a threshold that was made on the adapter's own dataset."""
    every = artifacts.listed(home, artifacts.CALIBRATION, call_site=call_site, adapter=adapter.name)
    mine = [(artifact.path / FILE, calibrations.load(artifact.path / FILE)) for artifact in every]
    if not mine:
        return None, f"not calibrated: {_CHECKS_ALONE} (`fasttier calibrate`)"
    own = [(path, calibration) for path, calibration in mine if calibration.dataset == adapter.dataset]
    if not own:
        others = ", ".join(sorted({calibration.dataset or "an unknown dataset" for _, calibration in mine}))
        return None, f"calibrated on {others}, not on {adapter.dataset}: no threshold, {_CHECKS_ALONE}"
    newest, last = own[0]
    chosen = next(((path, calibration) for path, calibration in own if calibration.threshold is not None), None)
    if chosen is None:
        return None, f"no threshold, {_CHECKS_ALONE}: {last.infeasible} ({newest.parent.name})"
    path, calibration = chosen
    which = "the newest" if path == newest else f"not the newest: {newest.parent.name} has no threshold"
    return _relative(home, path), f"{_rates(calibration)} ({path.parent.name}, {which})"


def _relative(home: Home, path: Path) -> str:
    return str(path.relative_to(home.root))


def _rates(calibration: Calibration) -> str:
    """What a threshold does, as far as its calibration says."""
    rate, risk = calibration.expected_escalation_rate, calibration.achieved_risk_bound
    text = f"answers under {calibration.threshold:.4g} escalate"
    text += f", about {rate:.0%} of them" if rate is not None else ""
    return text + (
        f"; of the others at most {risk:.1%} are wrong" if risk is not None and calibration.rule == "target" else ""
    )
