"""The summary's tables and lines."""

from pathlib import Path

import msgspec
import pytest

from pipeline import statistics
from pipeline.evaluate import scores
from pipeline.evaluate.report import Duel, EvaluateSummary, Rank, paired, ranking, table
from pipeline.evaluate.scores import Comparison, Scores, Traffic
from pipeline.metrics import Metric
from pipeline.statistics import Interval

GOLDEN = Path(__file__).parents[3] / "golden" / "evaluation_v1"


@pytest.fixture(scope="module")
def evaluated() -> Scores:
    return scores.load(GOLDEN)


def summary(*rows: Scores, **changes: object) -> EvaluateSummary:
    fields = {
        "task": "support.intent",
        "dataset": "support.intent@01234567",
        "split": "test",
        "reference": "labels",
        "n": 12,
        "requests": 12,
        "without_label": 0,
        "compared_with": "teacher",
        "folders": {},
        "skipped": {},
    }
    return EvaluateSummary(**(fields | {"scores": rows} | changes))  # type: ignore[arg-type]


def test_the_table_shows_score_interval_difference_latency_cost_and_simulation(evaluated: Scores) -> None:
    heading, row = table([evaluated], "teacher")
    assert heading.split("  ")[0] == "candidate"
    assert row.startswith("stand-in   12  100.0% (75.8%-100.0%)  +0.0 (-24.2..+24.2)")
    assert "SIMULATED" in row
    assert "latency of 4 requests at concurrency 1" in row
    assert "ends 2027-01-14" in row
    assert f"{evaluated.cost.usd_per_1k:.3g}" in row


def test_unknown_costs_are_never_shown_as_zero(evaluated: Scores) -> None:
    unpriced = msgspec.structs.replace(evaluated, cost=msgspec.structs.replace(evaluated.cost, usd_per_1k=None))
    assert "unpriced" in table([unpriced], "teacher")[1]
    tiny = msgspec.structs.replace(evaluated, cost=msgspec.structs.replace(evaluated.cost, usd_per_1k=2e-6))
    assert "$0.000002" in table([tiny], "teacher")[1]


def test_the_next_command_is_decide_with_an_adapter_and_train_without(evaluated: Scores) -> None:
    adapter = msgspec.structs.replace(evaluated, kind="adapter")
    assert summary(evaluated).lines()[-1] == "next: fasttier train --dataset support.intent@01234567"
    assert summary(evaluated, adapter).lines()[-1] == "next: fasttier decide --task support.intent"


def test_dropped_rows_skipped_candidates_and_notes_are_reported(evaluated: Scores) -> None:
    noted = msgspec.structs.replace(evaluated, notes=("2 requests were retried",))
    lines = summary(noted, without_label=3, skipped={"luna": "no key"}, folders={"stand-in": Path("x/y")}).lines()
    assert any(line.startswith("left out: 3 rows") for line in lines)
    assert "skipped luna: no key" in lines
    assert "stand-in: 2 requests were retried" in lines
    assert "wrote x/y" in lines


def duel(only_adapter: int, only_baseline: int) -> str:
    counts = (60, only_adapter, only_baseline, 40 - only_adapter - only_baseline)
    interval = statistics.paired_difference_interval(*counts)
    difference = (only_adapter - only_baseline) / 100
    return Duel("adapter", "classical", Comparison("classical", difference, interval, *counts)).line()


def test_an_adapter_below_the_classical_baseline_is_reported() -> None:
    assert "no case" in duel(2, 20)
    assert "-18.0" in duel(2, 20)
    assert "the adapter is better" in duel(20, 2)
    assert "no difference shown" in duel(5, 4)


def test_paired_results_count_items_that_only_one_candidate_gets_right(evaluated: Scores) -> None:
    comparison = Comparison("teacher", -0.01, Interval(-0.02, 0.0, 0.95), 1090, 3, 15, 92)
    rows = paired([msgspec.structs.replace(evaluated, comparison=comparison)], "teacher")
    assert rows[0].split("  ")[-1].strip() == "points (95%)"
    assert [cell for cell in rows[1].split() if cell][1:5] == ["1,090", "3", "15", "92"]
    assert paired([msgspec.structs.replace(evaluated, comparison=None)], "teacher") == []


def test_hosted_costs_are_reported_and_a_stopped_candidate_gives_exit_status_1(evaluated: Scores) -> None:
    done = summary(evaluated, spent_usd=0.5, budget_usd=2.0)
    assert any("$0.50 of a budget of $2.00" in line for line in done.lines())
    assert done.exit_status == 0
    stopped = summary(evaluated, spent_usd=2.0, budget_usd=2.0, stopped={"gpt": "the budget is used up"})
    assert "stopped gpt: the budget is used up" in stopped.lines()
    assert stopped.exit_status == 1


def test_agreement_with_the_log_is_not_called_accuracy(evaluated: Scores) -> None:
    lines = summary(evaluated, reference="logged").lines()
    assert "agreement with the logged answers" in lines[0]
    assert any("--labels FILE" in line for line in lines)
    assert "human labels" in summary(evaluated).lines()[0]


def test_scores_weighted_by_requests_are_shown_for_repeated_items(evaluated: Scores) -> None:
    metric = evaluated.metrics["accuracy"]
    even = Traffic(requests=12, accuracy=metric, score=metric)
    assert "by requests" not in table([msgspec.structs.replace(evaluated, traffic=even)], "teacher")[0]
    weighted = msgspec.structs.replace(even, requests=40, accuracy=Metric(0.5, Interval(0.25, 0.75, 0.95), 40))
    heading, row = table([msgspec.structs.replace(evaluated, traffic=weighted)], "teacher")
    assert "by requests" in heading
    assert "50.0% (25.0%-75.0%)" in row


def test_candidates_are_ranked_by_cost_at_equal_quality() -> None:
    level = Comparison("teacher", -0.01, Interval(-0.02, 0.01, 0.95), 90, 1, 2, 7)
    below = Comparison("teacher", -0.2, Interval(-0.3, -0.1, 0.95), 70, 1, 21, 8)
    ranks = [
        Rank("encoder", 0.01, level, worse=False),
        Rank("teacher", 2.0, None, worse=False),
        Rank("base", 0.001, below, worse=True),
    ]
    first, second = ranking(ranks)
    assert first.index("encoder $0.01") < first.index("teacher $2.00")
    assert "base" not in first
    assert "base" in second
    assert ranking(ranks[1:2]) == []


def test_an_adapter_dearer_than_an_equal_classifier_is_reported() -> None:
    level = Comparison("classical", 0.0, Interval(-0.02, 0.02, 0.95), 90, 2, 2, 6)
    assert "no case" in Duel("adapter", "classical", level, 0.1, 0.001).line()
    assert "no case" not in Duel("adapter", "classical", level, 0.001, 0.1).line()
    assert "no case" not in Duel("adapter", "classical", level).line()
