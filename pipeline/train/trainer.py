"""TRL's trainer with a resumable order of examples, and optimisations for short runs on a CPU."""

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin, PartialState
from peft.helpers import disable_input_dtype_casting
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from pipeline.train import cpu_attention
from pipeline.train.chat import IGNORED
from pipeline.train.job import Event, EventWriter
from pipeline.train.sampler import LengthGroupedSampler
from pipeline.train.shared_prefix import SharedPrefixCollator
from traffic.errors import TrainingFailed


class Trainer(SFTTrainer):
    """SFTTrainer whose order of examples depends on seed and epoch only, so that a resumed run repeats none.

    On a CPU it computes the loss from the completions' logits in one piece, a batch's common prefix once, and the
    attention of short rows as plain matrix products.
    """

    example_weights: Sequence[float] | None = None
    """Mean number of times each example occurs per epoch; None: once."""
    order: LengthGroupedSampler | None = None
    """Sampler of the training examples; None before the data loader exists."""
    fast: bool = True
    """False: TRL's own loss."""
    share_prefix: bool = True
    """Compute a batch's common prefix once (CPU)."""
    lean: bool = True
    """No casts before adapters; plain attention for short sequences (CPU)."""

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        if self.args.use_cpu and sharded():
            # accelerate shards on GPUs only and would silently not shard here; PyTorch can shard on CPUs.
            plugin = FullyShardedDataParallelPlugin()
            if self.args.mixed_precision != "no":
                plugin.set_mixed_precision(self.args.mixed_precision)
            self.accelerator.state.fsdp_plugin = plugin
            self.accelerator.state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
            self.is_fsdp_enabled = True

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        if not self.is_fsdp_enabled:
            super().save_model(output_dir, _internal_call)
            return
        model: Any = self.model
        # transformers would gather either nothing or the base model as well. All processes take part in this.
        adapter = {
            name.replace("_checkpoint_wrapped_module.", ""): weight.full_tensor()
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }
        if self.args.should_save:
            self._save(output_dir, state_dict=adapter)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        # TRL computes logits in tiles, and again in the backward pass, which suits a GPU's memory. Without its Triton
        # kernels that takes almost half of a small model's step.
        on_cpu = inputs["input_ids"].device.type == "cpu"
        if return_outputs or not self.fast or not on_cpu or "attention_mask" not in inputs:
            trl: Any = super()
            return trl.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.pop("labels")
        targets, positions = completion_targets(labels)
        logits = model(**inputs, use_cache=False, logits_to_keep=positions).logits
        total = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum")
        supervised = targets != IGNORED
        mode = "train" if model.training else "eval"
        # A batch with a four-dimensional mask has no padding.
        attended = (
            inputs["attention_mask"] if inputs["attention_mask"].dim() == 2 else torch.ones_like(inputs["input_ids"])
        )
        counts = torch.stack([supervised.sum(), ((logits.argmax(-1) == targets) & supervised).sum(), attended.sum()])
        valid, right, tokens = self.accelerator.gather_for_metrics(counts[None]).sum(0).tolist()
        self._metrics[mode]["mean_token_accuracy"].append(right / valid if valid else 0.0)
        if mode == "train":
            self._total_train_tokens += tokens
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        if num_items_in_batch is None:
            return total / supervised.sum().clamp(min=1)
        # As in TRL: the count covers all processes, and gradients are averaged over them.
        return total / num_items_in_batch * self.accelerator.num_processes

    def train(self, *arguments: Any, **named: Any) -> Any:
        """Train; arguments and result are TRL's."""
        trl: Any = super()
        with self.lean_model():
            return trl.train(*arguments, **named)

    @contextlib.contextmanager
    def lean_model(self) -> Iterator[None]:
        """Within the block, and if `lean`: no redundant casts, and fast attention on a CPU."""
        model: Any = self.model
        with contextlib.ExitStack() as changes:
            if self.lean:
                # PEFT casts each adapter's input to float32, which autocast casts back to bfloat16.
                changes.enter_context(disable_input_dtype_casting(model))
                if self.args.device.type == "cpu" and model.config._attn_implementation == "sdpa":
                    changes.enter_context(cpu_attention.used_by(model))
            yield

    def training_step(self, *arguments: Any, **named: Any) -> Any:
        """One forward and backward pass. Raises: TrainingFailed if the loss is not finite."""
        trl: Any = super()
        loss = trl.training_step(*arguments, **named)
        if not torch.isfinite(loss):
            rate, step = self.args.learning_rate, self.state.global_step + 1
            raise TrainingFailed(f"the training loss is {loss.item()} at step {step}: lower learning_rate {rate:g}")
        return loss

    def get_train_dataloader(self) -> Any:
        trl: Any = super()
        plain: Any = self.data_collator
        self.data_collator = self.collator()
        try:
            return trl.get_train_dataloader()
        finally:
            self.data_collator = plain

    def collator(self) -> Any:
        """The collator of training batches."""
        model: Any = self.model
        # Only PyTorch's attention takes the collator's mask; on a GPU, FlashAttention and packing are faster.
        sdpa = model.config._attn_implementation in ("sdpa", cpu_attention.NAME)
        plain: Any = self.data_collator
        if self.share_prefix and self.args.device.type == "cpu" and sdpa and not self.padding_free:
            return SharedPrefixCollator(plain, IGNORED)
        return plain

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        data: Any = train_dataset if train_dataset is not None else self.train_dataset
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        grouped = self.args.train_sampling_strategy == "group_by_length"
        lengths = [len(ids) for ids in data["input_ids"]]
        self.order = LengthGroupedSampler(lengths, size if grouped else None, self.args.seed, self.example_weights)
        return self.order


class EpochOrder(TrainerCallback):
    """Tells the sampler which epoch begins.

    transformers does this too, but unwraps only two samplers. A run of several processes that resumes inside an epoch
    wraps ours in three, and would continue in the order of the first epoch.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        if self._trainer.order is not None:
            self._trainer.order.set_epoch(int(state.epoch or 0))


class ProgressCallback(TrainerCallback):
    """Writes steps, metrics and validations to progress.jsonl; fails a run whose loss is not finite."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any) -> None:
        self._events.write(Event("step", step=state.global_step, total=state.max_steps))

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **rest: Any,
    ) -> None:
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        infinite = sorted(
            key for key, value in metrics.items() if key in ("loss", "eval_loss") and not math.isfinite(value)
        )
        if infinite:
            raise TrainingFailed(
                f"{infinite[0]} is {metrics[infinite[0]]} at step {state.global_step}: "
                f"lower learning_rate {args.learning_rate:g}"
            )
        kind: Literal["eval", "log"] = "eval" if "eval_loss" in metrics else "log"
        self._events.write(Event(kind, step=state.global_step, total=state.max_steps, metrics=metrics))


def sharded() -> bool:
    """Whether `accelerate launch` shards the model over the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false") == "true"


def completion_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Target token of each position, restricted to positions where any row is supervised.

    `labels` (rows, tokens) has `IGNORED` outside completions; returns targets (rows, kept) and positions (kept,).
    """
    shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    positions = (shifted != IGNORED).any(dim=0).nonzero()[:, 0]
    return shifted[:, positions], positions
