"""What `fasttier calibrate` leaves behind (`calibration.yaml`): signal, curve, threshold, and what they achieve.

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
"""What the threshold follows from: the certified target risk, the largest escalation rate, or a person's own file."""


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a threshold keeps of some requests, and how many of the kept are wrong."""

    threshold: float
    """Answers with at least this probability are kept."""
    items: int
    kept: int
    errors: int
    """Wrong ones among the kept."""
    bound: float
    """Exact (Clopper-Pearson) upper bound of the error among kept answers, of the counts divided by their design effect
    where rows hang together; 1 where none is kept."""
    confidence: float
    """Of the bound."""

    @property
    def error(self) -> float:
        """Share of wrong ones among the kept; 0 where none is kept."""
        return self.errors / self.kept if self.kept else 0.0

    @property
    def escalation(self) -> float:
        """Share of the items that escalates."""
        return (self.items - self.kept) / self.items if self.items else 0.0


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`calibration.yaml`: of one candidate at one call site. Only signal and threshold are needed to use it."""

    schema_version: Literal[1, 2] = 2
    call_site: str | None = None
    task: str | None = None
    candidate: str | None = None
    """Name of the candidate that was calibrated."""
    kind: str | None = None
    """Its kind: adapter, classical."""
    adapter: str | None = None
    """`<task>@<hash8>`: the only adapter that it speaks for."""
    dataset: str | None = None
    """`<task>@<hash8>`."""
    reference: str | None = None
    """What answers were judged by, in words: human labels, or agreement with the logged answers."""
    signal: Signal | Literal["combined"]
    weights: dict[Feature, float] = {}
    """Of `combined`: the score is the weighted sum of these features."""
    curve: Curve | None = None
    """From the score to the probability that the answer is right. None: the threshold is about the signal itself."""
    method: str | None = None
    """How signal and curve were found, in words."""
    fitted_on: int = 0
    """Items of the calibration split that the curve was fitted on."""
    n: int = 0
    """Items of the threshold split."""
    rule: Rule = "given"
    threshold: float | None
    """Answers with less escalate, as those do that fail their checks. None: nothing could be certified."""
    target_risk: Share | None = None
    """Largest error among kept answers that was asked for."""
    confidence: Share | None = None
    """Of the bounds."""
    achieved_risk: Share | None = None
    """Error among the kept answers of the threshold split."""
    achieved_risk_bound: Share | None = None
    """Its exact upper bound."""
    expected_escalation_rate: Share | None = None
    """On the threshold split, answers that fail their checks included."""
    expected_escalation_low: Share | None = None
    """95% interval of the rate."""
    expected_escalation_high: Share | None = None
    usd_per_1k: float | None = None
    """Expected cost of 1,000 requests, the escalated ones at Tier 2 included; None where a part is unpriced."""
    base_risk: Share | None = None
    """Error on the threshold split if every answer were kept; unusable ones count as wrong."""
    infeasible: str | None = None
    """Why the target could not be certified."""
    at_escalation: Kept | None = None
    """What the largest escalation rate would keep of the threshold split."""
    test_reference: str | None = None
    """What answers of the test split were judged by, in words; it may be better than what the others were."""
    test: Kept | None = None
    """What the threshold in force keeps of the test split."""
    test_at_escalation: Kept | None = None
    """What the threshold of `at_escalation` keeps of the test split."""
    expected_calibration_error: float | None = None
    """On the threshold split, ten equally filled bins."""
    notes: tuple[str, ...] = ()
    created_at: datetime | None = None
    """When it was last made with this content (UTC): decides which one is current."""
    mlflow_run_id: str | None = None

    @property
    def cut(self) -> Threshold | None:
        """The threshold as an answer is compared with it; None where there is none."""
        if self.threshold is None:
            return None
        return Threshold(self.signal, self.threshold, tuple(self.weights.items()), self.curve)


def load(path: Path) -> Calibration:
    """Raises: NotFound, ConfigError."""
    return config.load(path, Calibration, renamed=RENAMED)


def load_cut(path: Path) -> Threshold:
    """The threshold of a file. Raises: NotFound, ConfigError, InputError where nothing was certified."""
    found = load(path).cut
    if found is None:
        raise InputError(f"{path} has no threshold: nothing could be certified; calibrate with another target")
    return found


def current(
    home: Home, call_site: str, *, candidate: str | None = None, adapter: str | None = None, dataset: str | None = None
) -> Path | None:
    """The current calibration of a call site, of this candidate, adapter and dataset where they are named."""
    found = artifacts.current(
        home, artifacts.CALIBRATION, call_site=call_site, candidate=candidate, adapter=adapter, dataset=dataset
    )
    return found.path / FILE if found else None
