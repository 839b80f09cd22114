"""What a calibration leaves behind: a folder with its file and pictures, and a run in MLflow."""

from pathlib import Path
from typing import Any

import msgspec

from pipeline import tracking
from pipeline.calibrate import chart
from pipeline.calibrate.config import CalibrateConfig
from pipeline.calibrate.site import Calibrated
from traffic import artifacts, calibrations, config
from traffic.artifacts import Home, atomic_folder
from traffic.calibrations import FILE, Calibration


def write(home: Home, found: Calibrated, settings: CalibrateConfig) -> tuple[Path, Calibration]:
    """Write `<call site>@<hash8>/`; the hash is over all but the time and the MLflow run.

    The same calibration again finds its folder, which becomes the current one, and changes nothing else.
    """
    calibration = found.calibration
    name = artifacts.name_of(str(calibration.call_site), msgspec.to_builtins(calibration))
    folder = home.calibrations / name
    if (folder / FILE).is_file():
        artifacts.make_current(home, artifacts.CALIBRATION, folder)
        return folder, calibrations.load(folder / FILE)
    tags = {
        "stage": "calibrate",
        "task": str(calibration.task),
        "dataset": str(calibration.dataset),
        "candidate": str(calibration.candidate),
        "call_site": str(calibration.call_site),
        "calibration": name,
    }
    if calibration.adapter:
        tags["adapter"] = calibration.adapter
    with tracking.run(home, f"calibrate {calibration.call_site} {calibration.candidate}", tags=tags) as active:
        finished = msgspec.structs.replace(
            calibration,
            created_at=artifacts.created_now(home, artifacts.CALIBRATION),
            mlflow_run_id=active.info.run_id,
        )
        with atomic_folder(folder, FILE) as temporary:
            (temporary / FILE).write_text(config.dump(finished), encoding="utf-8")
            (temporary / "curve.svg").write_text(_curve(found), encoding="utf-8")
            (temporary / "reliability.svg").write_text(_reliability(found), encoding="utf-8")
            # Before the folder gets its name: a run whose metrics were lost must not look finished.
            _log(finished, settings, temporary)
    return folder, finished


def run_metrics(calibration: Calibration) -> dict[str, float]:
    """A run's metrics; what is unknown is left out."""
    found: dict[str, float | None] = {
        name: getattr(calibration, name)
        for name in (
            "fitted_on",
            "n",
            "threshold",
            "achieved_risk",
            "achieved_risk_bound",
            "expected_escalation_rate",
            "base_risk",
            "expected_calibration_error",
        )
    }
    found["cost_per_1k_usd"] = calibration.usd_per_1k
    for name, kept in (
        ("at_escalation", calibration.at_escalation),
        ("test", calibration.test),
        ("test_at_escalation", calibration.test_at_escalation),
    ):
        if kept is not None:
            found |= {
                f"{name}_escalation": kept.escalation,
                f"{name}_risk": kept.error,
                f"{name}_risk_bound": kept.bound,
            }
    return {name: float(value) for name, value in found.items() if value is not None}


def _log(calibration: Calibration, settings: CalibrateConfig, folder: Path) -> None:
    import mlflow

    parameters: dict[str, Any] = msgspec.to_builtins(settings) | {
        "signal": calibration.signal,
        "method": calibration.method,
        "reference": calibration.reference,
        "infeasible": calibration.infeasible or "-",
    }
    # MLflow takes at most 6,000 characters per parameter, and a run must not fail on a long one.
    mlflow.log_params({key: str(value)[:6000] for key, value in tracking.flatten(parameters).items()})
    mlflow.log_metrics(run_metrics(calibration))
    mlflow.log_artifacts(str(folder))


def _curve(found: Calibrated) -> str:
    calibration = found.calibration
    marks = {}
    if calibration.at_escalation is not None:
        later = calibration.test_at_escalation if found.on == "test" else calibration.at_escalation
        marks["largest rate"] = (later or calibration.at_escalation).escalation
    in_force = calibration.test if found.on == "test" else None
    if calibration.rule == "target" and calibration.expected_escalation_rate is not None:
        marks["in force"] = in_force.escalation if in_force else calibration.expected_escalation_rate
    judged_by = calibration.test_reference if found.on == "test" else calibration.reference
    agreement = "right answers" if judged_by == "human labels" else "answers like the reference"
    taken = "" if found.tier_2_known else ", which was not evaluated here and is taken as always right"
    return chart.curve_svg(
        found.points,
        marks,
        title=f"{calibration.call_site}: {calibration.candidate}, then Tier 2{taken} ({found.on} split)",
        tier_2="Tier 2",
        quality=agreement,
    )


def _reliability(found: Calibrated) -> str:
    calibration = found.calibration
    error = calibration.expected_calibration_error or 0.0
    return chart.reliability_svg(
        found.bins,
        title=f"{calibration.call_site}: {calibration.candidate}, threshold split, mean error {error:.3f}",
    )
