"""The decision as it is written: `decisions/<task>@<date>-<hash8>.yaml`."""

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.decide.break_even import BreakEven
from pipeline.decide.costs import CostModel
from pipeline.decide.quality import Quality, QualityVerdict
from pipeline.decide.verdict import Side, State, VerdictName, label
from pipeline.decide.volume import Volume
from pipeline.evaluate.config import Kind
from pipeline.evaluate.items import ReferenceSource
from pipeline.gate.cohorts import Outcome, Promotion
from pipeline.gate.references import References
from traffic import config
from traffic.artifacts import hash8, slug


class AtScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate at one volume."""

    scale: float
    requests_per_month: float
    cost_per_month_usd: float | None
    """None: unpriced."""
    machines: int = 0


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to answer the task's requests."""

    name: str
    kind: Kind | Literal["listed"]
    """listed: priced, but not evaluated."""
    side: Side
    state: State
    why: str
    """Why it has this state."""
    simulated: bool
    model: str | None
    adapter: str | None
    deprecated_on: dt.date | None
    quality: Quality
    latency_p50_ms: float | None = None
    latency_p95_ms: float | None = None
    cost: CostModel | None
    """None: unpriced."""
    basis: str
    """How the cost was reckoned, in words."""
    at: tuple[AtScale, ...]
    """By volume scale, in the order of the configuration."""
    cost_per_1k_usd: float | None
    """At the volume that the verdict is about: an idle machine's hours are in it."""
    break_even: BreakEven | None = None
    """Of an own model, against the cheapest adequate bought one."""
    notes: tuple[str, ...] = ()
    evaluation: str | None = None
    """Name of the folder below `evaluations/`."""
    promotion: Promotion | None = None
    """Whose requests it may have; None for the incumbent, and where nothing was evaluated."""
    mlflow_run_id: str | None = None

    @property
    def label(self) -> str:
        return label(self.name, simulated=self.simulated)


class ScaleVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The verdict at one volume."""

    scale: float
    requests_per_month: float
    verdict: VerdictName
    cheapest: str | None
    """The cheapest adequate candidate; it wins unless the verdict is to wait."""
    runner_up: str | None
    """The cheapest adequate one of the other side."""
    simulated: bool
    """The verdict rests on a simulated candidate."""
    reasons: tuple[str, ...]


class CohortVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The verdict for one cohort: its own quality; its costs as `basis` says."""

    key: str
    value: str
    n: int
    verdict: VerdictName
    cheapest: str | None
    simulated: bool
    basis: Literal["task", "alone"]
    """task: the task is built for anyway, the cohort shares its machines; alone: the cohort's volume pays for them."""
    quality: dict[str, QualityVerdict]
    """By candidate."""
    reasons: tuple[str, ...]
    adapter: str | None = None
    """What the verdict says to build for it, where that is an adapter."""
    outcome: dict[str, Outcome] = {}
    """By candidate what the gate says: promoted, stays with the incumbent, degraded."""
    calibrations: dict[str, str] | None = None
    """As the decision's own, of what the verdict says to build for it."""


class EvidenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation that the decision rests on."""

    candidate: str
    evaluation: str
    sha256: str
    """Of its scores.yaml without `created_at`."""
    mlflow_run_id: str | None


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A documented decision."""

    schema_version: Literal[1, 2] = 2
    task: str
    verdict: VerdictName
    expires: dt.date
    """Last day on which it counts."""
    decided: dt.date
    winner: str | None
    """What to build or to buy; None while the verdict is to wait."""
    adapter: str | None
    """`<task>@<hash8>` if the verdict is to build with an adapter: the only one that it speaks for."""
    calibrations: dict[str, str] | None = None
    """Where a cascade is to be built: the folder below `calibrations/` of each call site's calibration that it was
    judged with, and `register` deploys. None: what is built, if anything, is no cascade."""
    promotion: Promotion | None = None
    """Of the winner, without its cohorts' tests: whose requests it may have. What `register` goes by."""
    references: References | None = None
    """How far the winner's comparison (while there is none, the leading own candidate's) rests on people's labels."""
    asked_about: str | None = None
    """The candidate whose differences from the incumbent are worth a person's label: they stand in `.ask.csv`."""
    simulated: bool
    """The verdict rests on a simulated candidate."""
    scale: float
    """Multiple of the log's volume that the verdict is about."""
    dataset: str
    split: str
    reference: ReferenceSource
    compared_with: str
    margin: float
    alpha: float
    items: int
    reasons: tuple[str, ...]
    volume: Volume
    candidates: tuple[Candidate, ...]
    """The reference first."""
    scales: tuple[ScaleVerdict, ...]
    cohorts: tuple[CohortVerdict, ...]
    evidence: tuple[EvidenceFile, ...]
    left_out: dict[str, str]
    """Candidates whose evaluation does not count, with the reason."""
    config: dict[str, Any]
    created_at: dt.datetime | None = None
    """When it was last made with this content (UTC): decides which one is current. None: made by schema version 1."""
    mlflow_run_id: str | None = None

    @property
    def name(self) -> str:
        """`<task>@<date>-<hash8>`; the hash is over all but its time and the MLflow runs of this decision."""
        candidates = tuple(msgspec.structs.replace(each, mlflow_run_id=None) for each in self.candidates)
        content = msgspec.structs.replace(self, candidates=candidates, created_at=None, mlflow_run_id=None)
        return f"{slug(self.task)}@{self.decided}-{hash8(msgspec.to_builtins(content))}"

    def candidate(self, name: str) -> Candidate:
        """Raises: KeyError."""
        return {each.name: each for each in self.candidates}[name]

    def label(self, name: str | None) -> str:
        """A candidate's name as it is shown, `-` for none."""
        return "-" if name is None else self.candidate(name).label


def load(path: Path) -> Decision:
    """Raises: NotFound, ConfigError."""
    return config.load(path, Decision)
