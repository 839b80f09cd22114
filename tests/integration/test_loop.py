"""The whole loop as a user runs it: a log becomes a trained adapter and a classifier, scored, deployed and routed to.

One short real training of SmolLM2-135M and one real vLLM; every step but the router is the `fasttier` command.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo import commands
from tests.fakes.logs import LABELS, Attempt, attempts, litellm_lines, write_log
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import RunningRouter, client, endpoint, routing
from traffic.artifacts import Home
from traffic.record import Record

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


@pytest.fixture(scope="module")
def routed(home: Path, trained: dict[str, Any], evaluated: dict[str, Any]) -> list[Record]:
    """Tier 1 in the router's log of 24 requests: the adapter serves those of plan free, the classifier the others."""
    adapter, classifier = trained["adapter"], evaluated["classical"]["adapter"]
    root = Home(home)
    serve_adapter = (root, "serve", adapter, "--set", "engine=transformers", "--json")
    with (
        commands.running(*serve_adapter, marker="{", stream="stdout") as adapters,
        commands.running(root, "serve", classifier, "--json", marker="{", stream="stdout") as classifiers,
    ):
        for model, server, options in ((adapter, adapters, ("--cohort", "plan=free")), (classifier, classifiers, ())):
            url = json.loads(server.ready())["base_url"]
            fasttier("register", model, "--url", url, "--override", "a trial", *options, home=home)
        rules = [{"name": "own", "reason": "a test", "tier": 1, "when": {"call_site": TASK}}]
        # For what escalates: answers that are no label, texts unlike the training data.
        with (
            FakeOpenAI() as hosted,
            RunningRouter(routing([endpoint("standard", hosted.base_url)], rules=rules), root) as router,
            client(router) as asking,
        ):
            for sent in _requests(24):
                tags = {"call_site": TASK, "language": sent.language} | ({"plan": sent.plan} if sent.plan else {})
                messages: Any = sent.messages
                asking.chat.completions.create(model="gpt-4o", messages=messages, metadata=tags)
        return [record for record in router.log if record.tier == 1]


def _requests(count: int) -> list[Attempt]:
    """Requests of the call site that are not in the log."""
    return attempts(count, seed=12, call_sites=[TASK], retries=0.0)


def test_the_dataset_prunes_the_prompt_and_knows_its_labels(home: Path, trained: dict[str, Any]) -> None:
    import yaml

    card = yaml.safe_load((next((home / "datasets").glob(f"{TASK}@*")) / "dataset.yaml").read_text())
    assert set(card["call_sites"][TASK]["checks"]["labels"]) == set(LABELS)
    assert card["prompt_chars_pruned"] < card["prompt_chars_original"] / 5


def test_training_writes_an_adapter_with_templates_and_parity_items(trained: dict[str, Any]) -> None:
    folder = Path(trained["path"])
    files = {path.name for path in folder.iterdir()}
    assert {"adapter.yaml", "parity.jsonl", "adapter_config.json", "adapter_model.safetensors"} <= files
    assert trained["metrics"]["examples"] == 128


def test_every_available_candidate_is_scored_with_an_interval(evaluated: dict[str, Any]) -> None:
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


def test_mlflow_has_the_training_run_and_one_run_per_candidate(home: Path, evaluated: dict[str, Any]) -> None:
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


def test_the_routers_log_shows_the_adapter_and_the_classifier_serving(
    routed: list[Record], trained: dict[str, Any], evaluated: dict[str, Any]
) -> None:
    adapter, classifier = trained["adapter"], evaluated["classical"]["adapter"]
    served = [(record.status, record.cohort.get("plan"), record.adapter) for record in routed]
    assert served == [(200, sent.plan, adapter if sent.plan == "free" else classifier) for sent in _requests(24)]
    assert {record.adapter for record in routed} == {trained["adapter"], classifier}


def test_the_deployed_classifier_answers_within_the_label_set(routed: list[Record], evaluated: dict[str, Any]) -> None:
    answers = [record for record in routed if record.adapter == evaluated["classical"]["adapter"]]
    assert {record.output.text for record in answers} <= set(LABELS)
    assert all(0 < (record.confidence or 0) < 1 for record in answers)
