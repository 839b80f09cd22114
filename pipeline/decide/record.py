"""Contents of a decision: `decisions/<task>@<date>-<hash8>.yaml`."""

import datetime as dt
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.decide.costs import BreakEven, CostModel
from pipeline.decide.quality import Quality, QualityVerdict, State
from pipeline.decide.volume import Volume
from pipeline.evaluate.config import Kind
from pipeline.evaluate.items import ReferenceSource
from pipeline.gate.cohorts import Outcome, Promotion
from pipeline.gate.references import References
from traffic import config
from traffic.artifacts import hash8, slug

Side = Literal["build", "buy"]
VerdictName = Literal["build", "buy", "wait"]


def label(name: str, *, simulated: bool) -> str:
    """A candidate's displayed name; numbers of a stand-in are always marked."""
    return f"{name} (simulated)" if simulated else name


class AtScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A candidate's cost at one volume."""

    scale: float
    requests_per_month: float
    cost_per_month_usd: float | None
    """None: unpriced."""
    machines: int = 0


class Candidate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One way to answer the task's requests."""

    name: str
    kind: Kind | Literal["listed"]
    """listed: priced but not evaluated."""
    side: Side
    state: State
    why: str
    """Reason for the state."""
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
    """Explanation of the cost."""
    at: tuple[AtScale, ...]
    """By volume scale, in the order of the configuration."""
    cost_per_1k_usd: float | None
    """At the decision's volume, including idle machine hours."""
    break_even: BreakEven | None = None
    """Of an own model, against the cheapest adequate bought one."""
    notes: tuple[str, ...] = ()
    evaluation: str | None = None
    """Name of the folder below `evaluations/`."""
    promotion: Promotion | None = None
    """Requests that it may answer; None for the incumbent and for candidates without an evaluation."""
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
    """The cheapest adequate candidate; the winner unless the verdict is to wait."""
    runner_up: str | None
    """The cheapest adequate one of the other side."""
    simulated: bool
    """The verdict depends on a simulated candidate."""
    reasons: tuple[str, ...]


class CohortVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The verdict for one cohort, from its own quality and the costs of `basis`."""

    key: str
    value: str
    n: int
    verdict: VerdictName
    cheapest: str | None
    simulated: bool
    basis: Literal["task", "alone"]
    """task: the cohort shares the task's machines; alone: its volume pays for them."""
    quality: dict[str, QualityVerdict]
    """By candidate."""
    reasons: tuple[str, ...]
    adapter: str | None = None
    """Adapter to build for it, if the verdict says so."""
    outcome: dict[str, Outcome] = {}
    """Outcome of the gate by candidate: promoted, stays with the incumbent, degraded."""
    calibrations: dict[str, str] | None = None
    """Like the decision's own, for the cohort's winner."""


class EvidenceFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One evaluation that the decision is based on."""

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
    """Last day of validity."""
    decided: dt.date
    winner: str | None
    """Candidate to build or buy; None for "wait"."""
    adapter: str | None
    """`<task>@<hash8>` if the verdict is to build with an adapter; the verdict is valid for this adapter only."""
    calibrations: dict[str, str] | None = None
    """If a cascade is built: call site to the folder below `calibrations/` that it was evaluated with; `register`
    deploys it. None: no cascade is built."""
    promotion: Promotion | None = None
    """Requests that the winner may answer, without the cohorts' tests; used by `register`."""
    references: References | None = None
    """Share of the comparison of the winner (or the leading own candidate) that is based on human labels."""
    asked_about: str | None = None
    """Candidate whose differences from the incumbent are in `.ask.csv` for people to label."""
    simulated: bool
    """The verdict depends on a simulated candidate."""
    scale: float
    """Multiple of the log's volume that the verdict is for."""
    dataset: str
    split: str
    reference: ReferenceSource
    compared_with: str
    margin: float
    alpha: float
    items: int
    requests: int | None = None
    """Logged requests that the items stand for; None in decisions of earlier versions."""
    reasons: tuple[str, ...]
    volume: Volume
    candidates: tuple[Candidate, ...]
    """The incumbent first."""
    scales: tuple[ScaleVerdict, ...]
    cohorts: tuple[CohortVerdict, ...]
    evidence: tuple[EvidenceFile, ...]
    left_out: dict[str, str]
    """Candidates whose evaluation does not count, with the reason."""
    without_case: dict[str, str] = {}
    """Adapters for which a classifier is as good and no dearer, with the reason."""
    config: dict[str, Any]
    created_at: dt.datetime | None = None
    """Time (UTC) at which this content was last written; the newest is current. None in schema version 1."""
    mlflow_run_id: str | None = None

    @property
    def name(self) -> str:
        """`<task>@<date>-<hash8>`; the hash covers all fields but `created_at` and the MLflow run ids."""
        candidates = tuple(msgspec.structs.replace(candidate, mlflow_run_id=None) for candidate in self.candidates)
        content = msgspec.structs.replace(self, candidates=candidates, created_at=None, mlflow_run_id=None)
        return f"{slug(self.task)}@{self.decided}-{hash8(msgspec.to_builtins(content))}"

    def candidate(self, name: str) -> Candidate:
        """Raises: KeyError."""
        return {candidate.name: candidate for candidate in self.candidates}[name]

    def label(self, name: str | None) -> str:
        """A candidate's displayed name, `-` for none."""
        return "-" if name is None else self.candidate(name).label


def load(path: Path) -> Decision:
    """Raises: NotFound, ConfigError."""
    return config.load(path, Decision)
