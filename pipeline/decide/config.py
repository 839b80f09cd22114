"""Configuration of a decision (`configs/decide.yaml`)."""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from pipeline.gate.cohorts import Degraded, Unsettled

ClusterBy = Literal["group", "session", "user", "customer"]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]
Scale = Annotated[float, msgspec.Meta(gt=0)]


class Rival(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hosted model that is priced without an evaluation."""

    name: Annotated[str, msgspec.Meta(min_length=1)]
    model: str
    """Model name in the price table."""
    provider: str | None = None


class DecideConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/decide.yaml`."""

    schema_version: Literal[1] = 1
    split: str = "test"
    """Split whose evaluations count."""
    margin: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.02
    """Non-inferiority margin: how much worse than the incumbent an adequate candidate may be, as a fraction."""
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.05
    """Probability of calling a candidate adequate that is worse by the margin."""
    incumbent: str | None = None
    """Candidate that the others are tested against; None: the logged answers."""
    min_cohort_items: Annotated[int, msgspec.Meta(ge=1)] = 50
    """Cohorts with fewer items are not tested and get no verdict."""
    cohort_keys: tuple[str, ...] | None = None
    """Cohort keys to test by value; None: all keys of the log; empty: only the whole."""
    degraded_cohorts: Degraded = "carve_out"
    """Effect of a cohort that is worse by more than the margin: it stays with the incumbent, blocks the candidate, or
    is only reported. A label group cannot be carved out: it blocks."""
    unsettled_cohorts: Unsettled = "stay"
    """Cohorts with too little evidence: stay with the incumbent, or follow the whole."""
    label_groups: dict[str, tuple[str, ...]] = {}
    """Label patterns by group; by default common, rare and new labels, by frequency in the training rows."""
    cluster_by: ClusterBy = "group"
    """Clusters of dependent items: group (sessions and near-duplicates of the dataset), or the records' session, user
    or customer."""
    volume_scales: Annotated[tuple[Scale, ...], msgspec.Meta(min_length=1)] = (1.0, 10.0, 100.0)
    """Multiples of the log's monthly volume for costs and verdicts."""
    decide_at: Scale = 1.0
    """The multiple that the decision is made for."""
    expires_after_days: Annotated[int, msgspec.Meta(ge=1)] = 90
    """Validity of the decision. Fine-tuning is amortised over it; models that are retired before it ends are out."""
    share_of_machine: Share = 1.0
    """Share of each machine that this task pays for and may load; below 1 on shared machines."""
    utilisation: Share = 0.7
    """Planned share of the measured throughput in the busiest hour; the rest absorbs bursts."""
    own_fixed_usd_per_month: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Cost of running an own model besides machines, such as people's time."""
    training_machine: str | None = None
    """Machine of fine-tuning, a name in `configs/gpus.yaml`; None: the machine that serves the candidate."""
    min_log_hours: Annotated[float, msgspec.Meta(gt=0)] = 24.0
    """Minimum length of the log for a monthly volume."""
    log_from: dt.date | None = None
    """First day (UTC) of the records that count; None: no limit."""
    log_until: dt.date | None = None
    """First day (UTC) after the records that count; None: no limit."""
    rivals: tuple[Rival, ...] = ()
    """Hosted models to price in addition to the evaluated ones."""
    simulated_models: tuple[str, ...] = ("simulated-*",)
    """Patterns of logged model names whose answers came from a stand-in."""

    def __post_init__(self) -> None:
        if self.decide_at not in self.volume_scales:
            raise ValueError(f"decide_at {self.decide_at:g} is not one of volume_scales")
        names = [rival.name for rival in self.rivals]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        if duplicates:
            raise ValueError(f"rivals: duplicate name {duplicates[0]!r}")
        if self.log_from and self.log_until and self.log_until <= self.log_from:
            raise ValueError(f"log_until {self.log_until} must be later than log_from {self.log_from}")
