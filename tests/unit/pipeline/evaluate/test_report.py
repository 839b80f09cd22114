"""The table at the end."""

from pathlib import Path

import msgspec
import pytest

from pipeline.evaluate import scores
from pipeline.evaluate.report import EvaluateSummary, table
from pipeline.evaluate.scores import Scores

GOLDEN = Path(__file__).parents[3] / "golden" / "evaluation_v1"


@pytest.fixture(scope="module")
def found() -> Scores:
    return scores.load(GOLDEN)


def summary(*rows: Scores, **changes: object) -> EvaluateSummary:
    fields = {
        "task": "support.intent",
        "dataset": "support.intent@01234567",
        "split": "test",
        "reference": "labels",
        "n": 12,
        "without_label": 0,
        "compared_with": "teacher",
        "folders": {},
        "skipped": {},
    }
    return EvaluateSummary(**(fields | {"scores": rows} | changes))  # type: ignore[arg-type]


def test_table_shows_score_with_interval_difference_latency_cost_and_that_it_is_simulated(found: Scores) -> None:
    heading, row = table([found], "teacher")
    assert heading.split("  ")[0] == "candidate"
    assert row.startswith("stand-in   12  100.0% (75.8%-100.0%)  +0.0 (-24.2..+24.2)")
    assert "SIMULATED" in row
    assert "latency of 4 requests at concurrency 1" in row
    assert "ends 2027-01-14" in row
    assert f"{found.cost.usd_per_1k:.3g}" in row


def test_unknown_cost_is_said_and_never_shown_as_zero(found: Scores) -> None:
    unpriced = msgspec.structs.replace(found, cost=msgspec.structs.replace(found.cost, usd_per_1k=None))
    assert "unpriced" in table([unpriced], "teacher")[1]
    tiny = msgspec.structs.replace(found, cost=msgspec.structs.replace(found.cost, usd_per_1k=2e-6))
    assert "<0.0001" in table([tiny], "teacher")[1]


def test_next_command_decides_when_an_adapter_was_evaluated_and_trains_when_none_was(found: Scores) -> None:
    adapter = msgspec.structs.replace(found, kind="adapter")
    assert summary(found).lines()[-1] == "next: fasttier train --dataset support.intent@01234567"
    assert summary(found, adapter).lines()[-1] == "next: fasttier decide --task support.intent"


def test_dropped_rows_skipped_candidates_and_notes_are_told(found: Scores) -> None:
    noted = msgspec.structs.replace(found, notes=("2 requests were retried",))
    lines = summary(noted, without_label=3, skipped={"luna": "no key"}, folders={"stand-in": Path("x/y")}).lines()
    assert "3 rows of the split have no label and were left out." in lines
    assert "skipped luna: no key" in lines
    assert "stand-in: 2 requests were retried" in lines
    assert "wrote x/y" in lines


def test_agreement_with_the_log_is_not_sold_as_quality(found: Scores) -> None:
    lines = summary(found, reference="logged").lines()
    assert "agreement with the logged answers" in lines[0]
    assert any("--labels FILE" in line for line in lines)
    assert "human labels" in summary(found).lines()[0]
