"""Scores of evaluated candidates against gold labels instead of the logged answers."""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import gold_scores
from benchmarks.gold import Gold
from pipeline import dataset as datasets
from tests.fakes import evaluated_homes as homes
from traffic import calibrations, config
from traffic.artifacts import Home
from traffic.calibrations import Calibration

ITEMS = 40


def answered(home: Home, folder: Path, wrong: range) -> None:
    """Stores answers in an evaluation: the dataset's label, or `none` for some items."""
    rows = pq.read_table(folder / "predictions.parquet")
    labels = [row["completion"][0]["content"] for row in datasets.read_split(home.dataset(None), "test").to_pylist()]
    outputs = ["none" if place in wrong else label for place, label in enumerate(labels)]
    columns = {name: rows[name] for name in rows.column_names} | {
        "output": pa.array(outputs),
        "reference": pa.array(labels),
        "call_site": pa.array([homes.TASK] * len(labels)),
        "finish_reason": pa.array(["stop"] * len(labels)),
    }
    pq.write_table(pa.table(columns, schema=rows.schema), folder / "predictions.parquet")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = homes.make(tmp_path, requests_per_day=1, days=2, items=ITEMS)
    [teacher] = home.evaluations.iterdir()
    answered(home, teacher, range(0))
    # The evaluation itself says that nothing is wrong: it was scored against something else.
    answered(home, homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost()), range(10))
    return home


def test_candidates_are_scored_against_gold_and_compared_on_the_same_items(home: Home, tmp_path: Path) -> None:
    rows = datasets.read_split(home.dataset(None), "test").to_pylist()
    known = [
        {"id": row["record_id"], "gold": row["completion"][0]["content"], "gold_kind": "label", "drift": place < 5}
        for place, row in enumerate(rows[:30])
    ]
    path = tmp_path / "gold.jsonl"
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in known))
    gold = {row["id"]: msgspec.convert(row, Gold) for row in known}
    figures = gold_scores.measure(home, home.dataset(None), path, gold)
    assert figures["items"] == 30
    teacher, adapter = figures["candidates"]["teacher"], figures["candidates"]["adapter"]
    assert (teacher["accuracy"], "gate_teacher" in teacher) == (1.0, False)
    assert adapter["accuracy"] == pytest.approx(2 / 3)
    assert adapter["gate_teacher"]["verdict"] == "fail"
    assert adapter["cohorts"]["drift"]["new labels"]["accuracy"] == 0
    assert {value["n"] for value in adapter["cohorts"]["plan"].values()} == {20, 10}
    assert figures["calibrations"] == []
    heads = [table[0] for table in gold_scores.lines(figures)]
    assert [head[0] for head in heads] == ["against gold", "right by cohort"]


def test_calibrations_of_this_dataset_and_adapter_are_measured_and_shown(home: Home, tmp_path: Path) -> None:
    card = datasets.load(home.dataset(None))
    rows = datasets.read_split(home.dataset(None), "test").to_pylist()
    path = tmp_path / "gold.jsonl"
    known = [{"id": row["record_id"], "gold": row["completion"][0]["content"], "gold_kind": "label"} for row in rows]
    path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in known))
    gold = {row["id"]: msgspec.convert(row, Gold) for row in known}
    for name, dataset, adapter in (
        ("mine", card.name, homes.ADAPTER),
        ("older", card.name, "support.intent@00000000"),
        ("other", "support.intent@11111111", homes.ADAPTER),
    ):
        calibration = Calibration(
            call_site=homes.TASK, candidate="adapter", adapter=adapter, dataset=dataset, reference="logged",
            signal="min_margin", rule="target", threshold=0.5, target_risk=0.05, achieved_risk_bound=0.04,
        )  # fmt: skip
        place = home.calibrations / name / calibrations.FILE
        place.parent.mkdir(parents=True)
        place.write_text(config.dump(calibration), encoding="utf-8")
    answered(home, homes.evaluation(home, "classical", "classical", wrong=(), cost=homes.cpu_cost()), range(20))
    theirs = {"adapter": homes.ADAPTER, "created_at": datetime(2026, 11, 21, tzinfo=UTC)}
    answered(home, homes.evaluation(home, "adapter", "adapter", wrong=(), cost=homes.own_cost(), **theirs), range(10))
    figures = gold_scores.measure(home, home.dataset(None), path, gold)
    assert [calibration["calibration"] for calibration in figures["calibrations"]] == ["mine"]
    assert figures["candidates"]["adapter"]["gate_classical"]["difference"] == pytest.approx(0.25)
    shown = [row for table in gold_scores.lines(figures) for row in table]
    [row] = [row for row in shown if row[:3] == ("adapter", homes.TASK, "target")]
    assert row[3:5] == ("5.0%", "4.0%")


def test_a_dataset_without_evaluations_has_no_figures(home: Home, tmp_path: Path) -> None:
    for folder in list(home.evaluations.iterdir()):
        (folder / "scores.yaml").unlink()
    path = tmp_path / "gold.jsonl"
    path.write_text('{"id": "x", "gold": "refund", "gold_kind": "label"}\n')
    assert gold_scores.measure(home, home.dataset(None), path, {}) == {}
