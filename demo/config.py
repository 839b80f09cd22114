"""Settings of the demo (`configs/demo.yaml`): the traffic, the stand-ins for hosted models, the size of each stage."""

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
    """The invented log."""

    requests: Positive = 6000
    days: Positive = 14
    first_day: dt.date = dt.date(2026, 11, 1)
    seed: int = 0


class Accuracy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of right answers by kind of task: stated, not measured."""

    classification: Share = 0.95
    extraction: Share = 0.95
    rewrite: Share = 0.9
    free: Share = 1.0
    """Summaries and plans, which nothing here scores."""


class HostedModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hosted model that a stand-in answers for. All its numbers are assumptions."""

    name: Annotated[str, msgspec.Meta(pattern=r"^simulated-[a-z0-9.-]+$")]
    """Begins with `simulated-`, so that no table can be read without it."""
    accuracy: Accuracy = Accuracy()
    latency_p50_ms: Milliseconds
    latency_p95_ms: Milliseconds
    input_mtok_usd: Usd
    output_mtok_usd: Usd

    def __post_init__(self) -> None:
        if self.latency_p95_ms < self.latency_p50_ms:
            raise ValueError(f"{self.name}: latency_p95_ms must not be below latency_p50_ms")


class HostedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The server that stands in for hosted models."""

    models: Annotated[tuple[HostedModel, ...], msgspec.Meta(min_length=1)]
    seed: int = 0
    time_scale: Annotated[float, msgspec.Meta(ge=0)] = 1.0
    """Waits are multiplied by it; only at 1 are measured latencies the stated ones, others must not be shown."""

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"model {twice[0]!r} stands there twice")


class Task(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A call site that the demo works on."""

    call_site: str
    train: bool
    """Fine-tune an adapter for it; the others are left to cheaper candidates."""
    evaluate_items: Positive | None = None
    """At most this many items of the test split; None: all."""
    calibrate_items: Positive = 50
    """Where an adapter is trained: so many items of either split; shorter splits are not calibrated on."""


class Stages(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Values that the demo sets in the stages' own configuration, as `--set` takes them."""

    extract: tuple[str, ...] = ()
    train: tuple[str, ...] = ()
    serve: tuple[str, ...] = ()
    evaluate: tuple[str, ...] = ()
    calibrate: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()


class TimeBudget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How long the loop may take, and how it divides what the fixed parts of its stages leave."""

    minutes: Annotated[float, msgspec.Meta(gt=0)] = 6.4
    """On a CPU that computes in bfloat16."""
    minutes_float32: Annotated[float, msgspec.Meta(gt=0)] = 9.6
    """On a CPU without bfloat16 units."""
    training_share: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    """Of the time for training and evaluation."""
    min_items: Positive = 60
    """Test items at least: with fewer the intervals of adapter and base may overlap."""


class DemoConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/demo.yaml`."""

    schema_version: Literal[1] = 1
    traffic: TrafficConfig = TrafficConfig()
    hosted: HostedConfig
    tier_2: str
    """The hosted model that Tier 2 stands for at the router."""
    tier_3: str
    tasks: Annotated[tuple[Task, ...], msgspec.Meta(min_length=1)]
    train_config: str = "smollm2-135m"
    """Name of a file in `configs/train/`."""
    stages: Stages = Stages()
    time_budget: TimeBudget | None = None
    """None: every stage has the size that `tasks` and `stages` state, however long that takes."""
    volume_scales: tuple[Annotated[float, msgspec.Meta(gt=0)], ...] = (1.0,)
    """Multiples of the log's own monthly volume for which the decision is made; 1 is the log's."""
    replay_requests: Positive = 60
    """Requests of the log that go through the router at the end."""

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
