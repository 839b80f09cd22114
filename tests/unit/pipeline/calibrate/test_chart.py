"""Data of the charts, and rendering to SVG."""

import pytest

from pipeline import charts
from pipeline.calibrate import chart
from pipeline.calibrate.threshold import NEVER

P = [0.9, 0.2, 0.6, NEVER]
OWN = [True, False, True, False]


def points(other: list[bool] | None, usd: float | None = 0.001) -> list[chart.Point]:
    return chart.curve(P, OWN, other, own_usd=0.0001, other_usd=usd)


def test_the_curve_ends_with_every_answer_escalated() -> None:
    curve = points([True, True, True, True])
    assert [point.escalation for point in curve] == [0.25, 0.5, 0.75, 1.0]
    assert [point.quality for point in curve] == [0.75, 1.0, 1.0, 1.0]
    assert [point.kept_quality for point in curve] == pytest.approx([2 / 3, 1.0, 1.0, 1.0])
    assert [point.usd_per_1k for point in curve] == pytest.approx([0.35, 0.6, 0.85, 1.1])


def test_wrong_answers_of_tier_2_count() -> None:
    assert points([False, True, True, True])[-1].quality == 0.75


def test_the_curve_of_an_unpriced_tier_shows_rates() -> None:
    curve = points(None, usd=None)
    assert all(point.usd_per_1k is None for point in curve)
    spec = chart.curve_spec(curve, {"in force": 0.5}, title="t", quality="right answers")
    assert spec["layer"][0]["encoding"]["x"]["field"] == "escalation"


def test_bins_contain_only_answers_that_can_be_kept() -> None:
    right = [place % 10 > 0 for place in range(40)] + [True, False] * 20 + [False] * 10
    bins = chart.reliability([0.9] * 40 + [0.5] * 40 + [NEVER] * 10, right)
    assert sum(bin_.n for bin_ in bins) == 80
    assert bins[-1].predicted == pytest.approx(0.9)
    assert bins[-1].low < bins[-1].observed < bins[-1].high
    assert chart.calibration_error(bins) == pytest.approx(0.0, abs=0.1)


def test_without_answers_there_are_no_bins_and_no_error() -> None:
    assert chart.reliability([NEVER], [True]) == []
    assert chart.calibration_error([]) == 0.0


@pytest.mark.slow
def test_both_charts_are_self_contained() -> None:
    curve = charts.rendered(chart.curve_spec(points([True] * 4), {"largest rate": 0.25}, title="t", quality="right"))
    diagram = charts.rendered(chart.reliability_spec(chart.reliability(P * 20, OWN * 20), title="t"))
    assert curve.startswith("<svg")
    assert "of the kept right" in curve
    assert diagram.startswith("<svg")
