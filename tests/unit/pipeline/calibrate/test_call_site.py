"""Calibration of a call site: threshold, escalation rate and messages."""

import functools
from typing import Any

import numpy as np
import pytest

from pipeline.calibrate import call_site as site
from pipeline.calibrate.call_site import Calibrated, Splits
from pipeline.calibrate.config import CalibrateConfig
from pipeline.evaluate.predictions import Prediction
from traffic.calibrations import Calibration
from traffic.confidence import Signals

pytestmark = pytest.mark.slow

BASE = Calibration(call_site="desk", candidate="adapter", reference="logged", signal="min_margin", threshold=None)


def rows(n: int, seed: int, *, right: float = 1.0, **fields: Any) -> list[Prediction]:
    """Answers whose margin is close to their probability of being right; `right` scales it down."""
    rng = np.random.default_rng(seed)
    margins = 1 - rng.beta(0.4, 3, n)
    return [
        Prediction(
            **{
                "record_id": f"r{place}",
                "output": "x",
                "reference": "x",
                "correct": bool(rng.random() < right * margin),
                "signals": Signals(margin, margin, margin, margin, margin - 1, margin - 1, 1),
                "cohort": {"label_source": "teacher"},
            }
            | fields
        )
        for place, margin in enumerate(map(float, margins))
    ]


def calibrated(*, later: list[Prediction] | None = None, **settings: Any) -> Calibrated:
    splits = Splits(rows(1200, 1), rows(1200, 2), rows(600, 3) if later is None else later)
    return site.calibrate(splits, CalibrateConfig(**settings), base=BASE, own_usd=0.0001, other_usd=0.001)


@functools.cache
def default() -> Calibrated:
    return calibrated()


def test_a_certified_threshold_holds_on_unseen_items() -> None:
    calibration = calibrated(target_risk=0.05).calibration
    assert calibration.threshold is not None
    assert calibration.achieved_risk_bound is not None
    assert calibration.achieved_risk_bound <= 0.05
    assert calibration.test is not None
    assert calibration.test.error < 0.07
    assert calibration.infeasible is None
    assert calibration.expected_escalation_rate == pytest.approx(1 - calibration.test.kept / 600, abs=0.1)
    assert calibration.usd_per_1k == pytest.approx(0.1 + calibration.expected_escalation_rate)


def test_an_unreachable_target_gives_no_threshold_and_a_reason() -> None:
    calibration = calibrated(target_risk=0.001).calibration
    assert (calibration.threshold, calibration.achieved_risk, calibration.expected_escalation_rate) == (
        None,
        None,
        None,
    )
    assert calibration.infeasible is not None
    assert "perfect" in calibration.infeasible


def test_the_threshold_can_be_set_by_the_maximum_escalation_rate() -> None:
    beside, ruling = default().calibration, calibrated(rule="escalation").calibration
    assert beside.at_escalation == ruling.at_escalation
    assert beside.at_escalation is not None
    assert 0.15 < beside.at_escalation.escalation <= 0.2
    assert ruling.threshold == beside.at_escalation.threshold
    assert ruling.test == beside.test_at_escalation
    assert any("not certified" in note for note in ruling.notes)


def test_an_unusual_escalation_rate_is_noted() -> None:
    calibration = calibrated(target_risk=0.3, confidence=0.9).calibration
    assert calibration.expected_escalation_rate == 0.0
    assert any("outside 10% to 20%" in note for note in calibration.notes)


def test_answers_that_fail_their_checks_or_have_no_signals_always_escalate() -> None:
    threshold = [
        *rows(400, 5),
        *rows(50, 6, failed_checks=("label: x",)),
        *rows(50, 7, signals=None),
    ]
    calibration = site.calibrate(
        Splits(rows(600, 4), threshold), CalibrateConfig(target_risk=0.2), base=BASE, own_usd=None, other_usd=0.1
    ).calibration
    assert calibration.expected_escalation_rate is not None
    assert calibration.expected_escalation_rate >= 0.2
    assert calibration.usd_per_1k is None
    assert calibration.test is None


def test_a_rising_escalation_rate_is_noted() -> None:
    unsure = Signals(0.05, 0.05, 0.05, 0.05, -2.0, -2.0, 1)
    calibration = calibrated(target_risk=0.1, later=[*rows(100, 8), *rows(200, 9, signals=unsure)]).calibration
    assert any("newer requests" in note for note in calibration.notes)


def test_an_uninformative_signal_is_noted() -> None:
    same = Signals(0.5, 0.5, 0.5, 0.5, -0.5, -0.5, 1)
    splits = Splits(rows(100, 1, signals=same), rows(100, 2, signals=same))
    calibration = site.calibrate(splits, CalibrateConfig(), base=BASE, own_usd=None, other_usd=None).calibration
    assert any("not informative" in note for note in calibration.notes)


@pytest.mark.parametrize(
    "given, source, says",
    [
        ("labels", "teacher", "human labels"),
        ("logged", "teacher", "agreement with the logged answers, which is not accuracy"),
        ("logged", "corrected", "labels of people for 100 of 100 items"),
    ],
)
def test_the_reference_of_correctness_is_stated(given: str, source: str, says: str) -> None:
    import msgspec

    splits = Splits(rows(100, 1), rows(100, 2, cohort={"label_source": source}))
    base = msgspec.structs.replace(BASE, reference=given)
    calibration = site.calibrate(splits, CalibrateConfig(), base=base, own_usd=None, other_usd=None).calibration
    assert calibration.reference is not None
    assert calibration.reference.startswith(says)


def test_the_test_split_may_have_better_labels_than_the_others() -> None:
    splits = Splits(rows(100, 1), rows(100, 2), rows(100, 3), None, "labels")
    calibration = site.calibrate(splits, CalibrateConfig(), base=BASE, own_usd=None, other_usd=None).calibration
    assert calibration.test_reference == "human labels"
    assert calibration.reference is not None
    assert calibration.reference.startswith("agreement")


def test_the_curve_is_drawn_from_the_test_split_if_present() -> None:
    settings = default()
    assert settings.on == "test"
    assert settings.points[-1].escalation == 1.0
    assert settings.points[0].quality < settings.points[-1].quality


def test_rows_of_one_group_are_not_independent() -> None:
    later = rows(1200, 2)
    together = {row.record_id: place // 6 for place, row in enumerate(later)}
    apart = site.calibrate(Splits(rows(1200, 1), later), CalibrateConfig(), base=BASE, own_usd=None, other_usd=None)
    grouped = site.calibrate(
        Splits(rows(1200, 1), later, clusters=together), CalibrateConfig(), base=BASE, own_usd=None, other_usd=None
    )
    one, other = apart.calibration.at_escalation, grouped.calibration.at_escalation
    assert one is not None
    assert other is not None
    assert (one.kept, one.errors) == (other.kept, other.errors)
    assert other.bound > one.bound


def test_free_texts_cannot_be_calibrated() -> None:
    assert site.no_error_rate("classification") is None
    assert site.no_error_rate("extraction") is None
    note = site.no_error_rate("rewrite")
    assert note is not None
    assert note.startswith("rewrite")


def test_the_curve_states_whether_tier_2_answers_are_known() -> None:
    assert not default().tier_2_known
    later = rows(600, 3)
    splits = Splits(rows(300, 1), rows(300, 2), later, rows(600, 4))
    assert site.calibrate(splits, CalibrateConfig(), base=BASE, own_usd=None, other_usd=None).tier_2_known
