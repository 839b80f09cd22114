"""The task dataset: the rows that `extract` writes and `train` and `evaluate` read, and its card `dataset.yaml`.

    data/datasets/<task>@<hash8>/{train,validation,calibration,threshold,test}.parquet + dataset.yaml

Readable with `datasets.load_dataset("parquet", data_files=...)`.
"""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from traffic import config
from traffic.adapters import CallSitePrompts
from traffic.errors import InputError
from traffic.redaction import PersonalType

FILE = "dataset.yaml"
SPLITS = ("train", "validation", "calibration", "threshold", "test")
"""In the order of time: calibration fits probabilities, threshold chooses the cut, test only reports."""

LabelSource = Literal["human", "corrected", "escalated", "teacher"]

_TURNS = pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))


def row_schema(cohort_keys: tuple[str, ...]) -> pa.Schema:
    """Columns of a split; `cohort` is a struct of the keys that the log has (`datasets` cannot read maps)."""
    return pa.schema(
        [
            ("prompt", _TURNS),  # pruned: what the adapter is trained on and asked
            ("completion", _TURNS),  # one assistant turn
            ("original_prompt", _TURNS),  # as the application sent it, for all other candidates
            ("response_format", pa.string()),  # JSON text of the request's own, or null
            ("cohort", pa.struct([(key, pa.string()) for key in cohort_keys])),
            ("call_site", pa.string()),
            ("template", pa.string()),
            ("record_id", pa.string()),
            ("ts", pa.timestamp("us", tz="UTC")),
            ("label_source", pa.string()),
            ("weight", pa.float64()),
            ("group", pa.string()),  # id of the group's first row; a group is never split
            ("requests", pa.int64()),  # requests with this text in the log: duplicates are one row
            # The logged answer, as the candidate "teacher" is scored.
            (
                "logged",
                pa.struct(
                    [
                        ("text", pa.string()),
                        ("model", pa.string()),
                        ("input_tokens", pa.int64()),
                        ("output_tokens", pa.int64()),
                        ("latency_ms", pa.float64()),
                        ("cost_usd", pa.float64()),
                    ]
                ),
            ),
        ]
    )


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows removed by one filter; filters are listed in the order of application."""

    name: str
    removed: int
    reason: str


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One split: its size and the time it covers (ISO 8601, UTC; None when empty)."""

    rows: int
    first: str | None = None
    last: str | None = None


class ConfirmedTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider's terms, copied from `configs/rights.yaml`, that the user confirmed to allow this use."""

    name: str
    outputs: str
    clause: str
    source: str
    terms_read: str
    terms_verified: str
    confirmed_on: str | None = None
    """The day that the user stated, if any."""


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows left out for rights, and sources of the answers in the dataset."""

    opted_out: int = 0
    """Rows left out because customer or user opted out."""
    restricted: dict[str, int] = {}
    """Rows left out because their provider's terms restrict training on its answers, by row of the table."""
    answers: dict[str, int] = {}
    """Rows in the set whose label is a model's answer, by row of the table."""
    not_listed: dict[str, int] = {}
    """As `answers`, of providers that are not in the table: their terms were not checked."""
    confirmed: tuple[ConfirmedTerms, ...] = ()


class PromptTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A template and the time of its use."""

    id: str
    call_site: str
    requests: int
    """Matching requests, before the filters on answers."""
    share: float
    """Share of the call site's requests."""
    first: str
    last: str
    slots: int
    retired: bool = False
    """Not used in the time range of the test split."""


class PromptChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new template that replaced another."""

    call_site: str
    at: str
    from_template: str
    to_template: str
    lines_added: int
    lines_removed: int
    first_change: str = ""
    """The first changed line, short, with digits and addresses masked."""


class Prompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates in time order, and changes between them."""

    templates: tuple[PromptTemplate, ...] = ()
    changes: tuple[PromptChange, ...] = ()
    unmatched: dict[str, int] = {}
    """Requests without a template, by call site."""
    unmatched_lately: dict[str, float] = {}
    """Share of requests without a template in the last tenth of a call site's requests, if above one half."""


