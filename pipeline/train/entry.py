"""The training process: what `accelerate launch` runs, once per device.

    accelerate launch --config_file configs/train/accelerate/single.yaml -m pipeline.train.entry RUN/job.json

Trains with TRL's SFTTrainer, continues from the run's last checkpoint if there is one, and leaves the
adapter, its parity items and result.json in the run's folder (pipeline/train/job.py).
"""

import argparse
import math
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, EarlyStoppingCallback, set_seed
from trl import SFTConfig, SFTTrainer

from pipeline.train import artefact, chat, job, parity, rows
from pipeline.train.config import TrainConfig
from pipeline.train.progress import ProgressCallback
from pipeline.train.sampler import LengthGroupedSampler, epoch_size
from traffic.errors import TrainingFailed

IGNORED = -100
"""Label of a token that no loss is on."""


class Trainer(SFTTrainer):
    """SFTTrainer whose order of examples depends on seed and epoch alone, so that a resumed run repeats none.

    On a CPU it computes the loss from the logits of the completions in one piece.
    """

    example_weights: Sequence[float] | None = None
    """How often each example comes per epoch, on average; None: once."""

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        # TRL projects in tiles, and again in its backward pass: right for the memory of a GPU, but without its
        # Triton kernels that takes almost half of the time of a small model's step.
        if return_outputs or inputs["input_ids"].device.type != "cpu" or "attention_mask" not in inputs:
            trl: Any = super()
            return trl.compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs.pop("labels")
        targets, positions = completion_targets(labels)
        logits = model(**inputs, use_cache=False, logits_to_keep=positions).logits
        total = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="sum")
        supervised = targets != IGNORED
        mode = "train" if model.training else "eval"
        counted = torch.stack(
            [supervised.sum(), ((logits.argmax(-1) == targets) & supervised).sum(), inputs["attention_mask"].sum()]
        )
        valid, right, tokens = self.accelerator.gather_for_metrics(counted[None]).sum(0).tolist()
        self._metrics[mode]["mean_token_accuracy"].append(right / valid if valid else 0.0)
        if mode == "train":
            self._total_train_tokens += tokens
        self._metrics[mode]["num_tokens"] = [self._total_train_tokens]
        if num_items_in_batch is None:
            return total / supervised.sum().clamp(min=1)
        # As in TRL: the count is over all processes, whose gradients are averaged.
        return total / num_items_in_batch * self.accelerator.num_processes

    def _get_train_sampler(self, train_dataset: Any = None) -> torch.utils.data.Sampler[int]:
        data: Any = train_dataset if train_dataset is not None else self.train_dataset
        size = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        grouped = self.args.train_sampling_strategy == "group_by_length"
        lengths = [len(ids) for ids in data["input_ids"]]
        return LengthGroupedSampler(lengths, size if grouped else None, self.args.seed, self.example_weights)


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
        threading.Thread(target=_exit_with_stdin, daemon=True).start()
    train(job.load_job(options.job))


def train(work: job.Job) -> None:
    """Do the job, in this process's share of it. Raises: TrainingFailed, InputError, NotEnoughData."""
    config = work.config
    first = int(os.environ.get("RANK", "0")) == 0
    events = job.EventWriter(work.folder) if first else None
    _say(events, "reading the dataset")
    tokenizer = chat.load_tokenizer(work.base)
    splits = rows.load(Path(work.dataset), config, tokenizer)
    if config.packing:
        splits["train"] = rows.thinned(splits["train"], config.seed)
    train_set, validation_set = (
        datasets.Dataset.from_list([{"input_ids": row.ids, "labels": row.labels} for row in splits[name].rows])
        for name in ("train", "validation")
    )
    found = job.last_checkpoint(work.folder)
    _say(events, "loading the base model")
    set_seed(config.seed)
    examples = epoch_size(splits["train"].weights)
    arguments = sft_config(work, examples)
    trainer = Trainer(
        model=load_base(work, quantised=config.quantization == "nf4"),
        args=arguments,
        train_dataset=train_set,
        eval_dataset=validation_set,
        processing_class=tokenizer,
        peft_config=lora_config(config),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=config.evaluation.patience)],
    )
    if not config.packing:
        trainer.example_weights = splits["train"].weights
    if events:
        trainer.add_callback(ProgressCallback(events))
    _check_labels(trainer, tokenizer.convert_tokens_to_ids(tokenizer.eos_token))

    _say(events, "training")
    began = time.monotonic()
    trainer.train(resume_from_checkpoint=str(found[1]) if found else None)
    seconds = time.monotonic() - began
    state = trainer.state
    if state.best_metric is None or not math.isfinite(state.best_metric):
        raise TrainingFailed(
            f"the validation loss is {state.best_metric}: lower learning_rate {config.learning_rate:g}"
        )
    if not trainer.is_world_process_zero():
        return

    folder = work.folder / "adapter"
    artefact.write_weights(trainer.accelerator.unwrap_model(trainer.model), folder, work.base_name)
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
        best_step=int(state.best_global_step or state.global_step),
        best_eval_loss=float(state.best_metric),
        seconds=seconds,
        trained_examples=round(share * examples),
        supervised_tokens=round(share * splits["train"].supervised),
        peak_gpu_bytes=torch.cuda.max_memory_allocated() if work.device == "cuda" else 0,
    )
    del trainer
    if work.device == "cuda":
        torch.cuda.empty_cache()
    _say(events, "checking the saved adapter")
    prompts = [row.ids[: row.prompt_length] for row in rows.spread(splits["validation"].rows, config.parity_items)]
    items = parity.compute(load_base(work, quantised=False), folder, prompts, tokenizer, work.max_tokens)
    artefact.write_parity(items, folder)
    job.save(work.folder / "result.json", result)


def sft_config(work: job.Job, examples: int) -> SFTConfig:
    """TRL's arguments for a job over this many training rows."""
    config = work.config
    accumulation = config.accumulation(work.processes)
    steps_per_epoch = math.ceil(examples / config.effective_batch)
    interval = max(1, steps_per_epoch // config.evaluation.per_epoch)
    return SFTConfig(
        output_dir=work.run,
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        lr_scheduler_type=config.schedule,
        warmup_steps=config.warmup,
        weight_decay=config.weight_decay,
        max_grad_norm=config.max_grad_norm,
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=accumulation,
        # Rows are tokenised and filtered by length already: nothing is left to truncate. Packing needs the length.
        max_length=config.max_length if config.packing else None,
        packing=config.packing,
        eval_packing=False if config.packing else None,
        gradient_checkpointing=config.gradient_checkpointing,
        train_sampling_strategy="group_by_length" if config.group_by_length else "random",
        bf16=True,
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


def load_base(work: job.Job, *, quantised: bool) -> Any:
    """The base model on this process's device, in bfloat16 or with its linear layers in 4-bit NormalFloat."""
    quantisation = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        bnb_4bit_quant_storage=torch.bfloat16 if work.device == "cuda" else torch.uint8,
    )
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if work.device == "cuda" else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(
        work.base,
        dtype=torch.bfloat16,
        attn_implementation=work.config.attention,
        use_safetensors=True,
        device_map={"": device},
        quantization_config=quantisation if quantised else None,
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


def _exit_with_stdin() -> None:
    # The stage holds the other end: when it is gone, however it went, nobody waits for this process.
    while os.read(0, 4096):
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
