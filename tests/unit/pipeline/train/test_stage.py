"""pipeline/train/__init__.py: resuming, and the final messages."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from pipeline import train
from pipeline.train import artefact, job, publication
from pipeline.train.config import ModelConfig, TrainConfig
from tests.fakes import checkpoints, task_datasets
from traffic.artifacts import Home
from traffic.errors import ModelUnavailable

PACKED = TrainConfig(model=ModelConfig(name="tiny"), packing=True, attention="flash_attention_2")


def a_job(folder: Path, **changes: object) -> job.Job:
    work = job.Job(PACKED, "/base", "tiny", "sha256:0", "/data", str(folder), "cuda", 1, 16)
    return msgspec.structs.replace(work, **changes)


def test_a_run_continues_from_its_checkpoint(tmp_path: Path):
    train.prepare(a_job(tmp_path))
    checkpoints.make(tmp_path, 4)
    train.prepare(a_job(tmp_path))
    assert job.last_checkpoint(tmp_path, 1) == (4, tmp_path / "checkpoint-4")


def test_a_run_continues_with_moved_base_weights(tmp_path: Path):
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
        {"compute_dtype": "float32"},
        {"base_revision": "sha256:1"},
    ],
    ids=["packages", "device", "dtype", "weights"],
)
def test_a_run_with_other_settings_starts_again_with_a_message(tmp_path: Path, changes: dict[str, object]):
    announced: list[str] = []
    train.prepare(a_job(tmp_path))
    checkpoints.make(tmp_path, 4)
    train.prepare(a_job(tmp_path, **changes), announced.append)
    assert job.last_checkpoint(tmp_path, 1) is None
    assert len(announced) == 1


def test_a_run_without_checkpoints_starts_again_silently(tmp_path: Path):
    announced: list[str] = []
    train.prepare(a_job(tmp_path))
    train.prepare(a_job(tmp_path, compute_dtype="float32"), announced.append)
    assert announced == []


def test_untested_code_paths_are_named(tmp_path: Path):
    gpu = a_job(tmp_path, config=msgspec.structs.replace(PACKED, quantization="nf4"))
    assert {"training on a GPU", "QLoRA on a GPU", "packing with flash_attention_2"} <= set(publication.untested(gpu))
    plain = TrainConfig(model=ModelConfig(name="tiny"), quantization="nf4")
    assert publication.untested(a_job(tmp_path, config=plain, device="cpu")) == ()


def test_recipes_of_earlier_versions_keep_their_hash():
    config = TrainConfig(model=ModelConfig(name="tiny"))
    assert "compute_dtype" not in artefact.recipe(config)
    assert artefact.recipe(msgspec.structs.replace(config, compute_dtype="float32"))["compute_dtype"] == "float32"


def test_the_summary_counts_removed_rows_by_reason():
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
        "left out    2 rows of weight 0 in train and validation",
    ]


def test_fetching_the_base_model_is_announced(tmp_path: Path):
    home, announced = Home(tmp_path), list[str]()
    dataset = task_datasets.make(home.datasets, train=16, others=8)
    settings = TrainConfig(model=ModelConfig(name="no/such/model"), device="cpu")
    with pytest.raises(ModelUnavailable):
        train.run(settings, dataset, home=home, announce=announced.append)
    assert ["no/such/model" in line for line in announced] == [True]


@pytest.mark.skipif(not importlib.metadata.version("torch").endswith("+cpu"), reason="this PyTorch may see a GPU")
def test_counting_gpus_does_not_import_a_pytorch_that_can_see_none():
    code = "import sys; from pipeline import train; print(train.visible_gpus(), 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "False"]
