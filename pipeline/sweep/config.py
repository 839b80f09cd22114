"""What a sweep tries, and how long (`configs/sweep.yaml`)."""

import math
from typing import Annotated, Any, Literal

import msgspec

from pipeline.train.config import TrainConfig
from traffic.errors import ConfigError

Count = Annotated[int, msgspec.Meta(ge=1)]


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From `low` to `high`, drawn evenly on a logarithmic scale."""

    low: Annotated[float, msgspec.Meta(gt=0)]
    high: Annotated[float, msgspec.Meta(gt=0)]

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")


class Space(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings that are tried; all others are those of the training configuration."""

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
    """No trial starts after so many hours of trials, all interrupted runs of the sweep together. None: no limit."""
    startup_trials: Count = 4
    """So many trials come to their end before others are compared with their median."""
    warmup_evaluations: Annotated[int, msgspec.Meta(ge=0)] = 1
    """A trial is not stopped at its first so many validations: a low rate learns slowly at first."""
    finalists: Count = 2
    """So many of the best trials are trained with further seeds."""
    seeds: Count = 3
    """Seeds of each finalist, the trial's own among them."""
    answers: Annotated[int, msgspec.Meta(ge=0)] = 200
    """Validation rows that finalists answer, and are ranked by. 0: they are ranked by their validation loss."""


Settings = dict[str, Any]
"""Of one trial, by the names of `Space`'s fields."""


def apply(base: TrainConfig, settings: Settings, *, seed: int | None = None) -> TrainConfig:
    """The training configuration of a trial, on one device.

    Alpha follows the rank, so that the update keeps the scaling that the base configuration gives it (alpha / rank);
    in the rsLoRA arm (alpha / sqrt(rank)) it is the same at the base configuration's rank, and shrinks as the square
    root of larger ones.
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
    """Refuse a space that holds what cannot be trained or served, or a run of several devices. Raises: ConfigError."""
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
