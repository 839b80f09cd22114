"""The chart of a decision, tested through its specification."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import charts
from pipeline.decide import chart, record
from pipeline.decide.record import Decision

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).parents[3] / "golden" / "decision_v1.yaml"


@pytest.fixture(scope="module")
def decision() -> Decision:
    return record.load(GOLDEN)


def rows(spec: dict[str, Any], key: str) -> list[dict[str, Any]]:
    """Data rows with this key, of all layers."""
    datasets = [layer["data"]["values"] for layer in spec["layer"] if "values" in layer["data"]]
    return [row for values in datasets for row in values if key in row]


def test_each_priced_candidate_has_a_line_and_simulated_ones_are_marked(decision: Decision) -> None:
    names = {row["candidate"] for row in rows(chart.spec(decision), "candidate")}
    assert names == {"teacher", "adapter", "base", "classical", "small (simulated)", "luna"}
    unpriced = tuple(
        msgspec.structs.replace(candidate, cost=None) if candidate.name == "luna" else candidate
        for candidate in decision.candidates
    )
    without = chart.spec(msgspec.structs.replace(decision, candidates=unpriced))
    assert "luna" not in {row["candidate"] for row in rows(without, "candidate")}


def test_lines_follow_the_cost_model_over_all_stated_volumes(decision: Decision) -> None:
    line = [row for row in rows(chart.spec(decision), "candidate") if row["candidate"] == "teacher"]
    assert line[0]["volume"] == pytest.approx(decision.volume.requests_per_month / 10)
    assert line[-1]["volume"] == pytest.approx(decision.volume.requests_per_month * 1000)
    assert all(row["cost"] == pytest.approx(0.002 * row["volume"]) for row in line)


def test_break_even_is_marked_for_own_models_that_are_not_ruled_out(decision: Decision) -> None:
    # A point and its label are two layers over the same row.
    mark, label = [row for row in rows(chart.spec(decision), "text") if "cost" in row]
    assert mark == label
    assert mark["text"] == "adapter from 91,292"
    assert mark["cost"] == pytest.approx(0.0008 * mark["volume"], rel=1e-6)


def test_each_stated_volume_has_its_verdict(decision: Decision) -> None:
    stated = {row["text"] for row in rows(chart.spec(decision), "text") if "cost" not in row}
    assert stated == {"1x: buy", "10x: wait", "100x: wait"}


def test_the_chart_is_self_contained(decision: Decision) -> None:
    drawn = charts.rendered(chart.spec(decision))
    assert drawn.startswith("<svg")
    assert "support.intent: buy (simulated)" in drawn
    assert "USD per month" in drawn