class Groups(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Groups of rows that are kept in one split, so that no test row is related to a training row."""

    by: tuple[str, ...] = ()
    groups: int = 0
    """Groups of more than one row."""
    rows: int = 0
    """Rows in these groups."""
    largest: int = 0
    near_duplicate_clusters: int = 0
    cut: int = 0
    """Number of merges that were not made because the group would have become too large."""


class Leakage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows of one split that are related to rows of an earlier split."""

    rows: int
    exact: int
    """The same text at the same call site; must be 0."""
    near: int
    """Almost the same text at any call site; must be 0. Found by a second MinHash with another seed."""
    sessions: int
    """Rows whose session is also in an earlier split (of groups that were cut)."""
    users: int
    """Rows whose user is also in an earlier split; informational, unless splits are grouped by user."""
    ngrams: int
    """Rows with at least one shared run of 8 words (or characters, in languages without spaces)."""
    ngrams_in_train: int
    """Of these, rows with a run that occurs in the train split; informational."""


class Arrival(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A label or a template that first occurred late in the log."""

    call_site: str
    value: str
    """The label, or the id of the template."""
    first_seen: str
    rows: int
    train_rows: int
    test_rows: int
    daily_share: dict[str, float]
    """Share of the call site's rows on each of the last seven days."""


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Labels and templates that first occurred late in the log."""

    labels: tuple[Arrival, ...] = ()
    templates: tuple[Arrival, ...] = ()


class PersonalData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Personal data in the rows that passed the checks: counts by type, and the action taken."""

    action: Literal["redact", "exclude", "keep"]
    found: dict[PersonalType, int] = {}
    """Values in prompts and answers, each counted once per row."""
    redacted: dict[PersonalType, int] = {}
    """Of these, values replaced by placeholders in the kept rows."""
    rows_excluded: dict[PersonalType, int] = {}
    """Rows left out for a value of the type; a row may be counted under several types."""
    allowed: tuple[PersonalType, ...] = ()
    """Types that the configuration allows: not redacted."""
    static: dict[PersonalType, tuple[str, ...]] = {}
    """Values in the fixed text of prompts, such as a support address: the company's own, not redacted."""
    names: str = ""
    """Method of finding names."""
    recognisers: dict[str, str] = {}
    """Versions of the packages and models used."""


class TaskDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dataset.yaml`."""

    schema_version: Literal[1, 2] = 2
    name: str
    """`<task>@<hash8>`; the hash covers rows, filters and templates."""
    task: str
    created_at: datetime | None = None
    """When a stage last wrote this content (UTC); decides which one is current. None: written by schema version 1."""
    call_sites: dict[str, CallSitePrompts]
    rows_considered: int
    """Attempts of the call sites in the store, of all purposes: `rows` plus the removed ones."""
    filters: tuple[Filter, ...]
    rows: int
    splits: dict[str, Split]
    label_sources: dict[str, int]
    cohorts: dict[str, dict[str, int]]
    """Rows per value of each cohort key."""
    source_first: str
    source_last: str
    prompt_chars_original: int
    """Mean characters of the prompt as sent; the difference to the next field is saved by pruning."""
    prompt_chars_pruned: int
    prompt_tokens_logged: int | None = None
    """Mean billed input tokens of the rows with usage; None if the log has none."""
    days: dict[str, dict[str, int]] = {}
    """Rows of each split by day (UTC)."""
    checks_source: str = ""
    """Source of the label set or JSON schema of the checks, as text."""
    labels: dict[str, int] = {}
    """Rows per label, the most frequent first; empty for tasks without a label set."""
    label_variants: dict[str, dict[str, int]] = {}
    """Other spellings of each label in the logged answers, with counts; the most frequent ones."""
    emptied_labels: dict[str, str] = {}
    """Labels without a row after filtering, with the filters that removed them."""
    unseen_labels: dict[str, int] = {}
    """Labels of the test split that are missing in the train split, with their number of test rows."""
    rights: Rights = Rights()
    prompts: Prompts = Prompts()
    groups: Groups = Groups()
    leakage: dict[str, Leakage] = {}
    """By split, except the first."""
    drift: Drift = Drift()
    strata: dict[str, dict[str, dict[str, int]]] = {}
    """Rows per split of each call site, cohort and label: `strata["plan"]["free"]["test"]`."""
    removed_by_call_site: dict[str, dict[str, int]] = {}
    """For tasks of several call sites: rows removed by each filter, by call site."""
    skipped_call_sites: dict[str, str] = {}
    """Call sites that were left out of the task, with the reason."""
    personal_data: PersonalData | None = None
    """None: written by a version without this step."""
    suspects: dict[str, dict[str, int]] = {}
    """Rows with a probably wrong answer (suspects.csv), by split and reason."""
    config: dict[str, Any] = {}
    """The settings of `extract`, resolved."""

    @property
    def cohort_keys(self) -> tuple[str, ...]:
        return tuple(self.cohorts)


def load(folder: Path) -> TaskDataset:
    """`dataset.yaml` of a dataset's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, TaskDataset)


def read_split(folder: Path, split: str) -> pa.Table:
    """Rows of one split. Raises: InputError if the file is missing or not valid Parquet."""
    path = folder / f"{split}.parquet"
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier extract` again") from None
