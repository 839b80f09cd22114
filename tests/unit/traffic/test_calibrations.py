"""calibration.yaml: lookup, and comparison of answers with the threshold."""

import datetime as dt
from pathlib import Path

import pytest

from traffic import calibrations, config
from traffic.artifacts import Home
from traffic.calibrations import Calibration, KeptAnswers
from traffic.confidence import Isotonic, Platt, Signals
from traffic.errors import ConfigError, InputError

GOLDEN = Path(__file__).parents[2] / "golden"
SIGNALS = Signals(0.2, 0.3, 0.6, 0.5, -0.9, -0.3, 4)


def write(home: Home, name: str, *, age_s: int = 0, **fields: object) -> Path:
    given = {"call_site": "desk", "candidate": "adapter", "signal": "min_margin", "threshold": 0.5}
    given |= {"created_at": dt.datetime(2026, 11, 1, tzinfo=dt.UTC) - dt.timedelta(seconds=age_s)}
    path = home.calibrations / name / calibrations.FILE
    path.parent.mkdir(parents=True)
    path.write_text(config.dump(Calibration(**(given | fields))), encoding="utf-8")  # type: ignore[arg-type]
    return path


def test_a_threshold_applies_to_the_signal_or_to_its_calibrated_probability() -> None:
    plain = Calibration(signal="mean_margin", threshold=0.5).cut
    curved = Calibration(signal="mean_margin", threshold=0.5, curve=Isotonic((0.0, 1.0), (0.5, 1.0))).cut
    weighted = Calibration(
        signal="combined", threshold=0.5, weights={"mean_margin": 2.0, "length": -1.0}, curve=Platt(1.0, 0.0)
    ).cut
    assert plain is not None
    assert curved is not None
    assert weighted is not None
    assert (plain.value(SIGNALS), plain.measure) == (0.6, "mean_margin")
    assert (curved.value(SIGNALS), curved.measure) == (pytest.approx(0.8), "p(right)")
    assert weighted.value(SIGNALS) == pytest.approx(1 / (1 + 2.718281828 ** -(1.2 - 1.386294361)))


def test_the_newest_calibration_of_the_call_site_and_adapter_is_found(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert calibrations.current(home, "desk") is None
    write(home, "desk@11111111", adapter="desk@a", age_s=30)
    newer = write(home, "desk@22222222", adapter="desk@a", age_s=20)
    other = write(home, "desk@33333333", adapter="desk@b", candidate="tuned", dataset="desk@d", age_s=10)
    write(home, "mail@44444444", call_site="mail")
    assert calibrations.current(home, "desk", adapter="desk@a") == newer
    assert calibrations.current(home, "desk") == other
    assert calibrations.current(home, "desk", candidate="tuned", dataset="desk@d") == other
    assert calibrations.current(home, "desk", candidate="tuned", dataset="desk@e") is None


def test_a_file_without_a_threshold_cannot_be_used(tmp_path: Path) -> None:
    path = write(Home(tmp_path), "desk@11111111", threshold=None, infeasible="too few")
    assert calibrations.load(path).cut is None
    with pytest.raises(InputError, match="nothing could be certified"):
        calibrations.load_cut(path)


def test_a_hand_written_threshold_is_sufficient(tmp_path: Path) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text("signal: min_margin\nthreshold: 0.3\n", encoding="utf-8")
    cut = calibrations.load_cut(path)
    assert cut.value(SIGNALS) < cut.threshold


@pytest.mark.parametrize(
    "curve, says",
    [
        ("{kind: isotonic, scores: [0, 1], probabilities: [0.5]}", "expected equally many"),
        ("{kind: isotonic, scores: [], probabilities: []}", "expected equally many"),
        ("{kind: isotonic, scores: [0, 1], probabilities: [0.9, 0.5]}", "must be ascending"),
        ("{kind: spline}", "spline"),
    ],
)
def test_an_invalid_curve_is_refused_with_its_file(tmp_path: Path, curve: str, says: str) -> None:
    path = tmp_path / "calibration.yaml"
    path.write_text(f"signal: min_margin\nthreshold: 0.3\ncurve: {curve}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"calibration\.yaml.*{says}"):
        calibrations.load(path)


def test_error_and_escalation_rates_follow_from_the_counts() -> None:
    kept_answers = KeptAnswers(threshold=0.5, items=10, kept=8, errors=2, bound=0.6, confidence=0.95)
    nothing = KeptAnswers(threshold=0.5, items=0, kept=0, errors=0, bound=1.0, confidence=0.95)
    assert (kept_answers.error, kept_answers.escalation) == (0.25, 0.2)
    assert (nothing.error, nothing.escalation) == (0.0, 0.0)


def test_a_calibration_of_version_1_loads_with_every_field_set_and_dumps_to_the_same(tmp_path: Path) -> None:
    loaded = calibrations.load(GOLDEN / "calibration_v1.yaml")
    again = tmp_path / "again.yaml"
    again.write_text(config.dump(loaded), encoding="utf-8")
    assert calibrations.load(again) == loaded
    unset = [name for name in loaded.__struct_fields__ if getattr(loaded, name) in (None, {}, ())]
    assert unset == ["infeasible"]
    assert loaded.cut is not None
    assert loaded.cut.value(SIGNALS) == pytest.approx(0.4 - 0.3 * 0.0465735903)
