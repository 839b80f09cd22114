"""FSDP2 with two processes on a CPU (gloo): the loss curve of one process, from the shipped accelerate files."""

import filecmp
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline import dataset as datasets
from pipeline import train
from pipeline.train import base_models, job, launch
from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from tests.fakes import killed_training, task_datasets, tiny_models
from tests.fakes.killed_training import Moment
from traffic.artifacts import Home

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's and torch's own
]

TOLERANCE = 0.02
"""Relative, of each validation loss: the same examples per step; what differs is the order of bfloat16 sums."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}.items():
            patch.setenv(name, value)
        yield Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> TrainConfig:
    base = tiny_models.make(tmp_path_factory.mktemp("models") / "llama", "llama")
    return TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
        lora=LoraConfig(rank=8, alpha=16),
        epochs=2,
        learning_rate=5e-3,
        effective_batch=8,
        gradient_checkpointing=False,
        evaluation=EvaluationConfig(per_epoch=2),
        device="cpu",
        parity_items=2,
    )


@pytest.fixture(scope="module")
def dataset(home: Home) -> Path:
    return task_datasets.make(home.datasets, train=64, others=8)


def begin(config: TrainConfig, dataset: Path, place: Home) -> job.Job:
    card, processes = datasets.load(dataset), config.processes or 1
    folder = train.folder_of(config, card, place, processes)
    folder.mkdir(parents=True)
    weights = base_models.resolve(config.model, place)
    return train.job_of(config, card, dataset, weights, folder, "cpu", processes)


def environment(work: job.Job) -> dict[str, str]:
    """What `accelerate launch` itself makes of our command line for this job."""
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser
    from accelerate.utils.launch import prepare_multi_gpu_env

    dtype = work.compute_dtype
    place = work.folder / "job.json"
    command = launch.command(place, work.config, device="cpu", processes=work.processes, compute_dtype=dtype)
    arguments, *_ = _validate_launch_command(launch_command_parser().parse_args(command[2:]))
    made = prepare_multi_gpu_env(arguments)
    return {name: value for name, value in made.items() if name.startswith(("FSDP_", "ACCELERATE_"))}


def losses(work: job.Job) -> list[float]:
    return [event.metrics["eval_loss"] for event in job.EventReader(work.folder).new() if event.kind == "eval"]


def check_curve(one: job.Job, two: job.Job) -> None:
    assert len(losses(one)) == 4
    assert losses(one)[-1] < 0.9 * losses(one)[0]
    assert losses(two) == pytest.approx(losses(one), rel=TOLERANCE)
    assert (two.folder / "adapter" / "parity.jsonl").is_file()
    # It was sharded: a checkpoint holds each process's part, and the adapter whole.
    (checkpoint, *_) = two.folder.glob("checkpoint-*")
    parts = {path.name for path in (checkpoint / "pytorch_model_fsdp_0").iterdir()}
    assert {"__0_0.distcp", "__1_0.distcp"} <= parts
    assert (checkpoint / "adapter_model.safetensors").is_file()


@pytest.fixture(scope="module")
def two(dataset: Path, settings: TrainConfig, tmp_path_factory: pytest.TempPathFactory) -> job.Job:
    """A sharded run. Activations are recomputed in it, which must not change what it learns."""
    chosen = msgspec.structs.replace(settings, batch_size=4, processes=2, sharding="fsdp2", gradient_checkpointing=True)
    work = begin(chosen, dataset, Home(tmp_path_factory.mktemp("two")))
    killed_training.run(work, environment=environment(work))
    return work


def test_a_sharded_run_follows_the_loss_curve_of_one_process(two, dataset, settings, tmp_path):
    one = begin(msgspec.structs.replace(settings, batch_size=8, processes=1), dataset, Home(tmp_path))
    killed_training.run(one)
    check_curve(one, two)


def test_a_sharded_run_on_a_base_in_4_bits_follows_the_loss_curve_of_one_process(dataset, settings, tmp_path):
    settings = msgspec.structs.replace(settings, quantization="nf4")
    one = begin(msgspec.structs.replace(settings, batch_size=8, processes=1), dataset, Home(tmp_path / "one"))
    two = msgspec.structs.replace(settings, batch_size=4, processes=2, sharding="fsdp2")
    two = begin(two, dataset, Home(tmp_path / "two"))
    killed_training.run(one)
    killed_training.run(two, environment=environment(two))
    check_curve(one, two)


def test_a_sharded_run_that_was_killed_continues_to_the_same_adapter(two, dataset, tmp_path):
    work = begin(two.config, dataset, Home(tmp_path))
    killed_training.run(work, Moment("checkpoint-16/trainer_state.json"), environment=environment(work))
    found = job.last_checkpoint(work.folder, 2)
    assert found is not None
    assert found[0] == 12
    killed_training.run(work, environment=environment(work))
    weights = "adapter/adapter_model.safetensors"
    assert filecmp.cmp(work.folder / weights, two.folder / weights, shallow=False)
