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
            ("original_prompt", _TURNS),  # as the application sent it: what every rival is asked
            ("response_format", pa.string()),  # JSON text of the request's own, or null
            ("cohort", pa.struct([(key, pa.string()) for key in cohort_keys])),
            ("call_site", pa.string()),
            ("template", pa.string()),
            ("record_id", pa.string()),
            ("ts", pa.timestamp("us", tz="UTC")),
            ("label_source", pa.string()),
            ("weight", pa.float64()),
            ("group", pa.string()),  # rows of one group stand in one split: the id of its first row
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
    """How many rows one filter removed; filters apply in the order in which they are listed."""

    name: str
    removed: int
    reason: str


class Split(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One split: its size and the time it covers (ISO 8601, UTC; None when empty)."""

    rows: int
    first: str | None = None
    last: str | None = None


class ConfirmedTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A provider's terms that the user confirmed to allow this use; as `configs/rights.yaml` had them."""

    name: str
    outputs: str
    clause: str
    source: str
    terms_read: str
    terms_verified: str
    confirmed_on: str | None = None
    """The day that the user stated, if any."""


class Rights(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose requests and answers were left out, and whose are in the set."""

    opted_out: int = 0
    """Rows of customers and users who opted out; all of them were left out."""
    restricted: dict[str, int] = {}
    """Rows left out because their provider's terms restrict training on its answers, by row of the table."""
    answers: dict[str, int] = {}
    """Rows in the set whose label is a model's answer, by row of the table."""
    not_listed: dict[str, int] = {}
    """The same, of providers that the table does not have: nobody checked their terms."""
    confirmed: tuple[ConfirmedTerms, ...] = ()


class PromptTemplate(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When one template was in use."""

    id: str
    call_site: str
    requests: int
    """That match it, before the filters that look at answers."""
    share: float
    """Of the call site's requests."""
    first: str
    last: str
    slots: int
    retired: bool = False
    """No request of the test split's time has it any more."""


class PromptChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A template that came up while another was in use."""

    call_site: str
    at: str
    from_template: str
    to_template: str
    lines_added: int
    lines_removed: int
    first_change: str = ""
    """The first changed line, short, with digits and addresses masked."""


class Prompts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Templates in the order of time, and how the prompts changed."""

    templates: tuple[PromptTemplate, ...] = ()
    changes: tuple[PromptChange, ...] = ()
    unmatched: dict[str, int] = {}
    """Requests without a template, by call site."""
    unmatched_lately: dict[str, float] = {}
    """Share of the last tenth of a call site's requests without a template, where it is above a half."""


class Groups(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows that are held together so that none of them is in the test split while another is trained on."""

    by: tuple[str, ...] = ()
    groups: int = 0
    """Groups of more than one row."""
    rows: int = 0
    """Rows in these."""
    largest: int = 0
    near_duplicate_clusters: int = 0
    cut: int = 0
    """Times that a group would have become too large, and was not put together."""


class Leakage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows of one split that also stand, in some way, in a split before it."""

    rows: int
    exact: int
    """The same text at the same call site; must be 0."""
    near: int
    """Almost the same text at any call site; must be 0. Found by a second MinHash with another seed."""
    sessions: int
    """Rows of a session that is in an earlier split too: of groups that were cut."""
    users: int
    """Rows of a user who is in an earlier split too: for information, unless splits are grouped by user."""
    ngrams: int
    """Rows with at least one run of 8 words (or characters, where a language puts no spaces)."""
    ngrams_in_train: int
    """Those of them of which at least one run occurs in the train split: for information."""


class Arrival(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A label or a template that the log has only since lately."""

    call_site: str
    value: str
    """The label, or the id of the template."""
    first_seen: str
    rows: int
    train_rows: int
    test_rows: int
    daily_share: dict[str, float]
    """Of the call site's rows, on each of the log's last seven days."""


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came up late in the log."""

    labels: tuple[Arrival, ...] = ()
    templates: tuple[Arrival, ...] = ()


class PersonalData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What was looked for, found and done about it in the rows that had passed the checks; counts by type."""

    action: Literal["redact", "exclude", "keep"]
    found: dict[PersonalType, int] = {}
    """Values, each counted once per row, in prompts and answers."""
    redacted: dict[PersonalType, int] = {}
    """Of these, in rows that stayed: replaced by placeholders wherever they stood."""
    rows_excluded: dict[PersonalType, int] = {}
    """Rows left out for a value of the type; a row may be counted under several types."""
    allowed: tuple[PersonalType, ...] = ()
    """Types that someone allowed by name: left as they are in the rows that stayed."""
    static: dict[PersonalType, tuple[str, ...]] = {}
    """Values in the fixed text of the prompts: the company's own (a support address), left as they are everywhere."""
    names: str = ""
    """How names were looked for."""
    recognisers: dict[str, str] = {}
    """Packages and models that looked, by version."""


class TaskDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dataset.yaml`."""

    schema_version: Literal[1, 2] = 2
    name: str
    """`<task>@<hash8>`; the hash covers rows, filters and templates."""
    task: str
    created_at: datetime | None = None
    """When it was last made with this content (UTC): decides which one is current. None: made by schema version 1."""
    call_sites: dict[str, CallSitePrompts]
    rows_considered: int
    """Attempts of the call sites in the store, of every purpose: `rows` plus what the filters removed."""
    filters: tuple[Filter, ...]
    rows: int
    splits: dict[str, Split]
    label_sources: dict[str, int]
    cohorts: dict[str, dict[str, int]]
    """Rows per value of each cohort key."""
    source_first: str
    source_last: str
    prompt_chars_original: int
    """Mean characters of the prompt as sent; with the next field, what pruning saves."""
    prompt_chars_pruned: int
    prompt_tokens_logged: int | None = None
    """Mean input tokens as billed, of the rows that have them; None where the log has no usage."""
    days: dict[str, dict[str, int]] = {}
    """Rows of each split by day (UTC)."""
    checks_source: str = ""
    """Where the label set or JSON schema of the call sites' checks comes from, in words."""
    labels: dict[str, int] = {}
    """Rows per label, the most frequent first; empty for tasks without a label set."""
    label_variants: dict[str, dict[str, int]] = {}
    """Logged answers that were written otherwise than the label that they stand for, by label; the most frequent."""
    emptied_labels: dict[str, str] = {}
    """Labels of which filters left no row, with these filters."""
    unseen_labels: dict[str, int] = {}
    """Labels of the test split that no row of the train split has, with their test rows: drift."""
    rights: Rights = Rights()
    prompts: Prompts = Prompts()
    groups: Groups = Groups()
    leakage: dict[str, Leakage] = {}
    """By split, from the second on."""
    drift: Drift = Drift()
    strata: dict[str, dict[str, dict[str, int]]] = {}
    """Rows per split of each call site, cohort and label: `strata["plan"]["free"]["test"]`."""
    removed_by_call_site: dict[str, dict[str, int]] = {}
    """Where a task has several: what the filters of one call site removed, before all were put together."""
    skipped_call_sites: dict[str, str] = {}
    """Call sites that were considered for the task and left out, with the reason."""
    personal_data: PersonalData | None = None
    """None: a dataset of a version that did not look for any."""
    suspects: dict[str, dict[str, int]] = {}
    """Rows of suspects.csv, whose answer is probably wrong: by split, and by reason."""
    config: dict[str, Any] = {}
    """The settings of `extract`, resolved."""

    @property
    def cohort_keys(self) -> tuple[str, ...]:
        return tuple(self.cohorts)


def load(folder: Path) -> TaskDataset:
    """`dataset.yaml` of a dataset's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, TaskDataset)


def read_split(folder: Path, split: str) -> pa.Table:
    """Rows of one split. Raises: InputError if the file is missing or is no Parquet."""
    path = folder / f"{split}.parquet"
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier extract` again") from None
