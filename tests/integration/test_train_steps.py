"""Single steps of the real trainer on a tiny model: what one batch gives, and when a run stops."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.fakes import task_datasets, tiny_models
from traffic.errors import TrainingFailed

pytestmark = [
    pytest.mark.models,
    pytest.mark.filterwarnings(
        "ignore"
    ),  # of the trainer's own libraries, which otherwise run in a process of their own
]

SYSTEM = "Answer with one label. " + " ".join(f"Rule {n}: please classify message {n} as an order." for n in range(9))


@pytest.fixture
def trainer(tmp_path: Path) -> Any:
    """On 16 rows with a long system prompt, 8 a step."""
    import datasets

    from pipeline.train import chat, entry, job
    from pipeline.train import trainer as trainer_
    from pipeline.train.config import LoraConfig, ModelConfig, TrainConfig

    base = tiny_models.make(tmp_path / "base", "llama", hidden=32)
    config = TrainConfig(
        model=ModelConfig(name="tiny/llama", path=str(base)),
        lora=LoraConfig(rank=8, alpha=16),
        batch_size=8,
        effective_batch=8,
        gradient_checkpointing=False,
        device="cpu",
    )
    work = job.Job(
        config=config, base=str(base), base_name="tiny/llama", base_revision="", dataset="", run=str(tmp_path / "run"),
        device="cpu", processes=1, max_tokens=8,
    )  # fmt: skip
    tokenizer = chat.load_tokenizer(str(base))
    made = [task_datasets.row(n) for n in range(16)]
    encoded = [
        chat.encode(tokenizer, [{"role": "system", "content": SYSTEM}, row["prompt"][-1]], row["completion"])
        for row in made
    ]
    data = datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in encoded])
    return trainer_.Trainer(
        model=entry.load_base(work, quantised=False),
        args=entry.sft_config(work, len(data)),
        train_dataset=data,
        eval_dataset=data,
        processing_class=tokenizer,
        peft_config=entry.lora_config(config, str(base)),
    )


def loss_and_gradient(trainer: Any, batch: dict[str, Any]) -> tuple[float, Any]:
    import torch

    trainer.model.zero_grad()
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(trainer.model, {key: value.clone() for key, value in batch.items()}, False, 30)
    loss.backward()
    found = [weight.grad.flatten() for weight in trainer.model.parameters() if weight.grad is not None]
    return loss.item(), torch.cat(found)


def test_the_shared_prefix_gives_the_same_loss_and_gradient_as_padding(trainer):
    import torch

    for name, weights in trainer.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weights, std=0.05)
    rows = [trainer.train_dataset[n] for n in range(8)]
    shared = trainer.get_train_dataloader().collate_fn(rows)
    padded = trainer.data_collator(rows)
    assert shared["input_ids"].numel() < 0.4 * padded["input_ids"].numel()
    loss, gradient = loss_and_gradient(trainer, shared)
    expected_loss, expected = loss_and_gradient(trainer, padded)
    assert loss == pytest.approx(expected_loss, rel=1e-3)
    assert expected.norm() > 0
    assert float((gradient - expected).norm() / expected.norm()) < 0.03
    assert trainer._metrics["train"]["num_tokens"][0] == shared["input_ids"].numel() + padded["attention_mask"].sum()


def test_optimised_steps_give_the_same_loss_and_weights(trainer):
    import torch

    from pipeline.train import cpu_attention

    def trained(lean: bool) -> tuple[list[float], Any]:
        trainer.lean = lean
        trainer.model.set_attn_implementation("sdpa")
        for name, weights in trainer.model.named_parameters():
            if weights.requires_grad:
                torch.manual_seed(len(name))
                torch.nn.init.normal_(weights, std=0.05)
        trainer.state.log_history, trainer.optimizer, trainer.lr_scheduler = [], None, None
        trainer.train()
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        weights = [weights.detach().flatten() for weights in trainer.model.parameters() if weights.requires_grad]
        return losses, torch.cat(weights)

    casts: list[torch.dtype] = []
    attention: set[str] = set()
    rows_of_batches: set[int] = set()
    adapter = next(module for name, module in trainer.model.named_modules() if name.endswith("q_proj.lora_A.default"))

    def look(module: Any, inputs: Any) -> None:
        casts.append(inputs[0].dtype)
        attention.add(trainer.model.config._attn_implementation)
        rows_of_batches.add(inputs[0].shape[0])

    adapter.register_forward_pre_hook(look)
    lean_losses, lean = trained(True)
    assert set(casts) == {torch.bfloat16}
    assert attention == {cpu_attention.NAME}
    assert trainer.model.config._attn_implementation == "sdpa"
    # The rows share their beginning: one sequence each time, in this way of computing attention too.
    assert 1 in rows_of_batches
    casts.clear()
    losses, full = trained(False)
    assert set(casts) == {torch.float32}
    assert lean_losses == pytest.approx(losses, rel=1e-3)
    assert float((lean - full).norm() / full.norm()) < 0.01


def test_without_optimisations_batches_are_padded_and_the_loss_equals_trls(trainer):
    from trl import SFTTrainer

    rows = [trainer.train_dataset[n] for n in range(8)]
    fast, _ = loss_and_gradient(trainer, trainer.data_collator(rows))
    trainer.fast = trainer.share_prefix = False
    batch = trainer.get_train_dataloader().collate_fn(rows)
    assert batch["input_ids"].shape[0] == 8
    plain, _ = loss_and_gradient(trainer, batch)
    with trainer.compute_loss_context_manager():
        theirs = SFTTrainer.compute_loss(trainer, trainer.model, trainer.data_collator(rows), False, 30)
    assert plain == theirs.item()
    assert plain == pytest.approx(fast, rel=1e-3)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_nan_loss_stops_the_run_and_names_the_learning_rate(trainer, bad):
    import torch

    weights = next(weights for name, weights in trainer.model.named_parameters() if "lora_A" in name)
    with torch.no_grad():
        weights.fill_(bad)
    with pytest.raises(TrainingFailed, match=r"training loss is nan at step 1: lower learning_rate 0\.0002") as raised:
        trainer.train()
    assert "\n" not in str(raised.value)
    assert trainer.state.global_step == 0


def test_out_of_memory_during_training_is_reported_in_one_line(trainer, tmp_path):
    from pipeline.train import entry, job

    chosen = job.Job(
        config=msgspec.convert({"model": {"name": "tiny/llama"}}, entry.TrainConfig), base="", base_name="",
        base_revision="", dataset="", run=str(tmp_path), device="cpu", processes=1, max_tokens=8,
    )  # fmt: skip

    class Greedy(type(trainer.data_collator)):
        def torch_call(self, examples):
            import torch

            return {"input_ids": torch.zeros(2**50, dtype=torch.long)}

    trainer.share_prefix = False
    trainer.data_collator = Greedy(pad_token_id=0)
    with (
        pytest.raises(TrainingFailed, match="out of memory: lower batch_size"),
        entry.out_of_memory(chosen.config, "cpu"),
    ):
        trainer.train()


def test_measuring_the_speed_has_no_side_effects(trainer: Any) -> None:
    import torch

    from pipeline.train import time_budget

    before = {name: weight.clone() for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert time_budget.measure(trainer, 8) > 0
    after = {name: weight for name, weight in trainer.model.named_parameters() if weight.requires_grad}
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(weight.grad is None for weight in trainer.model.parameters())
    assert not trainer._metrics["train"]
    assert trainer.model.config._attn_implementation == "sdpa"


def test_only_the_top_layers_are_adapted_if_configured(trainer: Any) -> None:
    from pipeline.train import entry
    from pipeline.train.config import LoraConfig, ModelConfig, TrainConfig

    base = trainer.model.config._name_or_path
    lora = LoraConfig(rank=8, alpha=16, top_layers=1)
    settings = entry.lora_config(TrainConfig(model=ModelConfig(name="tiny/llama"), lora=lora), base)
    layers = trainer.model.config.num_hidden_layers
    assert list(settings.layers_to_transform) == [layers - 1]
