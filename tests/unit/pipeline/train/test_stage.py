"""pipeline/train/__init__.py: what a run continues from, and what it says at its end."""

from pathlib import Path

import msgspec
import pytest

from pipeline import train
from pipeline.train import job
from pipeline.train.config import ModelConfig, TrainConfig
from tests.fakes import checkpoints

PACKED = TrainConfig(model=ModelConfig(name="tiny"), packing=True, attention="flash_attention_2")


def a_job(folder: Path, **changes: object) -> job.Job:
    work = job.Job(PACKED, "/base", "tiny", "sha256:0", "/data", str(folder), "cuda", 1, 16)
    return msgspec.structs.replace(work, **changes)


def test_a_run_continues_from_its_checkpoint(tmp_path: Path):
    train.prepare(a_job(tmp_path))
    checkpoints.make(tmp_path, 4)
    train.prepare(a_job(tmp_path))
    assert job.last_checkpoint(tmp_path, 1) == (4, tmp_path / "checkpoint-4")


def test_a_run_continues_where_its_weights_moved(tmp_path: Path):
    train.prepare(a_job(tmp_path))
    checkpoints.make(tmp_path, 4)
    moved = msgspec.structs.replace(PACKED, model=ModelConfig(name="tiny", path="/other"))
    train.prepare(a_job(tmp_path, config=moved, base="/other"))
    assert job.last_checkpoint(tmp_path, 1) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"config": PACKED.resolved(flash_attention=False, kernels=False)},
        {"device": "cpu"},
        {"base_revision": "sha256:1"},
    ],
    ids=["packages", "device", "weights"],
)
def test_a_run_that_is_done_otherwise_here_starts_anew(tmp_path: Path, changes: dict[str, object]):
    train.prepare(a_job(tmp_path))
    checkpoints.make(tmp_path, 4)
    train.prepare(a_job(tmp_path, **changes))
    assert job.last_checkpoint(tmp_path, 1) is None


def test_the_summary_counts_the_rows_that_were_left_out_and_says_why():
    metrics = "examples epochs steps best_step eval_loss eval_token_accuracy seconds examples_per_second".split()
    summary = train.TrainSummary(
        adapter="desk@1",
        path=Path("adapters"),
        base_model="tiny",
        dataset="desk@2",
        metrics=dict.fromkeys([*metrics, "supervised_tokens_per_second"], 1.0),
        too_long={"train": 3, "validation": 1},
        weightless={"train": 2, "validation": 0},
        max_length=64,
        resumed_from=None,
        reused=False,
        mlflow_run="run",
        log=Path("train.log"),
    )
    assert [line for line in summary.lines() if line.startswith("left out")] == [
        "left out    4 rows longer than max_length 64",
        "left out    2 rows of weight 0, of train and validation",
    ]
