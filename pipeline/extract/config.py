"""Settings of `fasttier extract` (`configs/extract.yaml`)."""

from typing import Annotated, Literal

import msgspec

from pipeline.dataset import SPLITS
from traffic.callsites import RequestType

Fraction = Annotated[float, msgspec.Meta(gt=0, lt=1)]


class SplitFractions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Share of the rows in each split, cut by time in this order; together 1."""

    train: Fraction = 0.6
    validation: Fraction = 0.1
    """Early stopping and the choice of a checkpoint."""
    calibration: Fraction = 0.1
    """Fits the map from confidence to probability."""
    threshold: Fraction = 0.1
    """Chooses the cut below which a request escalates."""
    test: Fraction = 0.1
    """The latest rows: only reports, nothing is chosen on it."""

    def __post_init__(self) -> None:
        total = sum(self.in_order())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the five fractions must add up to 1, they add up to {total:.4g}")

    def in_order(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in SPLITS)


class ExtractConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes a training row, and how the rows are cut."""

    splits: SplitFractions = SplitFractions()
    min_rows: Annotated[int, msgspec.Meta(ge=5)] = 100
    """Fewer rows than this after all filters is an error: nothing could be learnt, or shown."""
    max_train_rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on the train split; None: no cap. The other splits are never capped."""
    cap: Literal["latest", "sample"] = "latest"
    """Which train rows stay under the cap: the latest ones, or a seeded sample."""
    seed: int = 0
    """Seed of that sample; nothing else here is random."""
    tier: Literal[1, "any"] = 1
    """1: only requests of Tier 1, as logged or else by the rules. any: whatever the call site sends."""
    request_type: RequestType | None = None
    """None: the call site's entry, else what the log says, else the rules' majority."""
    discover_checks: bool = True
    """Find the label set or the JSON schema in the log where the call site's entry gives no checks."""
    label_min_rows: Annotated[int, msgspec.Meta(ge=1)] = 5
    """An answer that no label list in the prompt names is a label only if it occurs this often ..."""
    label_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.002
    """... and in this share of the answers."""
    template_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    """A prompt shape rarer than this is no template; its rows are left out."""
