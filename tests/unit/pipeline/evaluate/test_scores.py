"""Scores, compared with worked examples."""

from pathlib import Path

import msgspec
import pytest

from pipeline.evaluate import items as items_
from pipeline.evaluate import scores
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Items
from pipeline.metrics import Detail, ItemScore, Reference
from tests.fakes.task_datasets import make

GOLDEN = Path(__file__).parents[3] / "golden"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    return items_.load(make(tmp_path_factory.mktemp("home"), train=8, others=8), "test")


def answers(items: Items, wrong: set[int], failed: frozenset[int] = frozenset()) -> list[Answer]:
    given = []
    for place, item in enumerate(items.items):
        text = "%%%" if place in wrong else item.completion
        error = "503" if place in failed else None
        given.append(Answer(record_id=item.record_id, text=None if error else text, error=error))
    return given


def graded_items(items: Items, given: list[Answer]) -> list[ItemScore]:
    return scores.grade("candidate", items, given).scores


def test_garbage_and_failed_requests_count_as_wrong(items: Items) -> None:
    scored = graded_items(items, answers(items, wrong={0, 1}, failed=frozenset({5})))
    assert [score.correct for score in scored] == [False, False, True, True, True, False, True, True]


def test_a_truncated_answer_is_wrong_although_its_text_is_correct(items: Items) -> None:
    given = answers(items, wrong=set())
    given[0] = msgspec.structs.replace(given[0], finish_reason="length")
    scored = graded_items(items, given)
    assert "truncated" in scored[0].detail.failed[0]


def test_comparisons_are_paired_on_the_same_items(items: Items) -> None:
    this = graded_items(items, answers(items, wrong={0, 1}))
    other = graded_items(items, answers(items, wrong={1, 2, 3}))
    comparison = scores.compare("teacher", this, other)
    assert (comparison.both, comparison.only_this, comparison.only_other, comparison.neither) == (4, 2, 1, 1)
    assert comparison.difference == pytest.approx(1 / 8)
    assert comparison.interval.low < 1 / 8 < comparison.interval.high


def graded(*values: float) -> list[ItemScore]:
    return [ItemScore(value == 1, value, Detail()) for value in values]


def test_graded_scores_are_compared_by_their_mean_difference() -> None:
    comparison = scores.compare("teacher", graded(0.9, 0.5, 1.0, 0.2), graded(1.0, 1.0, 1.0, 0.0))
    assert comparison.score_difference == pytest.approx((-0.1 - 0.5 + 0 + 0.2) / 4)
    assert comparison.score_interval is not None
    assert -0.5 <= comparison.score_interval.low < comparison.score_difference < comparison.score_interval.high <= 0.2
    assert (comparison.both, comparison.only_this, comparison.only_other, comparison.neither) == (1, 0, 2, 1)


def test_equal_graded_scores_differ_by_zero_with_an_interval() -> None:
    comparison = scores.compare("teacher", graded(0.9, 0.5, 1.0), graded(0.9, 0.5, 1.0))
    assert comparison.score_interval is not None
    assert comparison.score_difference == 0
    assert comparison.score_interval.low == pytest.approx(-comparison.score_interval.high)
    assert comparison.score_interval.high > 0


def test_binary_scores_have_no_graded_difference() -> None:
    assert scores.compare("teacher", graded(1, 0), graded(0, 0)).score_difference is None


def test_a_candidate_differs_from_itself_by_zero(items: Items) -> None:
    scored = graded_items(items, answers(items, wrong={0}))
    assert scores.compare("itself", scored, scored).difference == 0


def test_cohorts_split_the_items_and_their_comparison(items: Items) -> None:
    this = graded_items(items, answers(items, wrong={0}))
    other = graded_items(items, answers(items, wrong=set()))
    by_cohort = scores.by_cohort(items, this, "teacher", other)
    plans = [item.cohort["plan"] for item in items.items]
    assert set(by_cohort) == {"label_source", "plan"}
    for plan, cohort in by_cohort["plan"].items():
        n = plans.count(plan)
        wrong = int(plans[0] == plan)
        assert cohort.n == n
        assert cohort.metrics["accuracy"].value == pytest.approx((n - wrong) / n)
        assert cohort.comparison is not None
        assert cohort.comparison.only_other == wrong
    assert list(by_cohort["plan"]) == sorted(by_cohort["plan"], key=lambda plan: -plans.count(plan))


def test_the_reference_candidate_has_cohorts_without_a_comparison(items: Items) -> None:
    scored = graded_items(items, answers(items, wrong=set()))
    assert scores.by_cohort(items, scored, None, None)["label_source"]["teacher"].comparison is None


def test_a_human_label_replaces_the_logged_answer_as_reference(items: Items) -> None:
    first = items.items[0]
    labelled = msgspec.structs.replace(
        items, items=(msgspec.structs.replace(first, reference=Reference("label", "something else")), *items.items[1:])
    )
    assert not graded_items(labelled, answers(items, wrong=set()))[0].correct


@pytest.mark.parametrize(
    "metrics, main",
    [
        (("accuracy", "macro_f1", "format_ok"), "accuracy"),
        (("accuracy", "json_valid", "json_exact", "field_f1"), "json_exact"),
        (("accuracy", "similarity"), "similarity"),
    ],
)
def test_the_main_metric_follows_the_kind_of_task(metrics: tuple[str, ...], main: str) -> None:
    assert scores.main_metric(metrics) == main


@pytest.mark.parametrize("folder", sorted(GOLDEN.glob("evaluation_v*")), ids=lambda path: path.name)
def test_scores_of_every_version_keep_loading(folder: Path) -> None:
    loaded = scores.load(folder)
    assert loaded.schema_version == int(folder.name.removeprefix("evaluation_v"))
    assert loaded.metrics[loaded.main_metric].n == loaded.n


def test_weighted_scores_count_an_item_once_per_request(items: Items) -> None:
    first, *rest = items.items
    weighted = msgspec.structs.replace(items, items=(msgspec.structs.replace(first, requests=93), *rest))
    this = graded_items(weighted, answers(weighted, wrong={0}))
    incumbent = graded_items(weighted, answers(weighted, wrong={1}))
    by_requests = scores.traffic(weighted, this, incumbent)
    assert by_requests.requests == 100
    assert by_requests.accuracy.value == pytest.approx(0.07)
    assert by_requests.difference == pytest.approx(-0.92)
    assert by_requests.accuracy.n == 100
    # One item with most of the requests is one piece of evidence.
    assert by_requests.accuracy.interval.high > 0.9


def test_with_one_request_per_item_weighted_scores_equal_unweighted_ones(items: Items) -> None:
    this = graded_items(items, answers(items, wrong={0, 3}))
    by_requests = scores.traffic(items, this, None)
    assert (by_requests.requests, by_requests.accuracy.value, by_requests.difference) == (8, 0.75, None)
