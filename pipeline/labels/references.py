"""A file of human labels to score against (`evaluate --labels`): JSONL or CSV, plain or .gz, by record id.

    {"id": "chatcmpl-1", "label": "refund"}
    {"id": "chatcmpl-2", "gold": {"date": ["2026-11-03", "3 November"]}, "gold_kind": "json_any_of"}

A CSV file has the columns `id` and `label`.
"""

import typing
from pathlib import Path
from typing import Any

import msgspec

from pipeline import dataset as datasets
from pipeline import spreadsheets
from pipeline.metrics import Reference, ReferenceKind
from traffic.callsites import RequestType
from traffic.errors import InputError

_KINDS = frozenset(typing.get_args(ReferenceKind))


class References(msgspec.Struct, frozen=True):
    """Labels of a file, by record id."""

    references: dict[str, Reference]
    unusable: dict[str, str]
    """Kinds of labels that answers cannot be scored against."""


def load(path: Path, request_type: RequestType) -> References:
    """Read the file; the last label of an id counts, null is no label. A bare value is read by the request type.

    Raises: NotFound, InputError with the line.
    """
    text = spreadsheets.text_of(path, f"no labels file {path}")
    rows = spreadsheets.table_of(path, text).rows if ".csv" in path.suffixes else _json_rows(path, text)
    references: dict[str, Reference] = {}
    unusable: dict[str, str] = {}
    for number, row in rows:
        record_id = row.get("id", row.get("record_id"))
        if not record_id or not ("label" in row or "gold" in row):
            raise InputError(f"{path}:{number}: expected `id`, and `label` or `gold`; got {', '.join(map(str, row))}")
        value = row["label"] if "label" in row else row["gold"]
        if value is None or (value == "" and ".csv" in path.suffixes):
            continue
        kind = row.get("gold_kind") or _kind(value, request_type)
        if kind in _KINDS:
            references[str(record_id)] = Reference(kind, value)
        else:
            unusable[str(record_id)] = str(kind)
    if not references:
        raise InputError(f"{path}: no usable label")
    return References(references, unusable)


def for_split(path: Path, dataset: Path, split: str) -> References:
    """Labels of a file for the rows of a split; a bare value is read by the request type of its row's call site.

    Raises: NotFound, InputError.
    """
    types = {name: site.request_type for name, site in datasets.load(dataset).call_sites.items()}
    by_type = {request_type: load(path, request_type) for request_type in dict.fromkeys(types.values())}
    rows = datasets.read_split(dataset, split).select(["record_id", "call_site"]).to_pylist()
    references: dict[str, Reference] = {}
    unusable: dict[str, str] = {}
    for row in rows:
        record_id, labels = row["record_id"], by_type[types[row["call_site"]]]
        if record_id in labels.references:
            references[record_id] = labels.references[record_id]
        elif record_id in labels.unusable:
            unusable[record_id] = labels.unusable[record_id]
    return References(references, unusable)


def _kind(value: Any, request_type: RequestType) -> ReferenceKind:
    """Kind of a label without `gold_kind`, by its JSON type and the request type."""
    if isinstance(value, dict):
        return "json"
    if isinstance(value, list):
        return "json" if request_type in ("extraction", "structured") else "label_set"
    if isinstance(value, int | float):
        return "number"
    if request_type in ("classification", "intent", "moderation"):
        return "label"
    return "any_of_text"


def _json_rows(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append((number, msgspec.json.decode(line, type=dict[str, Any])))
        except msgspec.DecodeError as error:
            raise InputError(f"{path}:{number}: {error}") from None
    return rows
