"""The training process: what `accelerate launch` runs, once per device.

    accelerate launch --config_file configs/train/accelerate/single.yaml -m pipeline.train.entry RUN/job.json

Trains with TRL's SFTTrainer, continues from the run's last checkpoint if there is one, and leaves the
adapter, its parity items and result.json in the run's folder (pipeline/train/job.py).
"""

import argparse
import contextlib
import gc
import math
import os
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from accelerate import DistributedType, FullyShardedDataParallelPlugin, PartialState
from peft import LoraConfig
from peft.helpers import disable_input_dtype_casting
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    EarlyStoppingCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from trl import SFTConfig, SFTTrainer

from pipeline.train import artefact, chat, cpu_attention, job, launch, packing, parity, rows
from pipeline.train.config import TrainConfig
from pipeline.train.progress import ProgressCallback
from pipeline.train.sampler import LengthGroupedSampler, epoch_size
from pipeline.train.shared_prefix import SharedPrefixCollator
from traffic.errors import TrainingFailed

IGNORED = -100
"""Label of a token that no loss is on."""


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
        model: Any = self.model
        with contextlib.ExitStack() as lean:
            if self.lean:
                # PEFT casts each adapter's input to float32, which autocast casts back to bfloat16.
                lean.enter_context(disable_input_dtype_casting(model))
                if self.args.device.type == "cpu" and model.config._attn_implementation == "sdpa":
                    lean.enter_context(cpu_attention.used_by(model))
            return trl.train(*arguments, **named)

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
        model: Any = self.model
        plain: Any = self.data_collator
        # The mask of pairs is one that PyTorch's attention takes; on a GPU FlashAttention and packing are faster.
        sdpa = model.config._attn_implementation in ("sdpa", cpu_attention.NAME)
        if self.share_prefix and self.args.device.type == "cpu" and sdpa and not self.padding_free:
            self.data_collator = SharedPrefixCollator(plain, IGNORED)
        try:
            return trl.get_train_dataloader()
        finally:
            self.data_collator = plain

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        data: Any = train_dataset if train_dataset is not None else self.train_dataset
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        grouped = self.args.train_sampling_strategy == "group_by_length"
        lengths = [len(ids) for ids in data["input_ids"]]
        self.order = LengthGroupedSampler(lengths, size if grouped else None, self.args.seed, self.example_weights)
        return self.order


def sharded() -> bool:
    """Whether `accelerate launch` was told to divide the model among the processes."""
    return os.environ.get("ACCELERATE_USE_FSDP", "false") == "true"


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


def completion_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What each position must predict, cut to the positions that any row is supervised at.

    `labels` (rows, tokens) has `IGNORED` outside completions; returns targets (rows, kept) and positions (kept,).
    """
    shifted = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
    positions = (shifted != IGNORED).any(dim=0).nonzero()[:, 0]
    return shifted[:, positions], positions


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    if options.stop_with_stdin:
        launch.exit_with_stdin()
    train(job.load_job(options.job))


def train(work: job.Job) -> None:
    """Do the job, in this process's share of it. Raises: TrainingFailed, InputError, NotEnoughData."""
    first = int(os.environ.get("RANK", "0")) == 0
    with job.alone(work.folder) if first else contextlib.nullcontext(), out_of_memory(work.config, work.device):
        _train(work, job.EventWriter(work.folder) if first else None)


