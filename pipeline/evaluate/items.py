"""Items of an evaluation: the rows of one split, each with the answer that it is scored against."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import dataset as datasets
from pipeline.dataset import TaskDataset
from pipeline.metrics import Reference, TaskType
from traffic.errors import ConfigError, NotEnoughData

ReferenceSource = Literal["labels", "logged"]
"""What items are scored against: human labels, or the dataset's completions (mostly the logged answers)."""

Messages = list[dict[str, Any]]
CALL_SITE = "call_site"
"""Cohort key of a task with several call sites."""
_NOTHING: Mapping[str, str] = {}


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
    request_type: TaskType
    source: ReferenceSource
    items: tuple[Item, ...]
    relabelled: int = 0
    """Rows of the split that are scored against a human label from the signals store, not the dataset's answer."""
    without_label: int = 0
    """Rows of the split that were dropped, because the labels do not have them."""


def load(
    folder: Path,
    split: str,
    *,
    limit: int | None = None,
    labels: Mapping[str, Reference] | None = None,
    stored: Mapping[str, str] = _NOTHING,
) -> Items:
    """The first `limit` items of a split, in the order of time.

    With `labels` only the items that have one, scored against it. `stored` are human labels that came in after the
    dataset was made: they go before the dataset's own answer, and the other items stay.

    Of a task with several call sites, each call site is a cohort.

    Raises: ConfigError for an unknown split, InputError, NotEnoughData if nothing is left to score.
    """
    if split not in datasets.SPLITS:
        raise ConfigError(f"--split {split}: there are {', '.join(datasets.SPLITS)}")
    card = datasets.load(folder)
    types = sorted({prompts.request_type for prompts in card.call_sites.values()})
    found = rows(folder, split)
    if len(card.call_sites) > 1:
        found = [msgspec.structs.replace(row, cohort=row.cohort | {CALL_SITE: row.call_site}) for row in found]
    kept = found
    if labels is not None:
        kept = [
            msgspec.structs.replace(row, reference=labels[row.record_id]) for row in found if row.record_id in labels
        ]
    else:
        kept = [_relabelled(row, stored) for row in found]
    if not kept:
        why = f"none of its {len(found)} rows has a label" if found else "it has no rows"
        raise NotEnoughData(f"{folder / split}.parquet: nothing to evaluate: {why}")
    return Items(
        dataset=card,
        folder=folder,
        split=split,
        request_type=types[0] if len(types) == 1 else "mixed",
        source="logged" if labels is None else "labels",
        relabelled=sum(row is not other for row, other in zip(kept, found, strict=False)) if labels is None else 0,
        items=tuple(kept if limit is None else kept[:limit]),
        without_label=len(found) - len(kept),
    )


def rows(folder: Path, split: str) -> list[Item]:
    """All rows of a split, scored against the dataset's own answers. Raises: InputError."""
    return [_item(row) for row in datasets.read_split(folder, split).to_pylist()]


def _relabelled(row: Item, stored: Mapping[str, str]) -> Item:
    label = stored.get(row.record_id)
    if label is None or (label == row.completion and row.cohort["label_source"] == "human"):
        return row
    return msgspec.structs.replace(row, reference=label, cohort=row.cohort | {"label_source": "human"})


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
