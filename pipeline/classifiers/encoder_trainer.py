"""Fine-tunes an encoder with a linear head by transformers' Trainer, within a time limit."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import Dataset
from transformers import (
    AutoTokenizer,
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from pipeline.classifiers import pretrained
from pipeline.classifiers.config import EncoderFit
from pipeline.classifiers.examples import Examples, SiteData, Targets
from pipeline.classifiers.pooled import TextClassifier
from pipeline.train import compute_dtype
from traffic.classifier_model import Head

MIN_VALIDATION_ROWS = 300
"""With fewer rows the losses of two checkpoints differ by chance, so the last weights are kept: the learning rate has
fallen to 0 by then, while an earlier checkpoint was written at a high one (docs/LOG.md, 2026-11-28)."""
RESERVE = 0.08
"""Share of the time limit reserved for the last evaluation."""


class Rows(Dataset[dict[str, Any]]):
    """Tokenized texts with their targets."""

    def __init__(self, examples: Examples, targets: Targets, tokenizer: Any, max_tokens: int) -> None:
        truth = targets.of(examples)
        # An unknown label has no loss.
        labelled = [row for row in range(len(truth)) if targets.sets or truth[row] >= 0]
        texts = [examples.texts[row] for row in labelled]
        ids = tokenizer(texts, truncation=True, max_length=max_tokens)["input_ids"] if texts else []
        weights = examples.weights or [1.0] * len(examples.texts)
        self.rows = [
            {"input_ids": tokens, "labels": truth[row].tolist(), "weights": weights[row]}
            for tokens, row in zip(ids, labelled, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[index]


def collated(rows: list[dict[str, Any]], padding: int) -> dict[str, torch.Tensor]:
    """A batch padded to its longest row."""
    width = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), width), padding)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row["input_ids"])] = torch.tensor(row["input_ids"])
        mask[index, : len(row["input_ids"])] = 1
    return {
        "input_ids": ids,
        "attention_mask": mask,
        "labels": torch.tensor([row["labels"] for row in rows]),
        "weights": torch.tensor([row["weights"] for row in rows], dtype=torch.float32),
    }


class Clock(TrainerCallback):
    """Stops training at the time limit. Time before an interruption counts."""

    def __init__(self, seconds: float, folder: Path) -> None:
        self._limit, self._file = seconds, folder / "elapsed.json"
        self._before = float(json.loads(self._file.read_text())["seconds"]) if self._file.is_file() else 0.0
        self._began = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return self._before + time.monotonic() - self._began

    @property
    def progress(self) -> float:
        """Used share of the time limit for training."""
        return self.elapsed_s / (self._limit * (1 - RESERVE))

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._file.write_text(json.dumps({"seconds": self.elapsed_s}), encoding="utf-8")

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> TrainerControl:
        if self.progress >= 1 and not control.should_training_stop:
            # Also at a step where neither is due.
            control.should_evaluate = args.eval_strategy != "no"
            control.should_save = True
            control.should_training_stop = True
        return control


def train(
    settings: EncoderFit,
    data: SiteData,
    targets: Targets,
    base: Path,
    work: Path,
    start: Head,
    seconds: float,
) -> tuple[TextClassifier, dict[str, float]]:
    """The trained model and the run's metrics. Continues from a checkpoint in `work`.

    With enough validation rows the weights with the least validation loss, else the last ones.
    """
    set_seed(settings.seed)
    work.mkdir(parents=True, exist_ok=True)
    tokenizer = AutoTokenizer.from_pretrained(str(base))
    model = TextClassifier(
        pretrained.load(base), len(targets.labels), sets=targets.sets, smoothing=settings.label_smoothing
    )
    with torch.no_grad():
        model.head.weight.copy_(torch.from_numpy(start.weight))
        model.head.bias.copy_(torch.from_numpy(np.maximum(start.bias, -20.0)))
    rows = Rows(data.train, targets, tokenizer, settings.max_tokens)
    validation = Rows(data.validation, targets, tokenizer, settings.max_tokens)
    compares = len(validation) >= MIN_VALIDATION_ROWS
    epoch = math.ceil(len(rows) / settings.batch_size)
    steps = epoch * settings.epochs
    clock = Clock(seconds, work)
    optimizer, schedule = _optimizer(model, settings, steps, clock)
    trainer = Trainer(
        model=model,
        args=_arguments(settings, work, every=max(1, epoch // 2), compares=compares, dtype=_dtype(settings, model)),
        train_dataset=rows,
        eval_dataset=validation if compares else None,
        data_collator=lambda batch: collated(batch, tokenizer.pad_token_id or 0),
        optimizers=(optimizer, schedule),
        callbacks=[clock, *([EarlyStoppingCallback(2 * settings.patience)] if compares else [])],
    )
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(work)))
    state = trainer.state
    trained = {
        "epochs": round(float(state.epoch or 0), 3),
        "steps": float(state.global_step),
        "best_step": float(state.best_global_step or state.global_step),
        "training_seconds": round(clock.elapsed_s, 1),
    }
    return model.eval(), trained


def _optimizer(model: TextClassifier, settings: EncoderFit, steps: int, clock: Clock) -> tuple[AdamW, LambdaLR]:
    groups = [
        {"params": list(model.encoder.parameters()), "lr": settings.learning_rate},
        {"params": list(model.head.parameters()), "lr": settings.head_learning_rate},
    ]
    # Fused: a step of 16 short rows takes a quarter less CPU time.
    optimizer = AdamW(groups, weight_decay=0.01, fused=True)
    warm_up = max(1, steps // 20)

    def share(step: int) -> float:
        # Falls to 0 with the steps or with the time, whichever runs out first.
        return min(1.0, (step + 1) / warm_up) * max(0.0, 1 - max(step / max(1, steps), clock.progress))

    return optimizer, LambdaLR(optimizer, share)


def _arguments(settings: EncoderFit, work: Path, *, every: int, compares: bool, dtype: str) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(work),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=64,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps" if compares else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=1,
        load_best_model_at_end=compares,
        metric_for_best_model="loss",
        greater_is_better=False,
        logging_strategy="no",
        report_to="none",
        seed=settings.seed,
        remove_unused_columns=False,
        label_names=["labels"],
        dataloader_pin_memory=False,
        bf16=dtype == "bfloat16",
        disable_tqdm=False,
        use_cpu=not torch.cuda.is_available(),
    )


def _dtype(settings: EncoderFit, model: TextClassifier) -> str:
    if settings.compute_dtype != "auto":
        return settings.compute_dtype
    shape = model.encoder.transformer.config
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return compute_dtype.choose(shape.hidden_size, shape.intermediate_size, device)
