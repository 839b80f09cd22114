"""The simulation of calibrated thresholds detects one that exceeds its stated error."""

from typing import Any

import numpy as np
import pytest

from benchmarks import calibration_rates
from benchmarks.calibration_rates import Task
from pipeline.calibrate import threshold

TASK = Task("medium", 0.05, 300, 6.0, 0.8)


def test_the_products_threshold_meets_its_target_except_under_drift() -> None:
    [row] = calibration_rates.measure(25, tasks=(TASK,))["rows"]
    assert row["holds"]
    assert row["certified"] > 0.1
    assert row["base_error"] == pytest.approx(0.8 / 6.8)
    assert row["drift"][-1]["mean_error"] > row["mean_error"] + 0.05
    assert row["drift"][-1]["within_target"] < 0.1


def test_a_threshold_chosen_by_the_observed_error_is_detected() -> None:
    def greedy(
        probabilities: Any, right: Any, *, target: float, confidence: float, order: Any, clusters: Any
    ) -> threshold.Choice:
        """The loosest threshold whose error on the same items is within the target."""
        tried = [threshold.measure(probabilities, right, cut, confidence=confidence) for cut in order]
        best = max((each for each in tried if each.error <= target), key=lambda each: each.kept, default=tried[0])
        fields = {name: getattr(best, name) for name in best.__struct_fields__}
        return threshold.Choice(**fields, target=target, tested=len(tried))

    [row] = calibration_rates.measure(25, greedy, (TASK,))["rows"]
    assert not row["holds"]


def test_the_synthetic_traffic_has_exact_error_rates() -> None:
    chances = np.array([0.9, 0.5, 1.0, 0.2])
    kept, error = calibration_rates._Traffic(chances, 0.0, 0.0).kept(np.sqrt(0.9))
    assert (kept, error) == (0.5, pytest.approx(0.05))
    _, drifted = calibration_rates._Traffic(chances, 0.5, 0.4).kept(np.sqrt(0.9))
    assert drifted == pytest.approx(0.05 + 0.5 * 0.4)
