"""Configuration of a sweep (`configs/sweep.yaml`)."""

import math
from typing import Annotated, Any, Literal

import msgspec

from pipeline.train.config import TrainConfig
from traffic.errors import ConfigError

Count = Annotated[int, msgspec.Meta(ge=1)]


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log-uniform distribution from `low` to `high`."""

    low: Annotated[float, msgspec.Meta(gt=0)]
    high: Annotated[float, msgspec.Meta(gt=0)]

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Search space; other settings come from the training configuration."""

    learning_rate: Range
    rank: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    epochs: Annotated[tuple[Annotated[float, msgspec.Meta(gt=0)], ...], msgspec.Meta(min_length=1)]
    rslora: Annotated[tuple[bool, ...], msgspec.Meta(min_length=1)] = (False,)
    quantization: Annotated[tuple[Literal["none", "nf4"], ...], msgspec.Meta(min_length=1)] = ("none",)


class SweepConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sweep."""

    space: Space
    trials: Count = 12
    hours: Annotated[float, msgspec.Meta(gt=0)] | None = None
    """No trial starts after this many hours of trials, over all runs of the sweep. None: no limit."""
    startup_trials: Count = 4
    """Number of trials to complete before others are pruned against their median."""
    warmup_evaluations: Annotated[int, msgspec.Meta(ge=0)] = 1
    """Validations before a trial can be pruned: low learning rates start slowly."""
    finalists: Count = 2
    """Number of best trials to train on more seeds."""
    seeds: Count = 3
    """Seeds per finalist, including the trial's own."""
    answers: Annotated[int, msgspec.Meta(ge=0)] = 200
    """Validation rows whose generated answers rank the finalists. 0: rank by validation loss."""


Settings = dict[str, Any]
"""Settings of one trial, keyed by the fields of `Space`."""


def apply(base: TrainConfig, settings: Settings, *, seed: int | None = None) -> TrainConfig:
    """Training configuration of a trial on one device.

    Alpha follows the rank so that the update's scale (alpha / rank) stays that of the base configuration. With rsLoRA
    (alpha / sqrt(rank)) it is equal at the base configuration's rank and falls with the square root of larger ones.
    Raises: ConfigError.
    """
    lora = base.lora
    scaling = lora.alpha / (math.sqrt(lora.rank) if lora.rslora else lora.rank)
    rank, rslora = settings["rank"], settings["rslora"]
    alpha = max(1, round(scaling * (math.sqrt(lora.rank) if rslora else rank)))
    try:
        return msgspec.structs.replace(
            base,
            lora=msgspec.structs.replace(lora, rank=rank, alpha=alpha, rslora=rslora),
            learning_rate=settings["learning_rate"],
            epochs=settings["epochs"],
            quantization=settings["quantization"],
            seed=base.seed if seed is None else seed,
            processes=1,
        )
    except ValueError as error:
        raise ConfigError(f"the sweep's space: {error}") from None


def check(config: SweepConfig, base: TrainConfig) -> None:
    """Raise ConfigError if a setting of the space cannot be trained or served, or a run needs several devices."""
    if base.sharding != "none":
        raise ConfigError(
            f"sharding: {base.sharding} divides the base model among devices, and a sweep's trials have one each; "
            "set it to none in the training configuration (quantization: nf4 takes less memory)"
        )
    if base.machines > 1:
        raise ConfigError(f"machines: {base.machines}, but a sweep's trials run on one; set it to 1")
    space = config.space
    for rank in space.rank:
        for rslora in space.rslora:
            for quantization in space.quantization:
                tried = {"rank": rank, "rslora": rslora, "quantization": quantization, "epochs": space.epochs[0]}
                apply(base, tried | {"learning_rate": space.learning_rate.low}).accumulation(1)
