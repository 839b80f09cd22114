"""Training, serving and parity on a CPU without bfloat16 units: AVX2, imitated by the libraries' own variables."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.train import artefact, job
from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from serving import parity
from tests.fakes import task_datasets, tiny_models
from traffic import adapters, config
from traffic.artifacts import Home

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The machine without AVX-512, and an empty cache of measurements."""
    cache = tmp_path_factory.mktemp("cache")
    return os.environ | AVX2 | {"XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    made = Home(tmp_path_factory.mktemp("home"))
    task_datasets.make(made.datasets, train=64, others=8)
    return made


def fasttier(environment: dict[str, str], *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cli", *map(str, arguments)]


@pytest.fixture(scope="module")
def trained(home: Home, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Summary of a short training of a tiny model, the upper layer alone, within ten seconds."""
    folder = tmp_path_factory.mktemp("base")
    # Heads of 64, which vLLM's attention on a CPU can do.
    base = tiny_models.make(folder / "tiny", "llama", hidden=256)
    settings = TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
        lora=LoraConfig(rank=8, alpha=32, top_layers=1),
        epochs=8,
        learning_rate=2e-2,
        batch_size=8,
        effective_batch=8,
        gradient_checkpointing=False,
        evaluation=EvaluationConfig(per_epoch=1, max_examples=8),
        parity_items=8,
        max_seconds=10,
    )
    path = folder / "train.yaml"
    path.write_text(config.dump(settings), encoding="utf-8")
    command = fasttier(environment, "train", "--config", path, "--home", home.root, "--json")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary | {"stderr": done.stderr}


@pytest.fixture(scope="module")
def served(home: Home, trained: dict[str, Any], environment: dict[str, str]) -> Iterator[dict[str, Any]]:
    """Summary of `fasttier serve`, which has checked the adapter against its training."""
    command = fasttier(environment, "serve", trained["adapter"], "--home", home.root, "--json")
    process = subprocess.Popen(
        [*command, "--set", "max_model_len=512", "--set", "args=[--enforce-eager]"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()[-3000:] if process.stderr else ""
        yield json.loads(line)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def test_training_in_float32_is_reported(home: Home, trained: dict[str, Any]) -> None:
    card = adapters.load(home.adapters / trained["adapter"])
    assert card.compute_dtype == "float32"
    work = job.load_job(Path(trained["log"]).parent / "job.json")
    assert work.compute_dtype == "float32"
    assert trained["metrics"]["eval_loss"] > 0


def test_the_first_step_and_the_chosen_size_are_logged(trained: dict[str, Any]) -> None:
    lines = trained["stderr"].splitlines()
    assert any("step 1 of" in line and "examples/s" in line and "left" in line for line in lines)
    assert any("a second" in line for line in lines)


def test_only_the_top_layer_has_adapter_weights(home: Home, trained: dict[str, Any]) -> None:
    from safetensors import safe_open

    with safe_open(home.adapters / trained["adapter"] / artefact.WEIGHTS, "pt") as weights:
        layers = {name.split(".layers.")[1].split(".")[0] for name in weights.keys()}  # noqa: SIM118 - no mapping
    assert layers == {"1"}


def test_the_server_computes_in_float32_and_parity_holds_at_its_tighter_tolerance(served: dict[str, Any]) -> None:
    (report,) = served["checked"]
    assert (report["training_dtype"], report["serving_dtype"]) == ("float32", "float32")
    assert report["passed"], report["reasons"]
    assert report["tolerance"] < parity.HALF_PRECISION.largest


def test_a_run_with_another_dtype_starts_again(home: Home, trained: dict[str, Any]) -> None:
    from pipeline import train
    from tests.fakes import checkpoints

    folder = Path(trained["log"]).parent
    work = job.load_job(folder / "job.json")
    checkpoints.make(folder, 4)
    announced: list[str] = []
    train.prepare(msgspec.structs.replace(work, compute_dtype="bfloat16"), announced.append)
    assert job.last_checkpoint(folder, 1) is None
    assert len(announced) == 1
    assert "float32" in announced[0]
