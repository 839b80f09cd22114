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
    """Groups that never cross splits. With `user`, no user of the test split is in the train split; the rows of a user
    stay together, so that only the first rows of groups are in time order."""
    max_group_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """Largest share of rows in one group. A larger group (a job with one session id for all) is divided, and rows that
    would leak are dropped."""

    def __post_init__(self) -> None:
        total = sum(self.in_order())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the five fractions must add up to 1, they add up to {total:.4g}")

    def in_order(self) -> tuple[float, ...]:
        return tuple(getattr(self, name) for name in SPLITS)


class RightsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose requests and answers may be used for training."""

    opted_out: str | None = None
    """File with the ids of customers and users who opted out, one a line (or the first column of a CSV)."""
    cohort_flag: str = "training"
    """Records whose cohort says `false` under this key are left out."""
    confirmed: tuple[str, ...] = ()
    """Rows of configs/rights.yaml whose terms you confirm to allow this use."""
    confirmed_on: dt.date | None = None
    """Date of that check; recorded in dataset.yaml."""
    table: str | None = None
    """Path of a table to use instead of configs/rights.yaml."""


class NearDuplicates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Similarity thresholds over character shingles; case, whitespace and punctuation are ignored."""

    drop_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 1.0
    """Texts of one call site that are this similar are copies: one row is kept."""
    group_at: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.7
    """Texts that are this similar stay in the same split."""
    same_numbers: bool = True
    """Texts with different digits are different requests, such as another order number or amount."""

    def __post_init__(self) -> None:
        if self.group_at > self.drop_at:
            raise ValueError(f"group_at {self.group_at} must not be above drop_at {self.drop_at}")


class Balance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Train rows of each call site where a task has several."""

    temperature: Annotated[float, msgspec.Meta(ge=1)] = 2.0
    """A call site of n rows contributes in proportion to n^(1/temperature); one of median size contributes all rows.
    1: as in the log; higher values make the call sites more equal."""
    max_rows_per_call_site: Annotated[int, msgspec.Meta(ge=1)] | None = None


class LabelQualityConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Handling of answers that are probably wrong."""

    action: Literal["off", "list", "weight", "drop"] = "list"
    """list: written to suspects.csv for review. weight: suspects of train and validation also get `weight`. drop: they
    are removed. Answers given by people are never changed."""
    threshold: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.08
    """A label is a suspect if p(given) / (p(given) + p(best other)) is below this value; an empty JSON field, if the
    probability that it should be empty is."""
    weight: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.3
    folds: Annotated[int, msgspec.Meta(ge=2, le=20)] = 5
    """Cross-validation folds; a group is never in both parts of a fold."""
    min_rows: Annotated[int, msgspec.Meta(ge=10)] = 50
    """Call sites with fewer rows in train and validation are skipped."""


class EscalatedConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers of a higher tier to escalated requests."""

    max_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    """Largest share of train rows. These are the hard requests: a model trained on them alone forgets the easy ones."""


class PrivacyConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Handling of personal data in prompts and answers."""

    action: Literal["redact", "exclude", "keep"] = "redact"
    """redact: a placeholder such as <EMAIL_1> in its place; rows whose answer needs the value are left out.
    exclude: every row with personal data is left out. keep: nothing is changed; `allow` must name every type."""
    allow: tuple[PersonalType, ...] = ()
    """Types that are not replaced, in prompts and answers; reported in `dataset.yaml` and on the terminal."""
    phone_regions: tuple[Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")], ...] = PHONE_REGIONS
    """Countries (ISO 3166) whose national phone number formats are recognised; international numbers always are."""
    ner_model: str | None = None
    """spaCy pipeline that recognises names: a package, a folder, or `none`. None: an installed package, if any."""

    def __post_init__(self) -> None:
        missing = [kind for kind in PERSONAL_TYPES if kind not in self.allow]
        if self.action == "keep" and missing:
            raise ValueError(f"action keep needs every type under allow by name; missing: {', '.join(missing)}")


class ExtractConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests become training rows, and how rows are split."""

    splits: SplitFractions = SplitFractions()
    near_duplicates: NearDuplicates = NearDuplicates()
    balance: Balance = Balance()
    min_rows: Annotated[int, msgspec.Meta(ge=5)] = 100
    """Fewer rows than this after all filters is an error: too few to train on and to evaluate."""
    max_train_rows: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Cap on the train split over all call sites; None: no cap. The other splits are never capped."""
    cap: Literal["latest", "sample"] = "latest"
    """Which train rows are kept under the cap: the latest, or a seeded sample."""
    seed: int = 0
    """Seed of that sample and of MinHash; nothing else in this stage is random."""
    processes: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Worker processes of the search for personal data; None: one per core for large logs. The result is the same."""
    tier: Literal[1, "any"] = 1
    """1: only Tier 1 requests, by the logged tier or else by the rules. any: all requests of the call site."""
    request_type: RequestType | None = None
    """None: the call site's entry, else what the log says, else the rules' majority."""
    reasoning: Literal["strip", "keep"] = "strip"
    """Blocks of reasoning in front of an answer (`<think>...</think>`): left out of completions, or trained on."""
    discover_checks: bool = True
    """Find the label set or the JSON schema in the log where the call site's entry gives no checks."""
    label_min_rows: Annotated[int, msgspec.Meta(ge=1)] = 5
    """An answer that no list in the prompt names is a label only if it occurs this often ..."""
    label_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.002
    """... and in this share of the answers."""
    template_min_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.02
    """A prompt shape rarer than this is no template; its rows are left out."""
    rights: RightsConfig = RightsConfig()
    label_quality: LabelQualityConfig = LabelQualityConfig()
    escalated: EscalatedConfig = EscalatedConfig()
    privacy: PrivacyConfig = PrivacyConfig()
