"""Real commands, killed at each level of their process tree: no process is left, and the same command continues."""

import json
import signal
import socket
from pathlib import Path

import pytest
import yaml

from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from tests.fakes import task_datasets, tiny_models
from tests.fakes.logs import litellm_lines, write_log
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.process_trees import MarkedCommand, wait_for
from traffic import config
from traffic.artifacts import Home

pytestmark = pytest.mark.models

TERM, INT, HUP, KILL = signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL
ENTRY = "-m pipeline.train.entry"
LAUNCHER = "accelerate.commands.launch"
GUARD = "process_guard.py"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.make(tmp_path_factory.mktemp("models") / "tiny", "llama", hidden=256)


@pytest.fixture(scope="module")
def training(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training configuration that takes a few seconds."""
    settings = TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
        lora=LoraConfig(rank=8, alpha=16),
        batch_size=8,
        effective_batch=8,
        gradient_checkpointing=False,
        evaluation=EvaluationConfig(per_epoch=2),
        epochs=2,
        device="cpu",
        parity_items=2,
    )
    path = tmp_path_factory.mktemp("config") / "train.yaml"
    path.write_text(config.dump(settings))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """One for all runs of `train`: each continues what the one before had done."""
    home = Home(tmp_path_factory.mktemp("home"))
    task_datasets.make(home.datasets, train=64, others=8)
    return home


@pytest.mark.parametrize(
    "level, number, status",
    [
        ("train", TERM, 128 + TERM),
        ("train", INT, 128 + INT),
        ("train", HUP, 128 + HUP),
        ("train", KILL, -KILL),
        (GUARD, KILL, 2),
        (LAUNCHER, TERM, 2),
        (LAUNCHER, KILL, 2),
        (ENTRY, TERM, 2),
        (ENTRY, KILL, 2),
    ],
)
def test_training_leaves_no_process(
    level: str, number: signal.Signals, status: int, home: Home, training: Path, tmp_path: Path
) -> None:
    arguments = ("train", "--config", training, "--home", home.root)
    with MarkedCommand(*arguments, log=tmp_path / "log", env={"OMP_NUM_THREADS": "1"}) as command:
        command.wait_for(ENTRY)
        pid = command.process.pid if level == "train" else command.wait_for(level)
        assert command.kill(pid, number) == status, command.log_text()
    assert not list(home.adapters.glob("*"))


def test_the_training_command_continues_after_being_killed(home: Home, training: Path, tmp_path: Path) -> None:
    out = tmp_path / "summary.json"
    arguments = ("train", "--config", training, "--home", home.root, "--out", out)
    with MarkedCommand(*arguments, log=tmp_path / "log", env={"OMP_NUM_THREADS": "1"}) as command:
        assert command.process.wait(180) == 0, command.log_text()
        command.wait_until_gone()
    assert json.loads(out.read_bytes())["adapter"] == next(home.adapters.glob("*")).name


@pytest.mark.parametrize(
    "level, number, status",
    [
        ("calibrate", TERM, 128 + TERM),
        ("calibrate", KILL, -KILL),
        ("vllm.entrypoints", KILL, 2),
    ],
)
def test_calibration_ends_with_the_server_that_it_started(
    level: str, number: signal.Signals, status: int, home: Home, training: Path, tmp_path: Path
) -> None:
    with MarkedCommand("train", "--config", training, "--home", home.root, log=tmp_path / "train.log") as command:
        assert command.process.wait(180) == 0, command.log_text()  # at once where an earlier test trained it
    with MarkedCommand("calibrate", "--home", home.root, log=tmp_path / "log") as command:
        server = command.wait_for("vllm.entrypoints")
        pid = command.process.pid if level == "calibrate" else server
        assert command.kill(pid, number) == status, command.log_text()


@pytest.mark.parametrize("level, number, status", [("plan", TERM, 128 + TERM), ("plan", KILL, -KILL), (ENTRY, KILL, 2)])
def test_a_probe_ends_with_its_training(
    level: str, number: signal.Signals, status: int, home: Home, training: Path, tmp_path: Path
) -> None:
    arguments = ("plan", "--probe", "8", "--config", training, "--home", home.root)
    with MarkedCommand(*arguments, log=tmp_path / "log", env={"OMP_NUM_THREADS": "1"}) as command:
        entry = command.wait_for(ENTRY)
        pid = command.process.pid if level == "plan" else entry
        assert command.kill(pid, number) == status, command.log_text()


@pytest.mark.parametrize("number, status", [(TERM, 128 + TERM), (KILL, -KILL)])
def test_a_killed_batch_evaluation_fetches_its_batch_when_repeated(
    number: signal.Signals, status: int, tmp_path: Path
) -> None:
    home = Home(tmp_path / "home")
    task_datasets.make(home.datasets, train=8, others=8)
    price = "{input_mtok_usd: 1, output_mtok_usd: 1}"
    candidates, out = tmp_path / "candidates.yaml", tmp_path / "summary.json"
    with FakeOpenAI(answer=lambda body: task_datasets.LABELS[0]) as provider:
        hosted = (
            f"{{name: hosted, kind: openai, base_url: {provider.base_url}, model: small, mode: batch, price: {price}}}"
        )
        candidates.write_text(f"{{candidates: [{hosted}], latency_sample: 0, batch_poll_s: 1}}")
        arguments = ("evaluate", "--candidates", candidates, "--home", home.root, "--out", out)
        provider.batches.looks = 1_000_000
        with MarkedCommand(*arguments, log=tmp_path / "log") as command:
            wait_for(lambda: bool(provider.batches.created), "no batch was sent")
            assert command.kill(command.process.pid, number) == status, command.log_text()
        provider.batches.looks = 1
        with MarkedCommand(*arguments, log=tmp_path / "log") as command:
            assert command.process.wait(120) == 0, command.log_text()
            command.wait_until_gone()
        assert len(provider.batches.created) == 1
    assert json.loads(out.read_bytes())["scores"][0]["n"] == 8


def test_a_sweep_ends_with_its_trials(home: Home, training: Path, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep.yaml"
    space = "{learning_rate: {low: 4.0e-3, high: 6.0e-3}, rank: [8], epochs: [1]}"
    sweep.write_text(f"{{space: {space}, trials: 1, finalists: 1, seeds: 1, answers: 0}}")
    arguments = ("sweep", "--config", training, "--sweep", sweep, "--home", home.root)
    with MarkedCommand(*arguments, log=tmp_path / "log", env={"OMP_NUM_THREADS": "1"}) as command:
        command.wait_for(ENTRY)
        assert command.kill(command.process.pid, TERM) == 128 + TERM, command.log_text()


def test_the_loop_ends_with_all_its_stages_and_continues(base: Path, tmp_path: Path) -> None:
    shipped = yaml.safe_load((config.CONFIGS / "demo.yaml").read_text())
    shipped["traffic"] |= {"requests": 1200, "days": 6}
    shipped["tasks"] = [task for task in shipped["tasks"] if task["train"]]
    shipped["stages"]["train"] = [
        f"model={{name: tiny/llama, path: {base}, licence: none}}",
        *("lora.rank=8", "epochs=1", "max_examples=16", "batch_size=8", "effective_batch=8", "parity_items=2"),
        *("evaluation.per_epoch=1", "evaluation.max_examples=8"),
    ]
    (tmp_path / "demo.yaml").write_text(yaml.safe_dump(shipped))
    home = tmp_path / "home"
    arguments = ("loop", "--config", tmp_path / "demo.yaml", "--home", home)

    def run() -> MarkedCommand:
        return MarkedCommand(*arguments, log=tmp_path / "log")

    with run() as loop:
        loop.wait_for(ENTRY, 240)
        assert loop.kill(loop.process.pid, TERM) == 128 + TERM, loop.log_text()
    with run() as loop:
        loop.wait_for(ENTRY, 240)
        assert loop.kill(loop.wait_for("-m cli train"), KILL) == 2, loop.log_text()
    with run() as loop:
        loop.wait_for("vllm.entrypoints", 240)
        assert loop.kill(loop.process.pid, KILL) == -KILL
    assert len(list(Home(home).adapters.glob("*"))) == 1


@pytest.mark.parametrize("number, status", [(TERM, 128 + TERM), (KILL, -KILL)])
def test_the_loop_ends_with_the_fetch_of_its_base_model(number: signal.Signals, status: int, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = {
            "HF_HUB_OFFLINE": "1",
            "PIP_INDEX_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/simple",
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path),
        }
        with MarkedCommand("loop", "--home", tmp_path / "home", log=tmp_path / "log", env=env) as loop:
            loop.wait_for("pip download")
            assert loop.kill(loop.process.pid, number) == status, loop.log_text()
    if number is TERM:
        assert not list(tmp_path.glob("fasttier-*"))


@pytest.mark.parametrize("number", [TERM, KILL])
def test_ingest_ends_with_its_workers_and_continues(number: signal.Signals, tmp_path: Path) -> None:
    lines = litellm_lines(2000, retries=0) * 10
    log = write_log(tmp_path / "requests.jsonl", lines)
    out = tmp_path / "summary.json"
    arguments = ("ingest", log, "--home", tmp_path / "home", "--out", out)
    with MarkedCommand(*arguments, log=tmp_path / "log") as command:
        command.wait_for("spawn_main")
        expected = -number if number is KILL else 128 + number
        assert command.kill(command.process.pid, number) == expected, command.log_text()
    with MarkedCommand(*arguments, log=tmp_path / "log") as command:
        assert command.process.wait(120) == 0, command.log_text()
        command.wait_until_gone()
    assert json.loads(out.read_bytes())["read"] == len(lines)
