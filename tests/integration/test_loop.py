"""The whole loop as a user runs it: a log becomes a trained adapter of the real small LLM, scored beside its rivals.

One short real training of SmolLM2-135M and one real vLLM; every step is the `fasttier` command.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.logs import LABELS, litellm_lines, write_log

pytestmark = pytest.mark.models

ROOT = Path(__file__).resolve().parents[2]
TASK = "helpdesk.topic"


def fasttier(*arguments: str | Path, home: Path) -> dict[str, Any]:
    """Run a stage with --json; its summary."""
    command = [sys.executable, "-m", "cli", *map(str, arguments), "--home", str(home), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=800, cwd=home.parent)
    assert done.returncode == 0, done.stderr[-3000:]
    summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return summary


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a log of 1,600 requests and the task dataset of one call site."""
    folder = tmp_path_factory.mktemp("loop")
    log = write_log(folder / "log.jsonl.gz", litellm_lines(1600, seed=11))
    fasttier("ingest", log, home=folder / "home")
    fasttier("extract", "--task", TASK, "--set", "rights.confirmed=[openai]", home=folder / "home")
    return folder / "home"


@pytest.fixture(scope="module")
def trained(home: Path) -> dict[str, Any]:
    """The summary of a training of 32 steps."""
    settings = ("max_examples=128", "epochs=2", "batch_size=8", "effective_batch=8", "evaluation.max_examples=32")
    overrides = [word for setting in settings for word in ("--set", setting)]
    return fasttier("train", "--config", ROOT / "configs/train/smollm2-135m.yaml", *overrides, home=home)


@pytest.fixture(scope="module")
def evaluated(home: Path, trained: dict[str, Any]) -> dict[str, Any]:
    """Scores by candidate; vLLM is started by the command."""
    summary = fasttier("evaluate", "--dataset", TASK, "--limit", "24", home=home)
    return {scores["candidate"]: scores for scores in summary["scores"]}


def test_the_dataset_prunes_the_prompt_and_knows_its_labels(home: Path, trained: dict[str, Any]) -> None:
    import yaml

    card = yaml.safe_load((next((home / "datasets").glob(f"{TASK}@*")) / "dataset.yaml").read_text())
    assert set(card["call_sites"][TASK]["checks"]["labels"]) == set(LABELS)
    assert card["prompt_chars_pruned"] < card["prompt_chars_original"] / 5


def test_training_leaves_an_adapter_that_knows_its_prompts_and_can_be_checked(trained: dict[str, Any]) -> None:
    folder = Path(trained["path"])
    files = {path.name for path in folder.iterdir()}
    assert {"adapter.yaml", "parity.jsonl", "adapter_config.json", "adapter_model.safetensors"} <= files
    assert trained["metrics"]["examples"] == 128


def test_every_candidate_that_can_run_here_is_scored_with_an_interval(evaluated: dict[str, Any]) -> None:
    assert {"teacher", "classical", "adapter", "base"} <= set(evaluated)
    for scores in evaluated.values():
        accuracy = scores["metrics"]["accuracy"]
        assert accuracy["interval"]["low"] <= accuracy["value"] <= accuracy["interval"]["high"]
        assert scores["n"] == 24
        assert scores["failed"] == 0


def test_the_base_rival_answers_within_the_label_set(evaluated: dict[str, Any]) -> None:
    assert evaluated["base"]["metrics"]["format_ok"]["value"] == 1.0


def test_the_adapter_learned_the_task_in_a_minute(evaluated: dict[str, Any]) -> None:
    chance = 1 / len(LABELS)
    assert evaluated["adapter"]["metrics"]["accuracy"]["interval"]["low"] > chance


def test_mlflow_holds_the_training_and_one_run_per_candidate(home: Path, evaluated: dict[str, Any]) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("fasttier")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    trained = [run.data.tags.get("kind", "adapter") for run in runs if run.data.tags["stage"] == "train"]
    assert sorted(trained) == ["adapter", "classical"]
    scored = {run.data.tags["candidate"]: run.data.metrics for run in runs if run.data.tags["stage"] == "evaluate"}
    assert set(scored) == set(evaluated)
    for metrics in scored.values():
        assert {"accuracy", "accuracy_low", "accuracy_high", "latency_p50_ms", "n"} <= set(metrics)
