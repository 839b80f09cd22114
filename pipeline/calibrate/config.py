"""Configuration of `fasttier calibrate` (`configs/calibrate.yaml`)."""

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class CalibrateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/calibrate.yaml`."""

    schema_version: Literal[1] = 1
    target_risk: Share = 0.02
    """Largest acceptable share of wrong answers among the kept ones."""
    confidence: Share = 0.95
    """Confidence level of the target."""
    rule: Literal["target", "escalation"] = "target"
    """The threshold follows from the certified target, or from `max_escalation` regardless of the error."""
    max_escalation: Share = 0.2
    """Largest share of requests that escalate; the resulting error is reported under both rules."""
    usual_escalation: tuple[Share, Share] = (0.10, 0.20)
    """Expected rates outside this range get a note: below it little is checked, above it little is saved."""
    isotonic_from: Annotated[int, msgspec.Meta(ge=2)] = 1000
    """Minimum items of the calibration split for an isotonic curve; with fewer, Platt scaling."""
    min_items: Annotated[int, msgspec.Meta(ge=2)] = 30
    """Minimum usable items of a call site in each of the two splits; with fewer the call site is left out."""
    cluster_by: Literal["group", "none"] = "group"
    """`group`: rows of one session and near-duplicates are not independent evidence. `none`: for logs whose sessions
    are batch jobs of unrelated rows."""
    tier_2: str = "teacher"
    """Candidate that answers escalated requests, for cost and cascade."""

    def __post_init__(self) -> None:
        if self.usual_escalation[0] >= self.usual_escalation[1]:
            raise ValueError("usual_escalation: expected a lower and a higher share")
