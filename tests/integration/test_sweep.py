"""A sweep as a user runs it: real trials on a tiny model, a real MLflow, and the winner published by `train`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import tracking, train
from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from tests.fakes import task_datasets, tiny_models
from traffic import config
from traffic.artifacts import Home

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's and torch's own
]

SWEEP = """
space: {learning_rate: {low: 4.0e-3, high: 6.0e-3}, rank: [8], epochs: [1], rslora: [true]}
trials: 1
finalists: 1
seeds: 1
answers: 6
"""


def test_the_sweeps_winner_is_published_without_retraining(tmp_path: Path):
    home = Home(tmp_path / "home")
    dataset = task_datasets.make(home.datasets, train=48, others=8)
    base = tiny_models.make(tmp_path / "model", "llama")
    settings = TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
        lora=LoraConfig(rank=8, alpha=16),
        batch_size=8,
        effective_batch=8,
        gradient_checkpointing=False,
        evaluation=EvaluationConfig(per_epoch=2),
        device="cpu",
        parity_items=2,
    )
    (tmp_path / "train.yaml").write_text(config.dump(settings))
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    arguments = ["--config", tmp_path / "train.yaml", "--sweep", tmp_path / "sweep.yaml", "--home", home.root, "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "cli", "sweep", *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["completed"], found["pruned"], found["failed"]) == (1, 0, 0)
    winner = config.load(Path(found["path"]), TrainConfig)
    assert winner.lora.rslora
    assert 4e-3 <= winner.learning_rate <= 6e-3
    assert found["finalists"][0]["settings"]["learning_rate"] == winner.learning_rate
    assert len(found["finalists"][0]["accuracies"]) == 1

    client = tracking.configure(home).MlflowClient()
    parent = client.get_run(found["mlflow_run"])
    assert parent.data.metrics["winner.eval_loss"] == pytest.approx(found["finalists"][0]["losses"][0])
    children = client.search_runs(
        [parent.info.experiment_id], filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}'"
    )
    # The trial, and the finalist on the same seed, which found the trial's result.
    assert sorted(run.info.run_name for run in children) == ["finalist 0, seed 0", "trial 0"]
    assert {run.info.status for run in children} == {"FINISHED"}
    finalist = next(run for run in children if "finalist" in run.info.run_name)
    assert finalist.data.metrics["final.accuracy"] == found["finalists"][0]["accuracies"][0]

    (log,) = home.runs.glob("train-*/train.log")
    size = log.stat().st_size
    published = train.run(winner, dataset, home=home)
    # Nothing was trained, nor anything else started.
    assert (published.log, log.stat().st_size) == (log, size)
    assert published.metrics["eval_loss"] == pytest.approx(found["finalists"][0]["losses"][0])
    assert (published.path / "parity.jsonl").is_file()
