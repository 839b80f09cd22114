"""Settings of `fasttier calibrate` (`configs/calibrate.yaml`)."""

from typing import Annotated, Literal

import msgspec

Share = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class CalibrateConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`configs/calibrate.yaml`."""

    schema_version: Literal[1] = 1
    target_risk: Share = 0.02
    """Largest share of wrong ones among the answers that are kept."""
    confidence: Share = 0.95
    """With which the target must hold."""
    rule: Literal["target", "escalation"] = "target"
    """What the threshold in force follows from: the certified target, or `max_escalation` whatever error it leaves."""
    max_escalation: Share = 0.2
    """Largest share of requests that escalate; the error that it leaves is reported under both rules."""
    usual_escalation: tuple[Share, Share] = (0.10, 0.20)
    """An expected rate outside of this is pointed out: below it little is checked, above it little is saved."""
    isotonic_from: Annotated[int, msgspec.Meta(ge=2)] = 1000
    """Items of the calibration split from which on the curve is isotonic; with fewer it is Platt's."""
    min_items: Annotated[int, msgspec.Meta(ge=2)] = 30
    """Usable items of a call site in each of the two splits; with fewer it is left out."""
    cluster_by: Literal["group", "none"] = "group"
    """`group`: rows of one session or of almost the same text are no independent evidence. `none`, where sessions are
    batch jobs whose rows have nothing to do with each other."""
    tier_2: str = "teacher"
    """Candidate whose answers an escalation gets: for the cost, and for the cascade."""

    def __post_init__(self) -> None:
        if self.usual_escalation[0] >= self.usual_escalation[1]:
            raise ValueError("usual_escalation must be a lower and a higher share")
