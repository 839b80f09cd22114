"""Configuration of the demo (`configs/demo.yaml`): traffic, simulated hosted models, size of each stage."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import config

Positive = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Usd = Annotated[float, msgspec.Meta(ge=0)]
Milliseconds = Annotated[float, msgspec.Meta(gt=0)]


class TrafficConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The generated log."""

    requests: Positive = 6000
    days: Positive = 14
    first_day: dt.date = dt.date(2026, 11, 1)
    seed: int = 0


class Accuracy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Assumed share of correct answers by kind of task."""

    classification: Share = 0.95
    extraction: Share = 0.95
    rewrite: Share = 0.9
    free: Share = 1.0
    """Summaries and plans, which the demo does not score."""


class HostedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A simulated hosted model; all its numbers are assumptions."""

    name: Annotated[str, msgspec.Meta(pattern=r"^simulated-[a-z0-9.-]+$")]
    """Starts with `simulated-`, so that every table shows it."""
    accuracy: Accuracy = Accuracy()
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    input_mtok_usd: Usd
    output_mtok_usd: Usd

    def __post_init__(self) -> None:
        if self.latency_p95_ms < self.latency_p50_ms:
            raise ValueError(f"{self.name}: latency_p95_ms must not be below latency_p50_ms")


class HostedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The server that simulates hosted models."""

    models: Annotated[tuple[HostedModel, ...], msgspec.Meta(min_length=1)]
    seed: int = 0
    time_scale: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Multiplies the waits. Only at 1 are measured latencies the stated ones; do not report others."""

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"models: duplicate name {duplicates[0]!r}")


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call site of the demo."""

    call_site: str
    train: bool
    """Fine-tune an adapter for it; exactly one task does."""
    evaluate_items: Positive | None = None
    """At most this many items of the test split; None: all."""
    calibrate_items: Positive = 50
    """Items per split to calibrate an adapter with; calibration is skipped if a split is shorter."""


class Stages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`--set` values for the configuration of each stage."""

    extract: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    calibrate: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()


class TimeBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Time of the loop, and training's share of the time that the stages' fixed parts leave."""

    minutes: Annotated[float, msgspec.Meta(gt=0)] = 6.4
    """On a CPU with fast matrix products, as with AVX512."""
    minutes_slow: Annotated[float, msgspec.Meta(gt=0)] = 9.6
    """On a slower one."""
    training_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    """Training's share of the time for training and evaluation."""
    min_items: Positive = 60
    """Minimum test items: with fewer the intervals of adapter and base may overlap."""


class DemoConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/demo.yaml`."""

    schema_version: Literal[1] = 1
    traffic: TrafficConfig = TrafficConfig()
    hosted: HostedConfig
    tier_2: str
    """Hosted model that the router uses as Tier 2."""
    tier_3: str
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1)]
    train_config: str = "smollm2-135m"
    """Name of a file in `configs/train/`."""
    stages: Stages = Stages()
    time_budget: TimeBudget | None = None
    """None: sizes as in `tasks` and `stages`, without a time limit."""
    volume_scales: tuple[Annotated[float, msgspec.Meta(gt=0)], ...] = (1.0,)
    """Multiples of the log's monthly volume to decide for."""
    replay_requests: Positive = 60
    """Requests of the log to replay through the router at the end."""

    @property
    def rivals(self) -> tuple[HostedModel, ...]:
        """Hosted models to evaluate: all but the heavy one of Tier 3, which is no option for Tier 1."""
        return tuple(model for model in self.hosted.models if model.name != self.tier_3 or self.tier_3 == self.tier_2)

    def __post_init__(self) -> None:
        names = [model.name for model in self.hosted.models]
        for key, name in (("tier_2", self.tier_2), ("tier_3", self.tier_3)):
            if name not in names:
                raise ValueError(f"{key}: no hosted model {name!r}; there are: {', '.join(names)}")
        if sum(task.train for task in self.tasks) != 1:
            raise ValueError("tasks: exactly one of them must have `train: true`")


DEFAULT = config.CONFIGS / "demo.yaml"


def load(path: Path = DEFAULT, overrides: Sequence[str] = ()) -> DemoConfig:
    """Raises: NotFound, ConfigError."""
    return config.load(path, DemoConfig, overrides)
