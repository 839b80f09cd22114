"""The task dataset: the rows that `extract` writes and `train` and `evaluate` read, and its card `dataset.yaml`.

    data/datasets/<task>@<hash8>/{train,validation,calibration,threshold,test}.parquet + dataset.yaml

Readable with `datasets.load_dataset("parquet", data_files=...)`.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from traffic import config
from traffic.adapters import CallSitePrompts
from traffic.errors import InputError

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


class TaskDataset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dataset.yaml`."""

    schema_version: Literal[1] = 1
    name: str
    """`<task>@<hash8>`; the hash covers rows, filters and templates."""
    task: str
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
    checks_source: str = ""
    """Where the label set or JSON schema of the call sites' checks comes from, in words."""
    labels: dict[str, int] = {}
    """Rows per label, the most frequent first; empty for tasks without a label set."""
    unseen_labels: dict[str, int] = {}
    """Labels of the test split that no row of the train split has, with their test rows: drift."""
    config: dict[str, Any] = {}
    """The settings of `extract`, resolved."""

    @property
    def cohort_keys(self) -> tuple[str, ...]:
        return tuple(self.cohorts)


def load(folder: Path) -> TaskDataset:
    """`dataset.yaml` of a dataset's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / "dataset.yaml", TaskDataset)


def read_split(folder: Path, split: str) -> pa.Table:
    """Rows of one split. Raises: InputError if the file is missing or is no Parquet."""
    path = folder / f"{split}.parquet"
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier extract` again") from None