@contextlib.contextmanager
def out_of_memory(config: TrainConfig, device: str) -> Iterator[None]:
    """Say of a failed allocation what to change. Raises: TrainingFailed."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch.OutOfMemoryError is a RuntimeError, and so is what the CPU's allocator raises.
        known = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not known:
            raise
        where = "GPU memory" if device == "cuda" else "memory"
        other = (
            f"max_length (now {config.max_length})"
            if config.gradient_checkpointing
            else "set gradient_checkpointing=true"
        )
        # Without the cause: the log's first error line is what the stage tells the user.
        raise TrainingFailed(f"out of {where}: lower batch_size (now {config.batch_size}) or {other}") from None


def _train(work: job.Job, events: job.EventWriter | None) -> None:
    config = work.config
    _say(events, "reading the dataset")
    tokenizer = chat.load_tokenizer(work.base)
    splits = rows.load(Path(work.dataset), config, tokenizer)
    if config.packing:
        splits["train"] = rows.thinned(splits["train"], config.seed)
    found = job.last_checkpoint(work.folder, work.processes)
    state, seconds = job.state_of(found[1]) if found else None, 0.0
    if state is None or not state.ended:
        # Of a run that was killed after its last step nothing is left to train: transformers would take one step more,
        # and go on after early stopping.
        state, seconds = _fit(work, splits, tokenizer, found[1] if found else None, events)
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise TrainingFailed(
            f"the validation loss is {state.best_metric}: lower learning_rate {config.learning_rate:g}"
        )
    if events is None:
        return

    folder, best = work.folder / "adapter", state.best_global_step or state.global_step
    artefact.write_checkpoint(work.folder / f"checkpoint-{best}", folder, work.base_name)
    artefact.write_tokenizer(tokenizer, folder)
    share = (state.global_step - (found[0] if found else 0)) / state.max_steps * config.epochs
    result = job.Result(
        examples=len(splits["train"].rows),
        validation_examples=len(splits["validation"].rows),
        too_long={name: split.too_long for name, split in splits.items()},
        steps=state.global_step,
        planned_steps=state.max_steps,
        epochs=float(state.epoch or 0.0),
        resumed_from=found[0] if found else None,
        best_step=best,
        best_eval_loss=float(state.best_metric),
        seconds=seconds,
        trained_examples=round(share * epoch_size(splits["train"].weights)),
        supervised_tokens=round(share * splits["train"].supervised),
        peak_gpu_bytes=torch.cuda.max_memory_allocated() if work.device == "cuda" else 0,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    _say(events, "checking the saved adapter")
    prompts = [row.ids[: row.prompt_length] for row in rows.spread(splits["validation"].rows, config.parity_items)]
    items = parity.compute(load_base(work, quantised=False), folder, prompts, tokenizer, work.max_tokens)
    artefact.write_parity(items, folder)
    job.save(work.folder / "result.json", result)


def _fit(
    work: job.Job,
    splits: dict[str, rows.Split],
    tokenizer: Any,
    checkpoint: Path | None,
    events: job.EventWriter | None,
) -> tuple[job.CheckpointState, float]:
    """Train from the checkpoint, or from the start: how it ended, and the seconds that it took."""
    config = work.config
    train_set, validation_set = (
        datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in splits[name].rows])
        for name in ("train", "validation")
    )
    _say(events, "loading the base model")
    set_seed(config.seed)
    # Made before the model: it joins the processes, and only when they are joined can one load for all.
    arguments = sft_config(work, epoch_size(splits["train"].weights), packed(work, splits["train"]))
    trainer = Trainer(
        model=load_base(work, quantised=config.quantization == "nf4", whole=False, kernels=config.kernels),
        args=arguments,
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=tokenizer,
        peft_config=lora_config(config),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=config.evaluation.patience)],
    )
    if config.quantization == "nf4" and not sharded():
        # TRL makes the adapter of a 4-bit base bfloat16, but when a run continues PEFT loads it as float32: the same
        # run would end elsewhere. Float32 from the start, as for any other base.
        model: Any = trainer.model
        for weights in model.parameters():
            if weights.requires_grad:
                weights.data = weights.data.float()
    trainer.fast = trainer.share_prefix = trainer.lean = config.fast
    trainer.add_callback(EpochOrder(trainer))
    if not config.packing:
        trainer.example_weights = splits["train"].weights
    if events:
        trainer.add_callback(ProgressCallback(events))
    _check_labels(trainer, tokenizer.convert_tokens_to_ids(tokenizer.eos_token))

    _say(events, "training")
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, state = time.monotonic() - began, trainer.state
    del trainer
    # The trainer and its callbacks hold each other, and the model: without this the next one would not fit beside it.
    gc.collect()
    if work.device == "cuda":
        torch.cuda.empty_cache()
    ended = job.CheckpointState(
        global_step=state.global_step,
        max_steps=state.max_steps,
        epoch=state.epoch,
        best_metric=state.best_metric,
        best_global_step=state.best_global_step,
    )
    return ended, seconds


def packed(work: job.Job, split: rows.Split) -> packing.Packing | None:
    """How the training rows are packed; None where they are not."""
    lengths = [len(row.ids) for row in split.rows]
    return (
        packing.of(
            work.config, examples=len(lengths), tokens=sum(lengths), longest=max(lengths), processes=work.processes
        )
        if work.config.packing
        else None
    )


def sft_config(work: job.Job, examples: int, packed: packing.Packing | None = None) -> SFTConfig:
    """TRL's arguments for a job over this many training rows, packed or in batches."""
    config = work.config
    accumulation = packed.accumulation if packed else config.accumulation(work.processes)
    steps_per_epoch = packed.updates if packed else math.ceil(examples / config.effective_batch)
    interval = max(1, steps_per_epoch // config.evaluation.per_epoch)
    return SFTConfig(
        output_dir=work.run,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        per_device_train_batch_size=1 if packed else config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=accumulation,
        # Rows are tokenised and filtered by length already: nothing is left to truncate. Packing needs the length.
        max_length=packed.length if packed else None,
        packing=packed is not None,
        eval_packing=False if packed else None,
        # FSDP2 has its own, which gathers a layer's weights once less.
        gradient_checkpointing=config.gradient_checkpointing and not sharded(),
        train_sampling_strategy="group_by_length" if config.group_by_length else "random",
        bf16=work.compute_dtype == "bfloat16",
        fp16=work.compute_dtype == "float16",
        torch_compile=config.compile,
        use_cpu=work.device == "cpu",
        eval_strategy="steps",
        eval_steps=interval,
        save_strategy="steps",
        save_steps=interval,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        restore_callback_states_from_checkpoint=True,
        logging_steps=max(1, math.ceil(steps_per_epoch * config.epochs / 100)),
        logging_nan_inf_filter=False,
        ddp_find_unused_parameters=False if work.processes > 1 else None,
        dataloader_pin_memory=work.device == "cuda",
        disable_tqdm=True,
        report_to="none",
        seed=config.seed,
        data_seed=config.seed,
    )


def lora_config(config: TrainConfig) -> LoraConfig:
    """PEFT's own configuration of the adapter."""
    targets = config.lora.target_modules
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        use_rslora=config.lora.rslora,
        bias="none",
    )


