"""Settings of a decision (`configs/decide.yaml`)."""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from pipeline.gate.cohorts import Degraded, Unsettled

ClusterBy = Literal["group", "session", "user", "customer"]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Scale = Annotated[float, msgspec.Meta(gt=0)]


class Rival(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hosted model that is priced although nobody evaluated it."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    model: str
    """As the price table calls it."""
    provider: str | None = None


class DecideConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/decide.yaml`."""

    schema_version: Literal[1] = 1
    split: str = "test"
    """Evaluations of this split count."""
    margin: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.02
    """A candidate may be so much worse than the reference, as a fraction, and is still adequate."""
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.05
    """Chance of calling a candidate adequate that is worse by the margin."""
    incumbent: str | None = None
    """Candidate that the others are tested against; None: the logged answers, what answers today."""
    min_cohort_items: Annotated[int, msgspec.Meta(ge=1)] = 50
    """Cohorts with fewer items are not tested and get no verdict of their own."""
    cohort_keys: tuple[str, ...] | None = None
    """Cohort keys whose values are tested one by one; None: all that the log has. Empty: only the whole."""
    degraded_cohorts: Degraded = "carve_out"
    """What a cohort does that gets worse by more than the margin: it stays with the incumbent, or blocks the
    candidate altogether, or is only reported. A label group cannot be carved out: it blocks."""
    unsettled_cohorts: Unsettled = "stay"
    """Cohorts with too little evidence stay with the incumbent, or follow the whole."""
    label_groups: dict[str, tuple[str, ...]] = {}
    """Patterns of labels by group; without any: common, rare and new labels, by the training rows."""
    cluster_by: ClusterBy = "group"
    """What is resampled whole: group (sessions and near-duplicates, as the dataset holds them together), or the
    records' session, user or customer."""
    volume_scales: Annotated[tuple[Scale, ...], msgspec.Meta(min_length=1)] = (1.0, 10.0, 100.0)
    """Multiples of the log's own monthly volume at which costs and a verdict are given."""
    decide_at: Scale = 1.0
    """The one of them whose verdict is the decision's."""
    expires_after_days: Annotated[int, msgspec.Meta(ge=1)] = 90
    """Prices move: the decision holds so long, fine-tuning is paid off over it, and models that end before are out."""
    share_of_machine: Share = 1.0
    """Share of each machine that this task pays for and may load; below 1 where other tasks share it."""
    utilisation: Share = 0.7
    """Share of the measured throughput that is planned for in the busiest hour; the rest carries bursts within it."""
    own_fixed_usd_per_month: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """What running an own model costs besides machines, such as people's time."""
    training_machine: str | None = None
    """What fine-tuning ran on, a name in `configs/gpus.yaml`; None: the machine that the candidate is served on."""
    min_log_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    """A shorter log says nothing about a month."""
    log_from: dt.date | None = None
    """First day (UTC) whose records count; None: all of the store."""
    log_until: dt.date | None = None
    """First day whose records no longer count."""
    rivals: tuple[Rival, ...] = ()
    """Hosted models to price beside the evaluated ones, so that a cheaper one is not overlooked."""
    simulated_models: tuple[str, ...] = ("simulated-*",)
    """Patterns of model names in the log that a stand-in answered for."""

    def __post_init__(self) -> None:
        if self.decide_at not in self.volume_scales:
            raise ValueError(f"decide_at {self.decide_at:g} is none of volume_scales")
        names = [rival.name for rival in self.rivals]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rivals: {twice[0]!r} stands there twice")
        if self.log_from and self.log_until and self.log_until <= self.log_from:
            raise ValueError(f"log_until {self.log_until} must be later than log_from {self.log_from}")
