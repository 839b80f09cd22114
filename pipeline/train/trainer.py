"""TRL's trainer as this project runs it: resumable order of examples, and the short cuts of short runs on a CPU."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin, PartialState
from peft.helpers import disable_input_dtype_casting
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl import SFTTrainer

from pipeline.train import cpu_attention
from pipeline.train.chat import IGNORED
from pipeline.train.sampler import LengthGroupedSampler
from pipeline.train.shared_prefix import SharedPrefixCollator
from traffic.errors import TrainingFailed


class Trainer(SFTTrainer):
    """SFTTrainer whose order of examples depends on seed and epoch alone, so that a resumed run repeats none.

    On a CPU it computes the loss from the logits of the completions in one piece, the beginning that a batch's rows
    share once, and the attention of short rows in plain products.
    """

    example_weights: Sequence[float] | None = None
    """How often each example comes per epoch, on average; None: once."""
    order: LengthGroupedSampler | None = None
    """The sampler of the training examples, once there is one."""
    fast: bool = True
    """False: the loss is computed as TRL does everywhere."""
    share_prefix: bool = True
    """On a CPU the tokens that a batch's rows begin with are computed once."""
    lean: bool = True
    """Adapters take their input in the compute dtype, and short sequences' attention on a CPU is plain products."""

    def create_accelerator_and_postprocess(self) -> None:
        super().create_accelerator_and_postprocess()
        if self.args.use_cpu and sharded():
            # accelerate shards on GPUs only, and would go on without a word; PyTorch shards on CPUs too.
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
        # transformers would gather nothing or, the base model too, everything. Every process takes part in this.
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
        # TRL projects in tiles, and again in its backward pass: right for the memory of a GPU, but without its
        # Triton kernels that takes almost half of the time of a small model's step.
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
        # A mask of pairs comes with a batch that holds nothing but tokens.
        seen = inputs["attention_mask"] if inputs["attention_mask"].dim() == 2 else torch.ones_like(inputs["input_ids"])
        counted = torch.stack([supervised.sum(), ((logits.argmax(-1) == targets) & supervised).sum(), seen.sum()])
        valid, right, tokens = self.accelerator.gather_for_metrics(counted[None]).sum(0).tolist()
        self._metrics[mode]["mean_token_accuracy"].append(right / valid if valid else 0.0)
        if mode == "train":
            self._total_train_tokens += tokens
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        if num_items_in_batch is None:
            return total / supervised.sum().clamp(min=1)
        # As in TRL: the count is over all processes, whose gradients are averaged.
        return total / num_items_in_batch * self.accelerator.num_processes

    def train(self, *arguments: Any, **named: Any) -> Any:
        """Train to the end; arguments and result are TRL's."""
        trl: Any = super()
        with self.lean_model():
            return trl.train(*arguments, **named)

    @contextlib.contextmanager
    def lean_model(self) -> Iterator[None]:
        """The model without the casts and kernels that cost a short run on a CPU most, if `lean`."""
        model: Any = self.model
        with contextlib.ExitStack() as changes:
            if self.lean:
                # PEFT casts each adapter's input to float32, which autocast casts back to bfloat16.
                changes.enter_context(disable_input_dtype_casting(model))
                if self.args.device.type == "cpu" and model.config._attn_implementation == "sdpa":
                    changes.enter_context(cpu_attention.used_by(model))
            yield

    def training_step(self, *arguments: Any, **named: Any) -> Any:
        """One forward and backward pass. Raises: TrainingFailed when the loss is no number any more."""
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
        """What makes a batch of training examples."""
        model: Any = self.model
        # The mask of pairs is one that PyTorch's attention takes; on a GPU FlashAttention and packing are faster.
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

    transformers does so too, but in a run of several processes that continues inside an epoch, three samplers wrap
    ours, and it looks through two: the rest of the epoch would come in the order of the first one.
    """

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **rest: Any
    ) -> None:
        if self._trainer.order is not None:
            self._trainer.order.set_epoch(int(state.epoch or 0))


def sharded() -> bool:
    """Whether `accelerate launch` was told to divide the model among the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false") == "true"


def completion_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What each position must predict, cut to the positions that any row is supervised at.

    `labels` (rows, tokens) has `IGNORED` outside completions; returns targets (rows, kept) and positions (kept,).
    """
    shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    positions = (shifted != IGNORED).any(dim=0).nonzero()[:, 0]
    return shifted[:, positions], positions
