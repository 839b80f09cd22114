"""Calibration file of `fasttier calibrate` (`calibration.yaml`): signal, curve, threshold and their error rates.

    data/calibrations/<call site>@<hash8>/{calibration.yaml, curve.svg, reliability.svg}

Written by `pipeline`, named in the deployment table by `serving`, read by `router`.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from traffic import artifacts, config
from traffic.artifacts import Home
from traffic.confidence import Curve, Feature, Signal, Threshold
from traffic.errors import InputError

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
FILE = "calibration.yaml"
RENAMED = {"created": "created_at"}
"""Keys of schema version 1."""

Rule = Literal["target", "escalation", "given"]
"""What sets the threshold: the certified target risk, the maximum escalation rate, or a file written by hand."""


class KeptAnswers(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Number of requests that a threshold keeps, and of wrong answers among them."""

    threshold: float
    """Answers with at least this probability are kept."""
    items: int
    kept: int
    errors: int
    """Wrong answers among the kept ones."""
    bound: float
    """Exact (Clopper-Pearson) upper bound of the error among kept answers; 1 if none is kept. Counts of dependent rows
    are divided by their design effect."""
    confidence: float
    """Confidence level of the bound."""

    @property
    def error(self) -> float:
        """Share of wrong answers among the kept ones; 0 if none is kept."""
        return self.errors / self.kept if self.kept else 0.0

    @property
    def escalation(self) -> float:
        """Share of items that escalate."""
        return (self.items - self.kept) / self.items if self.items else 0.0


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`calibration.yaml` of one candidate at one call site. A file written by hand needs only signal and threshold."""

    schema_version: Literal[1, 2] = 2
    call_site: str | None = None
    task: str | None = None
    candidate: str | None = None
    """Name of the candidate that was calibrated."""
    kind: str | None = None
    """Kind of the candidate: adapter, encoder or classical."""
    adapter: str | None = None
    """`<task>@<hash8>`: the calibration is valid only for this adapter or classifier."""
    dataset: str | None = None
    """`<task>@<hash8>`."""
    reference: str | None = None
    """How answers were graded, as text: by human labels, or by agreement with the logged answers."""
    signal: Signal | Literal["combined"]
    weights: dict[Feature, float] = {}
    """For `combined`: the score is the weighted sum of these features."""
    curve: Curve | None = None
    """Maps the score to P(answer is right). None: the threshold applies to the signal itself."""
    method: str | None = None
    """How signal and curve were chosen, as text."""
    fitted_on: int = 0
    """Items of the calibration split that the curve was fitted on."""
    n: int = 0
    """Items of the threshold split."""
    rule: Rule = "given"
    threshold: float | None
    """Answers below it escalate, as do answers that fail their checks. None: no threshold could be certified."""
    target_risk: Share | None = None
    """Largest accepted error among kept answers."""
    confidence: Share | None = None
    """Confidence level of the bounds."""
    achieved_risk: Share | None = None
    """Error among the kept answers of the threshold split."""
    achieved_risk_bound: Share | None = None
    """Exact upper bound of `achieved_risk`."""
    expected_escalation_rate: Share | None = None
    """On the threshold split, including answers that fail their checks."""
    expected_escalation_low: Share | None = None
    """95% interval of the rate."""
    expected_escalation_high: Share | None = None
    usd_per_1k: float | None = None
    """Expected cost of 1,000 requests including escalations to Tier 2; None if a part is unpriced."""
    base_risk: Share | None = None
    """Error on the threshold split if every answer were kept; unusable ones count as wrong."""
    infeasible: str | None = None
    """Why the target could not be certified."""
    at_escalation: KeptAnswers | None = None
    """Result on the threshold split with the threshold of the maximum escalation rate."""
    test_reference: str | None = None
    """How answers of the test split were graded, as text; it may have labels that the other splits lack."""
    test: KeptAnswers | None = None
    """Result of `threshold` on the test split."""
    test_at_escalation: KeptAnswers | None = None
    """Result of the threshold of `at_escalation` on the test split."""
    expected_calibration_error: float | None = None
    """On the threshold split, at most ten equally filled bins."""
    notes: tuple[str, ...] = ()
    created_at: datetime | None = None
    """When a stage last wrote this content (UTC); decides which one is current."""
    mlflow_run_id: str | None = None

    @property
    def cut(self) -> Threshold | None:
        """The threshold in the form that answers are compared with; None without a threshold."""
        if self.threshold is None:
            return None
        return Threshold(self.signal, self.threshold, tuple(self.weights.items()), self.curve)


def load(path: Path) -> Calibration:
    """Raises: NotFound, ConfigError."""
    return config.load(path, Calibration, renamed=RENAMED)


def load_cut(path: Path) -> Threshold:
    """The threshold of a file. Raises: NotFound, ConfigError, InputError if no threshold was certified."""
    cut = load(path).cut
    if cut is None:
        raise InputError(f"{path} has no threshold: nothing could be certified; calibrate with another target")
    return cut


def current(
    home: Home, call_site: str, *, candidate: str | None = None, adapter: str | None = None, dataset: str | None = None
) -> Path | None:
    """The current calibration of a call site, optionally of a candidate, adapter and dataset."""
    calibration = artifacts.current(
        home, artifacts.CALIBRATION, call_site=call_site, candidate=candidate, adapter=adapter, dataset=dataset
    )
    return calibration.path / FILE if calibration else None
