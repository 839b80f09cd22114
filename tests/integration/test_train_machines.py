"""Two machines, here two commands on one: one process each over gloo, with the loss curve of a run of two processes."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline import dataset as datasets
from pipeline import train
from pipeline.train import base_models, job
from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from tests.fakes import killed_training, task_datasets, tiny_models
from traffic import config
from traffic.artifacts import Home

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch's own
]


@pytest.fixture
def settings(tmp_path: Path) -> TrainConfig:
    base = tiny_models.make(tmp_path / "model", "llama")
    return TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
        lora=LoraConfig(rank=8, alpha=16),
        epochs=1,
        learning_rate=5e-3,
        batch_size=4,
        effective_batch=8,
        gradient_checkpointing=False,
        evaluation=EvaluationConfig(per_epoch=2),
        processes=2,
        device="cpu",
        parity_items=2,
    )


def losses(folder: Path) -> list[float]:
    return [event.metrics["eval_loss"] for event in job.EventReader(folder).new() if event.kind == "eval"]


def of_two_processes(settings: TrainConfig, dataset: Path, home: Home) -> list[float]:
    folder = train.folder_of(settings, datasets.load(dataset), home, 2)
    folder.mkdir(parents=True)
    base = base_models.resolve(settings.model, home)
    killed_training.run(train.job_of(settings, datasets.load(dataset), dataset, base, folder, "cpu", 2))
    return losses(folder)


def start(arguments: list[Any], rank: int, port: int) -> "subprocess.Popen[str]":
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "NODE_RANK": str(rank)}
    return subprocess.Popen(
        [sys.executable, "-m", "cli", "train", *arguments],
        cwd=Path(__file__).parents[2],
        env=os.environ | place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_two_machines_train_like_two_processes(tmp_path: Path, settings: TrainConfig, monkeypatch: pytest.MonkeyPatch):
    # Two threads wait for each other longer than a tiny matrix takes.
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    home = Home(tmp_path / "home")
    dataset = task_datasets.make(home.datasets, train=48, others=8)
    expected = of_two_processes(settings, dataset, Home(tmp_path / "other"))
    (tmp_path / "train.yaml").write_text(config.dump(msgspec.structs.replace(settings, machines=2)))
    arguments = ["--config", tmp_path / "train.yaml", "--home", home.root, "--json"]
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    # The second one first: it waits.
    commands = [start(arguments, rank, port) for rank in (1, 0)]
    (second, second_error), (first, first_error) = (command.communicate(timeout=240) for command in commands)
    assert [command.returncode for command in commands] == [0, 0], first_error + second_error
    summary, part = json.loads(first.splitlines()[-1]), json.loads(second.splitlines()[-1])
    folder = Path(summary["log"]).parent
    assert len(expected) == 2
    assert losses(folder) == expected
    assert (Path(summary["path"]) / "adapter.yaml").is_file()
    assert (part["rank"], part["machines"], part["trained"]) == (1, 2, True)
    assert Path(part["log"]) == folder / "train-1.log"
