"""The items of an evaluation: rows of one split, each with the reference it is scored against."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline import dataset as datasets
from pipeline import labels as human_labels
from pipeline.dataset import TaskDataset
from pipeline.labels import references
from pipeline.metrics import Reference, TaskType
from traffic.artifacts import Home
from traffic.errors import ConfigError, NotEnoughData
from traffic.number_format import some

ReferenceSource = Literal["labels", "logged"]
"""What items are scored against: human labels, or the dataset's completions (mostly the logged answers)."""

Messages = list[dict[str, Any]]
CALL_SITE = "call_site"
"""Cohort key of a task with several call sites."""
_NO_LABELS: Mapping[str, str] = {}


class Logged(msgspec.Struct, frozen=True):
    """The logged answer; None for fields that the log does not have."""

    text: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None
    cost_usd: float | None = None


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One request of the split."""

    record_id: str
    call_site: str
    prompt: Messages
    """Pruned prompt, for adapters."""
    original_prompt: Messages
    """Prompt as the application sent it, for all other models."""
    response_format: dict[str, Any] | None
    completion: str
    reference: str | Reference
    cohort: dict[str, str]
    """Cohort values by key, `label_source` included."""
    logged: Logged
    weight: float = 1.0
    """Training weight."""
    requests: int = 1
    """Logged requests that this row stands for: duplicates are one row."""
    group: str = ""
    """Near-duplicates and sessions share it; such rows are not independent evidence."""


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """Items of one evaluation, the same for every candidate."""

    dataset: TaskDataset
    folder: Path
    split: str
    request_type: TaskType
    source: ReferenceSource
    items: tuple[Item, ...]
    labels_sha256: str | None = None
    """Of the labels file, or of the imported labels in use."""
    without_label: int = 0
    """Rows of the split that were dropped because the labels file does not have them."""
    notes: tuple[str, ...] = ()

    @property
    def requests(self) -> list[int]:
        """Logged requests of each item."""
        return [item.requests for item in self.items]

    @property
    def clusters(self) -> list[str]:
        """Cluster of each item; items of one cluster are not independent."""
        return [item.group or item.record_id for item in self.items]


def read(home: Home, folder: Path, split: str, *, limit: int | None = None, labels: Path | None = None) -> Items:
    """The items of a split with their references: those of the labels file, else imported labels and logged answers.

    Raises: ConfigError for an unknown split, NotFound, InputError, NotEnoughData if no item is left.
    """
    if labels is None:
        return load(folder, split, limit=limit, stored=human_labels.stored(home))
    split_labels = references.for_split(labels, folder, split)
    unusable = Counter(split_labels.unusable.values())
    unlisted = split_labels.unlisted
    return msgspec.structs.replace(
        load(folder, split, limit=limit, labels=split_labels.references),
        labels_sha256=hashlib.sha256(labels.read_bytes()).hexdigest(),
        notes=(
            *(f"{n} labels of kind {kind} cannot be scored against" for kind, n in unusable.items()),
            *(
                [f"{len(unlisted)} labels are in no label set: {some(sorted(set(unlisted.values())))}"]
                if unlisted
                else []
            ),
        ),
    )


def load(
    folder: Path,
    split: str,
    *,
    limit: int | None = None,
    labels: Mapping[str, Reference] | None = None,
    stored: Mapping[str, str] = _NO_LABELS,
) -> Items:
    """The first `limit` items of a split, ordered by time.

    With `labels`, only items that have one, scored against it. `stored`: human labels by record id that came in after
    the dataset was made; they replace the dataset's own answer. In a task with several call sites each call site is a
    cohort.

    Raises: ConfigError for an unknown split, InputError, NotEnoughData if no item is left.
    """
    if split not in datasets.SPLITS:
        raise ConfigError(f"--split {split}: expected one of {', '.join(datasets.SPLITS)}")
    card = datasets.load(folder)
    types = sorted({prompts.request_type for prompts in card.call_sites.values()})
    every = rows(folder, split)
    if len(card.call_sites) > 1:
        every = [msgspec.structs.replace(row, cohort=row.cohort | {CALL_SITE: row.call_site}) for row in every]
    relabelled: dict[str, str] = {}
    if labels is not None:
        selected = [
            msgspec.structs.replace(row, reference=labels[row.record_id]) for row in every if row.record_id in labels
        ]
    else:
        relabelled = {row.record_id: stored[row.record_id] for row in every if _outdated(row, stored)}
        selected = [_relabelled(row, relabelled.get(row.record_id)) for row in every]
    if not selected:
        reason = f"none of its {len(every)} rows has a label" if every else "it has no rows"
        raise NotEnoughData(f"{folder / split}.parquet: nothing to evaluate: {reason}")
    selected = selected if limit is None else selected[:limit]
    used = {row.record_id: label for row in selected if (label := relabelled.get(row.record_id)) is not None}
    return Items(
        dataset=card,
        folder=folder,
        split=split,
        request_type=types[0] if len(types) == 1 else "mixed",
        source="logged" if labels is None else "labels",
        items=tuple(selected),
        labels_sha256=hashlib.sha256(msgspec.json.encode(used, order="sorted")).hexdigest() if used else None,
        without_label=0 if labels is None else len(every) - sum(row.record_id in labels for row in every),
        notes=(f"{len(used)} items are scored against imported human labels",) if used else (),
    )


def rows(folder: Path, split: str) -> list[Item]:
    """All rows of a split, scored against the dataset's own answers. Raises: InputError."""
    return [_item(row) for row in datasets.read_split(folder, split).to_pylist()]


def _outdated(row: Item, stored: Mapping[str, str]) -> bool:
    """Whether an imported label differs from what the dataset has."""
    label = stored.get(row.record_id)
    return label is not None and not (label == row.completion and row.cohort["label_source"] == "human")


def _relabelled(row: Item, label: str | None) -> Item:
    if label is None:
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
        # Datasets of earlier versions do not have the last two.
        requests=row.get("requests") or 1,
        group=row.get("group") or "",
    )
