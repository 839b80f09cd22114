"""Items of an evaluation: the rows of one split, each with the answer that it is scored against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import dataset as datasets
from pipeline.dataset import TaskDataset
from pipeline.metrics import Reference
from traffic.callsites import RequestType
from traffic.errors import ConfigError, NotEnoughData, Unsupported

ReferenceSource = Literal["labels", "logged"]
"""What items are scored against: human labels, or the dataset's completions (mostly the logged answers)."""

Messages = list[dict[str, Any]]


class Logged(msgspec.Struct, frozen=True):
    """The logged answer with what it took; None where the log does not say."""

    text: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One test item."""

    record_id: str
    call_site: str
    prompt: Messages
    """Pruned: what an adapter is asked."""
    original_prompt: Messages
    """As the application sent it."""
    response_format: dict[str, Any] | None
    completion: str
    reference: str | Reference
    cohort: dict[str, str]
    """Its cohorts by key, the source of its label among them."""
    logged: Logged
    weight: float = 1.0


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """What is evaluated: the same items for every candidate."""

    dataset: TaskDataset
    folder: Path
    split: str
    request_type: RequestType
    source: ReferenceSource
    items: tuple[Item, ...]
    without_label: int = 0
    """Rows of the split that were dropped, because the labels do not have them."""


def load(folder: Path, split: str, *, limit: int | None = None, labels: Mapping[str, Reference] | None = None) -> Items:
    """The first `limit` items of a split, in the order of time.

    Raises: ConfigError for an unknown split, InputError, NotEnoughData if nothing is left to score,
    Unsupported if the call sites of the dataset are of several request types.
    """
    if split not in datasets.SPLITS:
        raise ConfigError(f"--split {split}: there are {', '.join(datasets.SPLITS)}")
    card = datasets.load(folder)
    types = sorted({prompts.request_type for prompts in card.call_sites.values()})
    if len(types) != 1:
        raise Unsupported(
            f"{folder}: request types {', '.join(types)} in one dataset; extract each as a task of its own"
        )
    rows = [_item(row) for row in datasets.read_split(folder, split).to_pylist()]
    kept = rows
    if labels is not None:
        kept = [
            msgspec.structs.replace(row, reference=labels[row.record_id]) for row in rows if row.record_id in labels
        ]
    if not kept:
        why = f"none of its {len(rows)} rows has a label" if rows else "it has no rows"
        raise NotEnoughData(f"{folder / split}.parquet: nothing to evaluate: {why}")
    return Items(
        dataset=card,
        folder=folder,
        split=split,
        request_type=types[0],
        source="logged" if labels is None else "labels",
        items=tuple(kept if limit is None else kept[:limit]),
        without_label=len(rows) - len(kept),
    )


def _item(row: dict[str, Any]) -> Item:
    completion = row["completion"][0]["content"]
    cohort = {key: value for key, value in (row["cohort"] or {}).items() if value is not None}
    return Item(
        record_id=row["record_id"],
        call_site=row["call_site"],
        prompt=row["prompt"],
        original_prompt=row["original_prompt"],
        response_format=msgspec.json.decode(row["response_format"]) if row["response_format"] else None,
        completion=completion,
        reference=completion,
        cohort=cohort | {"label_source": row["label_source"]},
        logged=msgspec.convert(row["logged"] or {}, Logged),
        weight=row["weight"],
    )
