"""Paths of a check, and the shipped configuration of each model with the check's changes."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import dataset as datasets
from pipeline import train
from pipeline.train import base_models, job
from pipeline.train.config import CONFIGS, Architecture, TrainConfig
from traffic import config
from traffic.adapters import ComputeDtype
from traffic.artifacts import Home

MODELS = ("llama-3.1-8b", "qwen2.5-7b")
CHANGES = {
    "full": ("epochs=1", "evaluation.max_examples=16", "parity_items=4"),
    # With a lower rate, a few steps would have no visible effect on a tiny model.
    "tiny": ("epochs=3", "evaluation.max_examples=8", "parity_items=2", "learning_rate=5e-3", "batch_size=8",
             "gradient_checkpointing=false", "model.needs_gpu=false"),
}  # fmt: skip
"""Overrides of the shipped configurations: fewer epochs and checks."""
TRAIN_ROWS = {"full": 480, "tiny": 48}
STEPS = {"full": 24, "tiny": 3}
"""Maximum optimiser steps of each timed arm."""
WARM_UP = {"full": 4, "tiny": 1}


class Setup(msgspec.Struct, frozen=True):
    """Settings of a check."""

    root: Path
    """Folder for all files of the check."""
    form: Literal["full", "tiny"]
    device: Literal["cpu", "cuda"]
    compute_dtype: ComputeDtype
    peak_flops: float | None
    """Peak bfloat16 rate of this device, by data sheet, or measured on a CPU; None: unknown device."""

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    def weights(self, model: str) -> Path:
        return self.root / "models" / model

    def run_folder(self, name: str) -> Path:
        return self.root / "runs" / name.replace("/", "-")

    @property
    def dataset(self) -> Path:
        return self.home.dataset(None)

    def shipped(self, model: str, *changes: str) -> TrainConfig:
        """configs/train/<model>.yaml with the overrides of the form and these."""
        sets = [f"model.path={self.weights(model)}", f"compute_dtype={self.compute_dtype}", f"device={self.device}"]
        return config.load(CONFIGS / f"{model}.yaml", TrainConfig, [*sets, *CHANGES[self.form], *changes])

    def architecture(self, model: str) -> Architecture:
        from benchmarks.gpu import models

        shipped = config.load(CONFIGS / f"{model}.yaml", TrainConfig).model.architecture
        assert shipped is not None
        return models.tiny(shipped) if self.form == "tiny" else shipped

    def planned(self, model: str, *changes: str) -> TrainConfig:
        """The same with the architecture that is actually trained, for the plan."""
        shipped_config = self.shipped(model, *changes)
        arch = self.architecture(model)
        return msgspec.structs.replace(
            shipped_config, model=msgspec.structs.replace(shipped_config.model, architecture=arch)
        )

    def base(self, model: str) -> base_models.LocalModel:
        """The base model, without hashing its random weights."""
        model_config = self.shipped(model).model
        return base_models.LocalModel(self.weights(model), model_config.name, "random", model_config.licence)

    def job(self, name: str, model: str, *changes: str) -> job.Job:
        """A job like that of `fasttier train`, in the run folder of this name."""
        folder = self.run_folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        card = datasets.load(self.dataset)
        planned_config = self.planned(model, *changes)
        return train.job_of(planned_config, card, self.dataset, self.base(model), folder, self.device, 1)


def rows_of(folder: Path, split: str, prompt: str, count: int) -> list[dict[str, Any]]:
    """Rows with one of the two prompts: `prompt` or `original_prompt`."""
    rows = datasets.read_split(folder, split).to_pylist()[:count]
    return [{"prompt": row[prompt], "completion": row["completion"]} for row in rows]
