"""`kill -9` at any moment of a training run: it continues, and ends with the same adapter to the bit."""

import filecmp
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline import dataset as datasets
from pipeline import train
from pipeline.train import base_models, job
from pipeline.train.config import EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from tests.fakes import killed_training, task_datasets, tiny_models
from tests.fakes.killed_training import Moment
from traffic.artifacts import Home

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's and torch's own
]

WEIGHTS = "adapter/adapter_model.safetensors"
Start = Callable[..., job.Job]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with pytest.MonkeyPatch.context() as patch:
        # Two threads wait for each other longer than a tiny matrix takes.
        for name, value in {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}.items():
            patch.setenv(name, value)
        yield Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def dataset(home: Home) -> Path:
    return task_datasets.make(home.datasets, train=64, others=8)


@pytest.fixture(scope="module")
def start(home: Home, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A job of 3 epochs of 8 steps with a checkpoint every 4, in a folder of its own."""
    base = tiny_models.make(tmp_path_factory.mktemp("models") / "llama", "llama")

    def make(processes: int = 1, *, at: Home | None = None, **changes: object) -> job.Job:
        config = TrainConfig(
            model=ModelConfig(name="tiny/llama", path=str(base), licence="none"),
            # Dropout draws from the random state that a checkpoint has to bring back.
            lora=LoraConfig(rank=8, alpha=16, dropout=0.1),
            epochs=3,
            batch_size=8 // processes,
            effective_batch=8,
            gradient_checkpointing=False,
            evaluation=EvaluationConfig(per_epoch=2, patience=changes.pop("patience", 3)),
            processes=processes,
            device="cpu",
            parity_items=2,
            **({"learning_rate": 5e-3} | changes),
        )
        place = at or Home(tmp_path_factory.mktemp("runs"))
        card = datasets.load(dataset)
        folder = train.folder_of(config, card, place, processes)
        folder.mkdir(parents=True, exist_ok=True)
        weights = base_models.resolve(config.model, place)
        return train.job_of(config, card, dataset, weights, folder, "cpu", processes)

    return make


def result_of(work: job.Job) -> job.Result:
    result = job.finished(work.folder, work)
    assert result is not None
    return result


def same_adapter(one: job.Job, other: job.Job) -> bool:
    return filecmp.cmp(one.folder / WEIGHTS, other.folder / WEIGHTS, shallow=False)


def test_a_run_killed_six_times_gives_the_same_adapter(start, dataset, tmp_path):
    whole, home = start(), Home(tmp_path)
    killed_training.run(whole)
    work = start(at=home)
    killed = {
        # 3 phases, then two lines a step: in step 3, with nothing to continue from.
        Moment("progress.jsonl", 8): None,
        # The second checkpoint has all its files but the last.
        Moment("checkpoint-8/trainer_state.json"): 4,
        # It has its weights only.
        Moment("checkpoint-8/README.md"): 4,
        # Between two steps, in the middle of the second epoch.
        Moment("progress.jsonl", 23): 12,
        # Trained, and the adapter half written.
        Moment("/adapter/.adapter_config.json"): 24,
        # Trained and checked, but the result not yet in place.
        Moment("/.result.json"): 24,
    }
    for moment, reached in killed.items():
        killed_training.run(work, moment)
        found = job.last_checkpoint(work.folder, 1)
        assert (found and found[0]) == reached, moment
    killed_training.run(work)
    assert same_adapter(work, whole)
    ended, undisturbed = result_of(work), result_of(whole)
    assert (ended.steps, ended.best_step, ended.best_eval_loss) == (
        undisturbed.steps,
        undisturbed.best_step,
        undisturbed.best_eval_loss,
    )
    assert (ended.resumed_from, undisturbed.resumed_from) == (24, None)

    # The stage was killed before it published: the next one has nothing to train.
    log = (work.folder / "train.log").stat().st_size
    published = train.run(work.config, dataset, home=home)
    assert (work.folder / "train.log").stat().st_size == log
    assert filecmp.cmp(published.path / "adapter_model.safetensors", whole.folder / WEIGHTS, shallow=False)
    assert published.metrics["examples_per_second"] == 0
    assert not list(work.folder.glob("checkpoint-*"))


def test_two_processes_killed_inside_an_epoch_continue_with_the_same_examples(start):
    whole, work = start(2), start(2)
    killed_training.run(whole)
    killed_training.run(work, Moment("checkpoint-16/trainer_state.json"))
    found = job.last_checkpoint(work.folder, 2)
    assert found is not None
    assert found[0] == 12
    killed_training.run(work)
    assert result_of(work).resumed_from == 12
    assert same_adapter(work, whole)


def test_an_adapter_of_a_4_bit_base_is_the_same_after_a_kill(start):
    whole, work = start(quantization="nf4"), start(quantization="nf4")
    killed_training.run(whole)
    killed_training.run(work, Moment("checkpoint-16/trainer_state.json"))
    killed_training.run(work)
    assert result_of(work).resumed_from == 12
    assert same_adapter(work, whole)


def test_an_early_stopped_run_is_not_continued(start):
    # Nothing is learned, so that the second validation is no better on any machine.
    settings = {"patience": 1, "learning_rate": 1e-12, "schedule": "constant_with_warmup"}
    whole, work = start(**settings), start(**settings)
    killed_training.run(whole)
    assert result_of(whole).steps < 24
    killed_training.run(work, Moment("/adapter/.adapter_config.json"))
    killed_training.run(work)
    assert result_of(work).steps == result_of(whole).steps
    assert same_adapter(work, whole)
