"""Training, for real: `accelerate launch`, TRL, PEFT and bitsandbytes on tiny random-weight models."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from pipeline import tracking, train
from pipeline.train import plan
from pipeline.train.config import CONFIGS, EvaluationConfig, LoraConfig, ModelConfig, TrainConfig
from pipeline.train.job import EventReader
from tests.fakes import task_datasets, tiny_models
from traffic import adapters, config
from traffic.artifacts import Home
from traffic.errors import ModelUnavailable, TrainingFailed, Unsupported

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # mlflow's and torch's own
]

STEPS = 24


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One home for all runs: making MLflow's database takes longer than a tiny training."""
    with pytest.MonkeyPatch.context() as patch:
        # Two threads wait for each other longer than a tiny matrix takes.
        patch.setenv("OMP_NUM_THREADS", "1")
        yield Home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def dataset(home: Home) -> Path:
    return task_datasets.make(home.datasets, train=8 * STEPS // 3, others=8)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {kind: tiny_models.make(root / kind, kind) for kind in ("llama", "qwen2")}


@pytest.fixture(scope="module")
def configure(models: dict[str, Path]) -> Callable[..., TrainConfig]:
    def make(kind: str, quantization: str, processes: int) -> TrainConfig:
        return TrainConfig(
            model=ModelConfig(name=f"tiny/{kind}", path=str(models[kind]), licence="none"),
            lora=LoraConfig(rank=8, alpha=16),
            quantization=quantization,
            epochs=3,
            learning_rate=5e-3,
            batch_size=8 // processes,
            effective_batch=8,
            gradient_checkpointing=kind == "qwen2",
            evaluation=EvaluationConfig(per_epoch=2),
            processes=processes,
            device="cpu",
            parity_items=4,
        )

    return make


@pytest.fixture(scope="module")
def trained(home: Home, dataset: Path, configure: Callable[..., TrainConfig]) -> Callable[..., train.TrainSummary]:
    """Summary of a run; each is trained once and then found again by the stage itself."""
    done: dict[tuple[object, ...], train.TrainSummary] = {}

    def get(*arm: object) -> train.TrainSummary:
        if arm not in done:
            done[arm] = train.run(configure(*arm), dataset, home=home)
        return done[arm]

    return get


def events(summary: train.TrainSummary, kind: str) -> list[tuple[int, dict[str, float]]]:
    return [(event.step, event.metrics) for event in EventReader(summary.log.parent).new() if event.kind == kind]


@pytest.mark.parametrize(
    "arm",
    [("llama", "none", 1), ("qwen2", "none", 2), ("qwen2", "nf4", 1), ("llama", "nf4", 2)],
    ids=lambda arm: "-".join(map(str, arm)),
)
def test_lora_and_qlora_learn_on_llama_and_qwen2_in_one_process_and_two(trained, home, dataset, arm):
    summary = trained(*arm)
    losses = [metrics["eval_loss"] for _, metrics in events(summary, "eval")]
    assert len(losses) == 6
    assert losses[-1] < 0.7 * losses[0]
    assert summary.metrics["eval_loss"] == pytest.approx(min(losses))
    assert summary.metrics["steps"] == STEPS

    adapter = adapters.load(summary.path)
    assert adapter.name == summary.path.name == summary.adapter
    assert (adapter.task, adapter.dataset, adapter.rank) == ("support.intent", dataset.name, 8)
    assert adapter.call_sites["support.intent"].checks.labels == task_datasets.LABELS
    assert adapter.base_model.revision.startswith("sha256:")
    peft = json.loads((summary.path / "adapter_config.json").read_text())
    assert peft["base_model_name_or_path"] == f"tiny/{arm[0]}"
    assert {"q_proj", "down_proj"} <= set(peft["target_modules"])
    assert "lm_head" not in peft["target_modules"]
    assert summary.adapter in "\n".join(summary.lines())
    assert not list(summary.log.parent.glob("checkpoint-*"))

    mlflow = tracking.configure(home)
    run = mlflow.get_run(summary.mlflow_run)
    assert run.info.status == "FINISHED"
    assert run.data.params["lora.rank"] == "8"
    assert run.data.params["quantization"] == arm[1]
    assert run.data.tags["stage"] == "train"
    assert run.data.tags["dataset"] == dataset.name
    assert run.data.metrics["final.eval_loss"] == pytest.approx(summary.metrics["eval_loss"])
    listed = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="adapter")
    artifacts = {Path(item.path).name for item in listed}
    assert {"adapter.yaml", "parity.jsonl", "adapter_model.safetensors", "README.md"} <= artifacts
    logged = mlflow.artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="dataset")
    assert [item.path for item in logged] == ["dataset/dataset.yaml"]


