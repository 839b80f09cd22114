"""The cascade, computed from two evaluations of the same items: answering tier, cost and latency."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.evaluate import finished
from pipeline.evaluate.candidates import cascade
from pipeline.evaluate.predictions import Prediction
from traffic.calibrations import Calibration
from traffic.confidence import Signals

CUT = {"desk": Calibration(signal="min_margin", threshold=0.5)}
SURE, UNSURE = Signals(0.9, 0.9, 0.9, 0.9, -0.1, -0.1, 1), Signals(0.1, 0.1, 0.1, 0.1, -1.0, -1.0, 1)


def row(number: int, signals: Signals | None = SURE, **fields: Any) -> Prediction:
    given = {"record_id": f"r{number}", "call_site": "desk", "output": "x", "reference": "x", "correct": True}
    return Prediction(**(given | {"signals": signals, "cost_usd": 0.001, "latency_ms": 10.0} | fields))


def tiers(rows: list[Prediction], cuts: dict[str, Calibration] | None = None) -> list[int]:
    second = [row(place, None, cost_usd=0.01, latency_ms=500.0) for place in range(len(rows))]
    return [outcome.tier for outcome in cascade.combine(rows, second, CUT if cuts is None else cuts)]


def test_tier_2_answers_low_confidence_and_failed_answers() -> None:
    unusable = [row(2, None), row(3, failed_checks=("label: y",)), row(4, output=None, error="timeout")]
    assert tiers([row(0), row(1, UNSURE), *unusable]) == [1, 2, 2, 2, 2]


def test_a_call_site_without_a_threshold_escalates_only_on_failed_checks() -> None:
    assert tiers([row(0, UNSURE), row(1, None), row(2, failed_checks=("empty",))], cuts={}) == [1, 1, 2]


def test_an_escalated_item_costs_both_tiers_and_an_unpriced_one_is_unknown() -> None:
    second = [row(place, None, cost_usd=0.01) for place in range(3)]
    combined = cascade.combine([row(0), row(1, UNSURE), row(2, UNSURE, cost_usd=None)], second, CUT)
    assert [outcome.cost_usd for outcome in combined] == [0.001, pytest.approx(0.011), None]


def test_the_latency_of_an_escalated_item_is_the_sum_of_both_tiers() -> None:
    rows = [row(0, UNSURE, concurrency=1), *(row(place, concurrency=16, latency_ms=90.0) for place in range(1, 10))]
    second = [row(place, None, latency_ms=500.0) for place in range(10)]
    alone = cascade.latency(rows, cascade.combine(rows, second, CUT), 1)
    loaded = cascade.latency(rows, cascade.combine(rows, second, CUT), 16)
    assert alone is not None
    assert loaded is not None
    # Only one item was measured one at a time: its 10 ms stand for the others too.
    assert (alone.p50_ms, alone.n, alone.concurrency) == (10.0, 10, 1)
    assert alone.p95_ms > 200
    assert loaded.p50_ms == 90.0
    assert cascade.latency(rows, cascade.combine(rows, second, CUT), 4) is None


@pytest.mark.parametrize(
    "kind, text, value",
    [
        ("label", "5", "5"),
        ("number", "5", 5),
        ("label_set", '["a","b"]', ["a", "b"]),
        ("any_of_text", '["yes","ja"]', ["yes", "ja"]),
        ("label_free_text", '["yes","ja"]', ["yes", "ja"]),
        ("any_of_text", "true", "true"),
        ("any_of_text", "1.50", "1.50"),
        ("label_free_text", "null", "null"),
        ("json", '{"a":1}', {"a": 1}),
        ("json", "not json", "not json"),
    ],
)
def test_references_are_read_back_as_scored(kind: str, text: str, value: object) -> None:
    references = row(0, reference=text, reference_kind=kind).scored_against
    assert not isinstance(references, str)
    assert (references.kind, references.value) == (kind, value)
    assert row(0, reference=text).scored_against == text


def test_without_an_evaluation_there_are_no_answers(tmp_path: Path) -> None:
    from traffic.artifacts import Home

    assert finished.related(Home(tmp_path), "desk@1", "test", "adapter", "teacher", None) is None


def test_stored_answers_equal_the_evaluated_ones() -> None:
    given = row(0, input_tokens=20, output_tokens=3, finish_reason="stop", concurrency=1)
    answer = given.answer()
    assert answer.usage is not None
    assert (answer.text, answer.usage.input_total, answer.usage.output, answer.signals) == ("x", 20, 3, SURE)
    assert msgspec.structs.replace(given, input_tokens=None).answer().usage is None
