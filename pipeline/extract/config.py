"""Settings of `fasttier extract` (`configs/extract.yaml`)."""

import datetime as dt
from typing import Annotated, Literal

import msgspec

from pipeline.dataset import SPLITS
from traffic.callsites import RequestType
from traffic.redaction import PERSONAL_TYPES, PHONE_REGIONS, PersonalType

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
    group_by: tuple[Literal["near_duplicates", "session", "user"], ...] = ("near_duplicates", "session")
    """What never crosses splits. With `user`, the test split has only users of whom nothing was learnt; their rows
    stay together, so that only the groups' first rows are in the order of time."""
    max_group_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """Of the rows, in one group: a larger one (a job with one session id for all) is cut, and its rows that would
    leak are left out."""

    def __post_init__(self) -> None:
        total = sum(self.in_order())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the five fractions must add up to 1, they add up to {total:.4g}")

    def in_order(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in SPLITS)


class RightsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose requests and answers may be trained on."""

    opted_out: str | None = None
    """File with the ids of customers and users who opted out, one a line (or the first column of a CSV)."""
    cohort_flag: str = "training"
    """Records whose cohort says `false` under this key are left out."""
    confirmed: tuple[str, ...] = ()
    """Rows of configs/rights.yaml whose terms, as you confirm by naming them, allow this use."""
    confirmed_on: dt.date | None = None
    """The day on which that was checked; stands in dataset.yaml."""
    table: str | None = None
    """Another table than configs/rights.yaml."""


class NearDuplicates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How alike two texts must be, by their character shingles: case, whitespace and punctuation never count."""

    drop_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Texts of one call site that are this much alike are copies: one row of them stays."""
    group_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7
    """Texts that are this much alike stand in the same split."""
    same_numbers: bool = True
    """Texts with different digits are different requests: another order, another amount."""

    def __post_init__(self) -> None:
        if self.group_at > self.drop_at:
            raise ValueError(f"group_at {self.group_at} must not be above drop_at {self.drop_at}")


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Train rows of each call site where a task has several."""

    temperature: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    """A call site of n rows gives some in proportion to n^(1/temperature), but one of median size gives all of them.
    1: as the log has them; the higher, the more alike."""
    max_rows_per_call_site: Annotated[int, msgspec.Meta(ge=1)] | None = None


class LabelQualityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is done about answers that are probably wrong."""

    action: Literal["off", "list", "weight", "drop"] = "list"
    """list: only into suspects.csv, for people to look at. weight: suspects of train and validation also get `weight`.
    drop: they are left out. An answer that a person gave is never touched."""
    threshold: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.08
    """A label is doubted when p(given) / (p(given) + p(best other)) is under this; an empty JSON field, when the
    probability that it is rightly empty is."""
    weight: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.3
    folds: Annotated[int, msgspec.Meta(ge=2, le=20)] = 5
    """Of the cross-validation; a group is never on both sides."""
    min_rows: Annotated[int, msgspec.Meta(ge=10)] = 50
    """Call sites with fewer rows in train and validation are not judged."""


class EscalatedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers of a higher tier to requests that a small model gave up on."""

    max_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Of the train rows. These are the hard requests: a model trained on them alone forgets the easy ones."""


class PrivacyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What happens to personal data in prompts and answers."""

    action: Literal["redact", "exclude", "keep"] = "redact"
    """redact: a placeholder such as <EMAIL_1> in its place; rows whose answer needs the value are left out.
    exclude: every row with personal data is left out. keep: nothing is changed; `allow` must name every type."""
    allow: tuple[PersonalType, ...] = ()
    """Types that stay as they are, in prompts and answers; `dataset.yaml` and the terminal say so."""
    phone_regions: tuple[Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")], ...] = PHONE_REGIONS
    """Countries (ISO 3166) whose national way of writing phone numbers is looked for; +CC is, everywhere."""
    ner_model: str | None = None
    """spaCy pipeline that finds names: a package, a folder, or `none`. None: an installed package, if there is one."""

    def __post_init__(self) -> None:
        missing = [kind for kind in PERSONAL_TYPES if kind not in self.allow]
        if self.action == "keep" and missing:
            raise ValueError(f"action keep needs every type under allow by name; missing: {', '.join(missing)}")


class ExtractConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes a training row, and how the rows are cut."""

    splits: SplitFractions = SplitFractions()
    near_duplicates: NearDuplicates = NearDuplicates()
    balance: Balance = Balance()
    min_rows: Annotated[int, msgspec.Meta(ge=5)] = 100
    """Fewer rows than this after all filters is an error: nothing could be learnt, or shown."""
    max_train_rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on the train split, of all call sites together; None: no cap. The other splits are never capped."""
    cap: Literal["latest", "sample"] = "latest"
    """Which train rows stay under the cap: the latest ones, or a seeded sample."""
    seed: int = 0
    """Seed of that sample and of MinHash; nothing else here is random."""
    processes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """For the search for personal data; None: one per core where it is worth them. The result is the same."""
    tier: Literal[1, "any"] = 1
    """1: only requests of Tier 1, as logged or else by the rules. any: whatever the call site sends."""
    request_type: RequestType | None = None
    """None: the call site's entry, else what the log says, else the rules' majority."""
    reasoning: Literal["strip", "keep"] = "strip"
    """Blocks of reasoning in front of an answer (`<think>...</think>`): left out of completions, or trained on."""
    discover_checks: bool = True
    """Find the label set or the JSON schema in the log where the call site's entry gives no checks."""
    label_min_rows: Annotated[int, msgspec.Meta(ge=1)] = 5
    """An answer that no label list in the prompt names is a label only if it occurs this often ..."""
    label_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.002
    """... and in this share of the answers."""
    template_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    """A prompt shape rarer than this is no template; its rows are left out."""
    rights: RightsConfig = RightsConfig()
    label_quality: LabelQualityConfig = LabelQualityConfig()
    escalated: EscalatedConfig = EscalatedConfig()
    privacy: PrivacyConfig = PrivacyConfig()
