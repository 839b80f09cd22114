"""Writes a calibration: a folder with its file and charts, and an MLflow run."""

from pathlib import Path
from typing import Any

import msgspec

from pipeline import charts, tracking
from pipeline.calibrate import chart
from pipeline.calibrate.call_site import Calibrated
from pipeline.calibrate.config import CalibrateConfig
from traffic import artifacts, calibrations, config
from traffic.artifacts import Home, atomic_folder
from traffic.calibrations import FILE, Calibration


def write(home: Home, calibrated: Calibrated, settings: CalibrateConfig) -> tuple[Path, Calibration]:
    """Write `<call site>@<hash8>/`; the hash excludes time and MLflow run.

    Repeating a calibration makes its folder the current one and changes nothing else.
    """
    calibration = calibrated.calibration
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
            (temporary / "curve.svg").write_text(_curve(calibrated), encoding="utf-8")
            (temporary / "reliability.svg").write_text(_reliability(calibrated), encoding="utf-8")
            # Before the folder gets its final name: a calibration without its metrics must not look finished.
            _log(finished, settings, temporary)
    return folder, finished


def run_metrics(calibration: Calibration) -> dict[str, float]:
    """Metrics of a run; unknown ones are left out."""
    values: dict[str, float | None] = {
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
    values["cost_per_1k_usd"] = calibration.usd_per_1k
    for name, result in (
        ("at_escalation", calibration.at_escalation),
        ("test", calibration.test),
        ("test_at_escalation", calibration.test_at_escalation),
    ):
        if result is not None:
            values |= {
                f"{name}_escalation": result.escalation,
                f"{name}_risk": result.error,
                f"{name}_risk_bound": result.bound,
            }
    return {name: float(value) for name, value in values.items() if value is not None}


def _log(calibration: Calibration, settings: CalibrateConfig, folder: Path) -> None:
    import mlflow

    parameters: dict[str, Any] = msgspec.to_builtins(settings) | {
        "signal": calibration.signal,
        "method": calibration.method,
        "reference": calibration.reference,
        "infeasible": calibration.infeasible or "-",
    }
    tracking.log_parameters(parameters)
    mlflow.log_metrics(tracking.valid_names(run_metrics(calibration)))
    mlflow.log_artifacts(str(folder))


def _curve(calibrated: Calibrated) -> str:
    calibration = calibrated.calibration
    marks = {}
    if calibration.at_escalation is not None:
        later = calibration.test_at_escalation if calibrated.on == "test" else calibration.at_escalation
        marks["max rate"] = (later or calibration.at_escalation).escalation
    in_force = calibration.test if calibrated.on == "test" else None
    if calibration.rule == "target" and calibration.expected_escalation_rate is not None:
        marks["in force"] = in_force.escalation if in_force else calibration.expected_escalation_rate
    judged_by = calibration.test_reference if calibrated.on == "test" else calibration.reference
    quality = "accuracy" if judged_by == "human labels" else "agreement with the reference"
    assumed = "" if calibrated.tier_2_known else ", not evaluated and assumed to be always right"
    spec = chart.curve_spec(
        calibrated.points,
        marks,
        title=f"{calibration.call_site}: {calibration.candidate}, then Tier 2{assumed} ({calibrated.on} split)",
        quality=quality,
    )
    return charts.rendered(spec)


def _reliability(calibrated: Calibrated) -> str:
    calibration = calibrated.calibration
    error = calibration.expected_calibration_error or 0.0
    title = f"{calibration.call_site}: {calibration.candidate}, threshold split, calibration error {error:.3f}"
    return charts.rendered(chart.reliability_spec(calibrated.bins, title=title))
