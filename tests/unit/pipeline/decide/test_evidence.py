"""Selection of evaluations for a decision."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import dataset as datasets
from pipeline.decide import evidence
from pipeline.decide.evidence import Evidence
from tests.fakes import evaluated_homes as homes
from traffic import calibrations, config
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import InputError, NotFound

LATER = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Home:
    folder = tmp_path_factory.mktemp("template")
    return homes.make(folder, requests_per_day=1, days=2, items=30)


@pytest.fixture
def home(template: Home, tmp_path: Path) -> Home:
    return Home(shutil.copytree(template.root, tmp_path / "home"))


def read(home: Home) -> Evidence:
    return evidence.read(home, home.dataset(homes.TASK).name)


def names(listed: Evidence) -> list[str]:
    return [evaluation.name for evaluation in listed.evaluated]


def test_the_teacher_is_the_reference_and_comes_first(home: Home) -> None:
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost(), comparison=None)
    evidence = read(home)
    assert (evidence.reference.name, names(evidence)) == ("teacher", ["teacher", "adapter"])


def test_the_newest_evaluation_of_a_candidate_counts(home: Home) -> None:
    homes.evaluation(home, "adapter", "adapter", wrong=range(9), cost=homes.own_cost(), created_at=LATER)
    homes.evaluation(home, "adapter", "adapter", wrong=range(3), cost=homes.own_cost())
    [_, adapter] = read(home).evaluated
    assert sum(not item.correct for item in adapter.items.values()) == 9


def test_candidates_with_other_items_are_excluded_with_a_reason(home: Home) -> None:
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost(), limit=10, created_at=LATER)
    evidence = read(home)
    assert names(evidence) == ["teacher"]
    assert evidence.left_out == {
        "adapter": "was evaluated on 10 items against human labels, not on the 30 that count",
    }


def cascade(home: Home, tier_1: Path, **changes: Any) -> Path:
    parts = homes.cascade_of(home, tier_1, calibrations={}, escalated=3)
    return homes.evaluation(home, "cascade", "cascade", wrong=(), cost=homes.own_cost(), parts=parts, **changes)


def test_a_cascade_is_valid_as_long_as_its_member_evaluations(home: Home) -> None:
    first = homes.evaluation(home, "adapter", "adapter", wrong=range(3), cost=homes.own_cost())
    cascade(home, first, adapter=homes.ADAPTER)
    evidence = read(home)
    assert (names(evidence), evidence.left_out) == (["teacher", "adapter", "cascade"], {})


def test_a_cascade_of_an_older_adapter_is_excluded_with_a_reason(home: Home) -> None:
    older = homes.evaluation(home, "adapter", "adapter", wrong=range(3), cost=homes.own_cost())
    cascade(home, older, adapter=homes.ADAPTER)
    newer = {"adapter": "support.intent@bbbbbbbb", "created_at": LATER}
    now = homes.evaluation(home, "adapter", "adapter", wrong=range(9), cost=homes.own_cost(9.0), **newer)
    evidence = read(home)
    assert names(evidence) == ["teacher", "adapter"]
    assert list(evidence.left_out) == ["cascade"]
    assert older.name in evidence.left_out["cascade"]
    assert now.name in evidence.left_out["cascade"]


def calibrated(home: Home, name: str, threshold: float | None, at: int) -> str:
    """A calibration of the adapter, the newest one if `at` (seconds) is the largest."""
    card = datasets.load(home.dataset(homes.TASK))
    path = home.calibrations / name / calibrations.FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    calibration = Calibration(
        call_site=homes.TASK, candidate="adapter", adapter=homes.ADAPTER, dataset=card.name, reference="logged",
        signal="min_margin", threshold=threshold, created_at=LATER + timedelta(seconds=at),
    )  # fmt: skip
    path.write_text(config.dump(calibration), encoding="utf-8")
    return name


def test_a_cascade_with_a_replaced_threshold_is_excluded(home: Home) -> None:
    first = homes.evaluation(home, "adapter", "adapter", wrong=range(3), cost=homes.own_cost())
    for place, name in enumerate(("one", "two")):
        calibrated(home, name, 0.8 + place / 10, place)
        parts = homes.cascade_of(home, first, calibrations={homes.TASK: name}, escalated=3 + place)
        changes = {"parts": parts, "adapter": homes.ADAPTER, "created_at": LATER + place * timedelta(seconds=1)}
        homes.evaluation(home, "cascade", "cascade", wrong=(), cost=homes.own_cost(), **changes)
    made_with = [evaluation.scores.parts.calibrations for evaluation in read(home).evaluated if evaluation.scores.parts]
    assert made_with == [{homes.TASK: "two"}]
    # Calibrated again as the first time: its files are found again, and its cascade, which is the older one.
    calibrated(home, "one", 0.8, 9)
    made_with = [evaluation.scores.parts.calibrations for evaluation in read(home).evaluated if evaluation.scores.parts]
    assert made_with == [{homes.TASK: "one"}]
    calibrated(home, "three", 0.99, 10)
    assert "three" in read(home).left_out["cascade"]
    # What could not be certified takes no threshold's place.
    calibrated(home, "four", None, 11)
    assert read(home).left_out == {}


def test_human_labels_take_precedence_over_newer_agreement_scores(home: Home) -> None:
    for name, kind, cost in (("teacher", "teacher", homes.cpu_cost()), ("adapter", "adapter", homes.own_cost())):
        changes = {"reference": "logged", "labels": None, "created_at": LATER}
        homes.evaluation(home, name, kind, wrong=range(5), cost=cost, **changes)
    homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost())
    evidence = read(home)
    assert {evaluation.scores.reference for evaluation in evidence.evaluated} == {"labels"}
    assert evidence.left_out == {}


def test_other_splits_and_datasets_do_not_count(home: Home) -> None:
    homes.evaluation(home, "a", "adapter", wrong=(), cost=homes.own_cost(), split="threshold")
    homes.evaluation(home, "b", "adapter", wrong=(), cost=homes.own_cost(), dataset="support.intent@00000000")
    assert names(read(home)) == ["teacher"]


def test_without_an_evaluation_the_command_that_makes_one_is_named(home: Home) -> None:
    with pytest.raises(NotFound, match="run `fasttier evaluate --dataset x@1`"):
        evidence.read(home, "x@1")


def test_broken_predictions_are_an_input_error(home: Home) -> None:
    folder = homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost())
    (folder / "predictions.parquet").write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"predictions\.parquet: cannot be read"):
        read(home)


def test_cohorts_need_enough_items_and_label_sources_are_not_cohorts(home: Home) -> None:
    items = read(home).reference.items
    cohorts = evidence.cohorts(items, 5)
    assert {key for key, _ in cohorts} == {"plan", "label_group"}
    sizes = {value: len(ids) for (key, value), ids in cohorts.items() if key == "plan"}
    assert sum(sizes.values()) == 30
    assert list(evidence.cohorts(items, max(sizes.values()))) == [("plan", "free")]
    assert evidence.cohorts(items, 31) == {}
