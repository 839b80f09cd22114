"""Files of a calibration in the home, and their readers."""

import pytest

from pipeline.calibrate import write
from pipeline.calibrate.call_site import Calibrated
from pipeline.calibrate.chart import Point
from pipeline.calibrate.config import CalibrateConfig
from traffic import calibrations
from traffic.artifacts import Home
from traffic.calibrations import Calibration

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """Shared by all tests: MLflow takes seconds to create its database."""
    return Home(tmp_path_factory.mktemp("calibrations") / "home")


def made(call_site: str, threshold: float) -> Calibrated:
    calibration = Calibration(
        call_site=call_site, task="t", candidate="adapter", adapter="t@11111111", dataset="t@22222222",
        signal="min_margin", threshold=threshold, rule="escalation", expected_escalation_rate=0.1,
    )  # fmt: skip
    points = [Point(share, 0.9, 0.9, share, 0.5) for share in (0.0, 1.0)]
    return Calibrated(calibration, points, "threshold", [])


@pytest.mark.parametrize("call_site", ["support.intent", "support/intent", "../../support", "x" * 300])
def test_the_calibration_of_any_call_site_is_found(home: Home, call_site: str) -> None:
    folder, _ = write.write(home, made(call_site, 0.5), CalibrateConfig())
    assert folder.parent == home.calibrations
    assert calibrations.current(home, call_site, adapter="t@11111111") == folder / calibrations.FILE
    assert calibrations.current(home, call_site + "2") is None


def test_a_repeated_calibration_becomes_current(home: Home) -> None:
    first, _ = write.write(home, made("desk", 0.5), CalibrateConfig())
    second, _ = write.write(home, made("desk", 0.6), CalibrateConfig())
    assert calibrations.current(home, "desk") == second / calibrations.FILE
    again, calibration = write.write(home, made("desk", 0.5), CalibrateConfig())
    assert again == first
    assert calibration.threshold == 0.5
    assert calibrations.current(home, "desk") == first / calibrations.FILE
