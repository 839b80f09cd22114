"""The training process, run by `accelerate launch` once per device.

    accelerate launch --config_file configs/train/accelerate/single.yaml -m pipeline.train.entry RUN/job.json

Trains with TRL's SFTTrainer, continues from the run's last checkpoint if there is one, and writes the adapter, its
parity items and result.json to the run's folder (pipeline/train/job.py).
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
from peft import LoraConfig
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    EarlyStoppingCallback,
    set_seed,
)
from trl import SFTConfig

from pipeline.train import artefact, chat, job, packing, parity, rows, time_budget
from pipeline.train.config import TrainConfig
from pipeline.train.sampler import epoch_size
from pipeline.train.trainer import EpochOrder, ProgressCallback, Trainer, sharded
from traffic.errors import TrainingFailed
from traffic.processes import end_with_stdin


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", type=Path)
    parser.add_argument("--stop-with-stdin", action="store_true", help="end when standard input closes")
    options = parser.parse_args(arguments)
    if options.stop_with_stdin:
        end_with_stdin()
    train(job.load_job(options.job))


def train(work: job.Job) -> None:
    """Run this process's share of the job. Raises: TrainingFailed, InputError, NotEnoughData."""
    first = int(os.environ.get("RANK", "0")) == 0
    with job.exclusive(work.folder) if first else contextlib.nullcontext(), out_of_memory(work.config, work.device):
        _train(work, job.EventWriter(work.folder) if first else None)


@contextlib.contextmanager
def out_of_memory(config: TrainConfig, device: str) -> Iterator[None]:
    """Turn a failed allocation into TrainingFailed with the settings to change."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # torch.OutOfMemoryError and the CPU allocator's error are both RuntimeErrors.
        is_oom = isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)
        if not is_oom:
            raise
        memory = "GPU memory" if device == "cuda" else "memory"
        other = (
            f"max_length (now {config.max_length})"
            if config.gradient_checkpointing
            else "set gradient_checkpointing=true"
        )
        # Without the cause: the stage reports the log's first error line.
        raise TrainingFailed(f"out of {memory}: lower batch_size (now {config.batch_size}) or {other}") from None


def _train(work: job.Job, events: job.EventWriter | None) -> None:
    config = work.config
    _phase(events, "reading the dataset")
    tokenizer = chat.load_tokenizer(work.base)
    splits = rows.load(Path(work.dataset), config, tokenizer)
    if config.packing:
        splits["train"] = rows.thinned(splits["train"], config.seed)
    last = job.last_checkpoint(work.folder, work.processes)
    state, seconds = job.state_of(last[1]) if last else None, 0.0
    if state is None or not state.ended:
        # A run killed after its last step needs no training: transformers would take one more step, and would ignore
        # early stopping.
        state, seconds = _fit(work, splits, tokenizer, last[1] if last else None, events)
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise TrainingFailed(
            f"the validation loss is {state.best_metric}: lower learning_rate {config.learning_rate:g}"
        )
    if events is None:
        return

    folder, best = work.folder / "adapter", state.best_global_step or state.global_step
    artefact.write_checkpoint(work.folder / f"checkpoint-{best}", folder, work.base_name)
    artefact.write_tokenizer(tokenizer, folder)
    size, epochs, examples = epoch_size(splits["train"].weights), config.epochs, len(splits["train"].rows)
    if config.max_seconds is not None:
        # Its time may end within the first epoch.
        epochs = min(epochs, state.max_steps * config.effective_batch / size)
        examples = min(examples, round(epochs * size))
    share = (state.global_step - (last[0] if last else 0)) / state.max_steps * epochs
    result = job.Result(
        examples=examples,
        validation_examples=len(splits["validation"].rows),
        too_long={name: split.too_long for name, split in splits.items()},
        control_tokens={name: split.control_tokens for name, split in splits.items()},
        steps=state.global_step,
        planned_steps=state.max_steps,
        epochs=float(state.epoch or 0.0),
        resumed_from=last[0] if last else None,
        best_step=best,
        best_eval_loss=float(state.best_metric),
        seconds=seconds,
        trained_examples=round(share * size),
        supervised_tokens=round(share * splits["train"].supervised),
        peak_gpu_bytes=torch.cuda.max_memory_allocated() if work.device == "cuda" else 0,
        peak_rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    )
    _phase(events, "checking the saved adapter")
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
    """Train, from the checkpoint if there is one. Returns the final state and the seconds taken."""
    config = work.config
    train_set, validation_set = (
        datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in splits[name].rows])
        for name in ("train", "validation")
    )
    _phase(events, "loading the base model")
    set_seed(config.seed)
    # Before the model: this joins the processes, which loading by one process for all requires.
    arguments = sft_config(work, epoch_size(splits["train"].weights), packed(work, splits["train"]))
    trainer = Trainer(
        model=load_base(work, quantised=config.quantization == "nf4", whole=False, kernels=config.kernels),
        args=arguments,
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=tokenizer,
        peft_config=lora_config(config, work.base),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=config.evaluation.patience)],
    )
    if config.quantization == "nf4":
        keep_adapter_in_float32(trainer.model, work)
    trainer.fast = trainer.share_prefix = trainer.lean = config.fast
    trainer.add_callback(EpochOrder(trainer))
    if not config.packing:
        trainer.example_weights = splits["train"].weights
    if events:
        trainer.add_callback(ProgressCallback(events))
    _check_labels(trainer, tokenizer.convert_tokens_to_ids(tokenizer.eos_token))
    if config.max_seconds is not None:
        _fit_into(config.max_seconds, trainer, config, len(splits["validation"].rows), checkpoint, events)

    _phase(events, "training")
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds, state = time.monotonic() - began, trainer.state
    del trainer
    # Trainer and callbacks form a reference cycle that holds the model; the next model would not fit beside it.
    gc.collect()
    if work.device == "cuda":
        torch.cuda.empty_cache()
    final_state = job.CheckpointState(
        global_step=state.global_step,
        max_steps=state.max_steps,
        epoch=state.epoch,
        best_metric=state.best_metric,
        best_global_step=state.best_global_step,
    )
    return final_state, seconds


def _fit_into(
    seconds: float,
    trainer: Trainer,
    config: TrainConfig,
    validation_examples: int,
    checkpoint: Path | None,
    events: job.EventWriter | None,
) -> None:
    """Shorten the run to the steps that fit; a run that continues keeps the number it had."""
    data: Any = trainer.train_dataset
    size = epoch_size(trainer.example_weights or [1.0] * len(data))
    full_steps = math.ceil(math.ceil(size / config.effective_batch) * config.epochs)
    previous = job.state_of(checkpoint) if checkpoint else None
    if previous is not None:
        steps = previous.max_steps
    else:
        _phase(events, "measuring this machine")
        rate = time_budget.measure(trainer, config.batch_size)
        steps = time_budget.steps_within(
            seconds, rate, config=config, steps=full_steps, validation_examples=validation_examples
        )
        if events:
            examples = min(steps * config.effective_batch, round(size * config.epochs))
            metrics = {"examples": float(examples), "examples_per_second": rate}
            events.write(job.Event("pace", total=steps, metrics=metrics))
    if steps < full_steps:
        trainer.args.max_steps = steps
        interval = max(1, steps // config.evaluation.per_epoch)
        trainer.args.eval_steps = trainer.args.save_steps = interval
        trainer.args.logging_steps = max(1, math.ceil(steps / 100))


def packed(work: job.Job, split: rows.Split) -> packing.Packing | None:
    """Packing of the training rows; None if they are not packed."""
    lengths = [len(row.ids) for row in split.rows]
    return (
        packing.of(
            work.config, examples=len(lengths), tokens=sum(lengths), longest=max(lengths), processes=work.processes
        )
        if work.config.packing
        else None
    )


def sft_config(work: job.Job, examples: int, packed: packing.Packing | None = None) -> SFTConfig:
    """TRL's arguments for a job with this many training rows per epoch."""
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
        # Rows are already tokenised and filtered by length, so nothing is truncated. Packing needs the length.
        max_length=packed.length if packed else None,
        packing=packed is not None,
        eval_packing=False if packed else None,
        # FSDP2 has its own, which gathers each layer's weights one time fewer.
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