def load_base(work: job.Job, *, quantised: bool, whole: bool = True, kernels: bool = False) -> Any:
    """The base model on this process's device, in the job's compute dtype or with 4-bit NormalFloat linear layers.

    `whole`, for a look at the adapter: on the GPU, and what does not fit there in the machine's memory. Else, of a
    sharded run, to be divided, in the machine's memory, but 4-bit weights on the device, where they are made.
    `kernels`: layers of the hub's fused kernels where it has one.
    """
    dtype = getattr(torch, work.compute_dtype)
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        # Bytes could not be sharded: accelerate would leave the whole base on each device.
        bnb_4bit_quant_storage=dtype if work.device == "cuda" or sharded() else torch.uint8,
    )
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if work.device == "cuda" else "cpu"
    placement: Any = {"": device}
    if not quantised and whole and work.device == "cuda":
        # A base that was trained in 4 bits may be larger than the GPU in 16.
        placement = "auto"
    elif sharded() and not quantised:
        placement = "auto" if whole else None
    model: Any = AutoModelForCausalLM.from_pretrained(
        work.base,
        dtype=dtype,
        attn_implementation=work.config.attention,
        use_safetensors=True,
        device_map=placement,
        quantization_config=quantisation if quantised else None,
        use_kernels=kernels,
    )
    for module in model.modules():
        # On a CPU with AVX512-BF16 the first validation would repack 4-bit weights for a kernel that has no
        # backward pass, and everything below the top layer would train without gradients from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def _check_labels(trainer: Trainer, end: int) -> None:
    """Look at the first batch as the model will see it. Raises: TrainingFailed if the loss would be on other tokens."""
    data: Any = trainer.train_dataset
    examples = [data[i] for i in range(min(len(data), trainer.args.per_device_train_batch_size))]
    batch = trainer.data_collator(examples)
    problem = chat.check_batch(batch["input_ids"].tolist(), batch["labels"].tolist(), examples, end)
    if problem:
        raise TrainingFailed(f"wrong training labels: {problem}")


def _say(events: job.EventWriter | None, phase: str) -> None:
    if events:
        events.write(job.Event("phase", phase=phase))


if __name__ == "__main__":
    main()
