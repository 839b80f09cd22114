"""The whole stage, with candidates that need no server: scored, skipped and stored ones."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import dataset as datasets
from pipeline import evaluate
from pipeline.evaluate import EvaluateSummary
from pipeline.evaluate.config import AdapterConfig, BaseConfig, CandidatesConfig, ClassicalConfig, TeacherConfig
from tests.fakes import task_datasets
from traffic.artifacts import Home

TEACHER, CLASSICAL = TeacherConfig(name="teacher"), ClassicalConfig(name="classical")


pytestmark = pytest.mark.slow


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    task_datasets.make(home.datasets, train=24, others=12)
    return home


def run(home: Home, **config: Any) -> EvaluateSummary:
    # The classical candidate first: it would be what the others are compared with, if it could be asked.
    chosen = CandidatesConfig(candidates=(CLASSICAL, TEACHER), **config)
    return evaluate.run(home.dataset(None), chosen, home=home, endpoints={})


def test_a_classifier_without_training_data_is_skipped(home: Home) -> None:
    folder = home.dataset(None)
    for split in ("train", "validation"):
        table = datasets.read_split(folder, split)
        rows = [row for row in table.to_pylist() if row["completion"][0]["content"] == "delivery"]
        pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), folder / f"{split}.parquet")
    summary = run(home)
    assert [scores.candidate for scores in summary.scores] == ["teacher"]
    assert list(summary.skipped) == ["classical"]
    assert "support.intent" in summary.skipped["classical"]


def test_timings_of_another_machine_are_not_reused(home: Home) -> None:
    machines = ("cpu-2core", "cpu-2core", "l4-aws")
    summaries = [run(home, cpu_machine=name) for name in machines]
    assert [summary.scores[0].candidate for summary in summaries] == ["classical"] * 3
    assert summaries[0].folders["classical"] == summaries[1].folders["classical"] != summaries[2].folders["classical"]
    assert len(list((home.runs / "evaluate").glob("classical@*/answers.jsonl"))) == 2


def test_own_models_are_skipped_until_the_task_has_an_adapter(home: Home) -> None:
    chosen = CandidatesConfig(candidates=(TEACHER, AdapterConfig(name="adapter"), BaseConfig(name="base")))
    summary = evaluate.run(home.dataset(None), chosen, home=home, endpoints={})
    assert [scores.candidate for scores in summary.scores] == ["teacher"]
    assert list(summary.skipped) == ["adapter", "base"]