def lora_config(config: TrainConfig, base: str) -> LoraConfig:
    """PEFT's own configuration of an adapter on the base model in this folder."""
    layers = AutoConfig.from_pretrained(base).num_hidden_layers if config.lora.top_layers else 0
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora.rank,
        lora_alpha=config.lora.alpha,
        lora_dropout=config.lora.dropout,
        **config.lora.peft_modules(layers),
        use_rslora=config.lora.rslora,
        bias="none",
    )


def keep_adapter_in_float32(model: Any, work: job.Job) -> None:
    """Undo that TRL makes the adapter of a 4-bit base bfloat16.

    PEFT loads it as float32 when a run continues, which would change the result, and a machine that computes in
    float32 cannot multiply the two. Sharded weights are all of the dtype that the run computes in.
    """
    if sharded() and work.compute_dtype != "float32":
        return
    for weights in model.parameters():
        if weights.requires_grad:
            weights.data = weights.data.float()


def load_base(work: job.Job, *, quantised: bool, whole: bool = True, kernels: bool = False) -> Any:
    """The base model on this process's device, in the job's compute dtype or with 4-bit NormalFloat linear layers.

    `whole`: for inference; on the GPU, and what does not fit there in the machine's memory. Otherwise a sharded run
    loads whole weights into the machine's memory and 4-bit weights on the device. `kernels`: the hub's fused kernels.
    """
    dtype = getattr(torch, work.compute_dtype)
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if work.device == "cuda" else "cpu"
    placement: Any = {"": device}
    if not quantised and whole and work.device == "cuda":
        # A base trained in 4 bits may not fit the GPU in 16.
        placement = "auto"
    elif sharded() and not quantised:
        placement = "auto" if whole else None
    model: Any = AutoModelForCausalLM.from_pretrained(
        work.base,
        dtype=dtype,
        attn_implementation=work.config.attention,
        use_safetensors=True,
        device_map=placement,
        quantization_config=_nf4(work, dtype) if quantised else None,
        use_kernels=kernels,
    )
    for module in model.modules():
        # With AVX512-BF16 the first validation would repack 4-bit weights for a kernel without a backward pass; layers
        # below the top one would get no gradients from then on.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def _nf4(work: job.Job, dtype: torch.dtype) -> BitsAndBytesConfig:
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        # uint8 storage cannot be sharded: accelerate would keep the whole base on each device.
        bnb_4bit_quant_storage=dtype if work.device == "cuda" or sharded() else torch.uint8,
    )


def _check_labels(trainer: Trainer, end: int) -> None:
    """Check the labels of the first collated batch. Raises: TrainingFailed if they are not the completions' tokens."""
    data: Any = trainer.train_dataset
    examples = [data[i] for i in range(min(len(data), trainer.args.per_device_train_batch_size))]
    batch = trainer.data_collator(examples)
    problem = chat.check_batch(batch["input_ids"].tolist(), batch["labels"].tolist(), examples, end)
    if problem:
        raise TrainingFailed(f"wrong training labels: {problem}")


def _phase(events: job.EventWriter | None, phase: str) -> None:
    if events:
        events.write(job.Event("phase", phase=phase))


if __name__ == "__main__":
    main()