@pytest.mark.parametrize("arm", [("llama", "none", 1), ("qwen2", "nf4", 1)], ids=lambda arm: "-".join(map(str, arm)))
def test_the_saved_adapter_reloads_on_the_bfloat16_base_and_reproduces_parity(trained, models, arm):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    summary = trained(*arm)
    tokenizer = AutoTokenizer.from_pretrained(summary.path)
    base = AutoModelForCausalLM.from_pretrained(models[arm[0]], dtype=torch.bfloat16)
    model = PeftModel.from_pretrained(base, summary.path, autocast_adapter_dtype=False).eval()
    items = adapters.load_parity(summary.path)
    assert len(items) == 4
    for item in items:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([item.prompt_ids + item.completion_ids])).logits[0].float()
        logprobs = logits.log_softmax(-1)[len(item.prompt_ids) - 1 : -1]
        again = [float(logprobs[i, token]) for i, token in enumerate(item.completion_ids)]
        assert again == pytest.approx(item.logprobs, abs=0.05)
        assert all(margin >= 0 for margin in item.margins)
        assert len(item.margins) == len(item.base_logprobs) == len(item.completion_ids)
        assert "intent" in tokenizer.decode(item.prompt_ids)
    apart = [abs(a - b) for item in items for a, b in zip(item.logprobs, item.base_logprobs, strict=True)]
    assert max(apart) > 1.0


@pytest.mark.filterwarnings("ignore")  # of the trainer's own libraries, which otherwise run in a process of their own
def test_on_a_cpu_loss_and_gradient_equal_trls(trained, tmp_path):
    import datasets
    import torch
    from trl import SFTTrainer

    from pipeline.train import chat, entry, job, rows
    from pipeline.train import trainer as trainer_

    work = msgspec.structs.replace(job.load_job(trained("llama", "none", 1).log.parent / "job.json"), run=str(tmp_path))
    tokenizer = chat.load_tokenizer(work.base)
    loaded = rows.load(Path(work.dataset), work.config, tokenizer)["train"].rows
    data = datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in loaded])
    trainer = trainer_.Trainer(
        model=entry.load_base(work, quantised=False),
        args=entry.sft_config(work, len(data)),
        train_dataset=data,
        eval_dataset=data,
        processing_class=tokenizer,
        peft_config=entry.lora_config(work.config, work.base),
    )
    batch = trainer.data_collator([data[n] for n in range(8)])
    assert len({len(data[n]["input_ids"]) for n in range(8)}) > 1

    def loss_and_gradient(compute_loss: Callable[..., torch.Tensor]) -> tuple[float, torch.Tensor]:
        trainer.model.zero_grad()
        inputs = {key: value.clone() for key, value in batch.items()}
        with trainer.compute_loss_context_manager():
            loss = compute_loss(trainer, trainer.model, inputs, False, 100)
        loss.backward()
        found = [weight.grad.flatten() for weight in trainer.model.parameters() if weight.grad is not None]
        return loss.item(), torch.cat(found)

    ours, gradient = loss_and_gradient(trainer_.Trainer.compute_loss)
    theirs, expected = loss_and_gradient(SFTTrainer.compute_loss)
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert float((gradient - expected).norm() / expected.norm()) < 0.03
    assert trainer._metrics["train"]["mean_token_accuracy"][0] == trainer._metrics["train"]["mean_token_accuracy"][1]
    assert expected.norm() > 0


def test_two_processes_follow_the_loss_curve_of_one(trained, home, dataset, configure):
    two = trained("qwen2", "none", 2)
    one = train.run(configure("qwen2", "none", 1), dataset, home=home)
    for (step, left), (other_step, right) in zip(events(one, "eval"), events(two, "eval"), strict=True):
        assert step == other_step
        # The same examples per step; what differs is the order of bfloat16 sums.
        assert left["eval_loss"] == pytest.approx(right["eval_loss"], rel=0.02)


def test_a_killed_run_continues_to_the_same_adapter(trained, dataset, configure, tmp_path):
    whole = trained("llama", "none", 1)
    chosen = configure("llama", "none", 1)
    other = Home(tmp_path)
    (tmp_path / "config.yaml").write_text(config.dump(chosen))
    script = (
        "import sys; from pathlib import Path; from pipeline import train; from traffic import config;"
        "from traffic.artifacts import Home; from pipeline.train.config import TrainConfig;"
        "train.run(config.load(Path(sys.argv[1]), TrainConfig), Path(sys.argv[2]), home=Home(Path(sys.argv[3])))"
    )
    with (tmp_path / "stage.log").open("wb") as log:
        stage = subprocess.Popen(
            [sys.executable, "-c", script, tmp_path / "config.yaml", dataset, other.root],
            stdout=log,
            stderr=log,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        folder = other.runs / whole.log.parent.name
        reader = EventReader(folder)
        reached = 0
        while reached < STEPS // 2 + 3:
            assert stage.poll() is None, (tmp_path / "stage.log").read_text()
            with contextlib.suppress(subprocess.TimeoutExpired):
                stage.wait(0.1)
            reached = max([reached, *(event.step for event in reader.new())])
        stage.send_signal(signal.SIGKILL)
        stage.wait()

    resumed = train.run(chosen, dataset, home=other)
    assert resumed.resumed_from is not None
    assert STEPS // 2 <= resumed.resumed_from < STEPS
    assert resumed.adapter == whole.adapter
    weights = "adapter_model.safetensors"
    assert (resumed.path / weights).read_bytes() == (whole.path / weights).read_bytes()
    assert events(resumed, "eval")[-1][1]["eval_loss"] == events(whole, "eval")[-1][1]["eval_loss"]
    # The processes of the killed stage ended with it.
    job = str(folder / "job.json").encode()
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists() and job in p.read_bytes()]


def test_training_again_finds_the_existing_adapter(trained, home, dataset, configure):
    summary = trained("llama", "none", 1)
    again = train.run(configure("llama", "none", 1), dataset, home=home)
    assert again.reused
    assert again.adapter == summary.adapter
    assert "exists already" in again.lines()[0]


def test_a_weighted_row_occurs_in_its_share_of_the_epochs(home, configure):
    extra = tuple(task_datasets.row(900 + n) | {"weight": weight} for n, weight in enumerate([0.5] * 16 + [0.0] * 8))
    folder = task_datasets.make(home.datasets, train=16, task="support.weighted", extra=extra)
    chosen = msgspec.structs.replace(configure("llama", "none", 1), parity_items=1)
    summary = train.run(chosen, folder, home=home)
    # 16 whole rows and 16 halves: 24 examples an epoch, 3 steps of 8; the 8 rows without weight never come.
    assert (summary.metrics["examples"], summary.metrics["steps"]) == (32, 9)
    losses = [metrics["eval_loss"] for _, metrics in events(summary, "eval")]
    assert losses[-1] < losses[0]


def test_failed_training_is_reported_in_one_line_with_its_log(home, dataset, models, configure, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    for file in models["llama"].iterdir():
        (broken / file.name).write_bytes(file.read_bytes())
    (broken / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00notjson!")
    chosen = configure("llama", "none", 1)
    chosen = msgspec.structs.replace(chosen, model=ModelConfig(name="tiny/broken", path=str(broken)))
    with pytest.raises(TrainingFailed, match=r"SafetensorError.*log: .*train\.log") as raised:
        train.run(chosen, dataset, home=home)
    assert "\n" not in str(raised.value)
    mlflow = tracking.configure(home)
    (run,) = mlflow.search_runs(
        search_all_experiments=True, filter_string="attributes.status = 'FAILED'", output_format="list"
    )
    assert run.info.end_time is not None


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen2.5-7b", "smollm2-135m"])
def test_a_dry_run_needs_no_weights_and_agrees_with_the_meta_device(home, dataset, name):
    chosen = config.load(CONFIGS / f"{name}.yaml", TrainConfig)
    made = train.run(chosen, dataset, home=home, dry_run=True)
    assert isinstance(made, plan.Plan)
    assert made.checked_on_meta_device
    assert plan.meta_counts(chosen, chosen.model.architecture) == (made.parameters, made.lora_parameters)
    assert made.steps == math.ceil(math.ceil(made.shape.examples / 16) * chosen.epochs)
    assert made.shape.examples == 8 * STEPS // 3


@pytest.mark.parametrize("name", ["llama-3.1-8b", "qwen2.5-7b"])
def test_a_large_model_without_a_gpu_is_refused_and_names_the_model_that_runs_here(home, dataset, name):
    chosen = config.load(CONFIGS / f"{name}.yaml", TrainConfig, ["device=cpu"])
    with pytest.raises(Unsupported, match="smollm2-135m runs here"):
        train.run(chosen, dataset, home=home)


def test_missing_weights_are_an_error_with_a_remedy(home, dataset):
    chosen = TrainConfig(model=ModelConfig(name="tiny/gone", path="/nowhere"), device="cpu", batch_size=8)
    with pytest.raises(ModelUnavailable, match="/nowhere"):
        train.run(chosen, dataset, home=home)
