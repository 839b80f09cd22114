"""A file of human labels to score against (`evaluate --labels`): JSONL or CSV, plain or .gz, by record id.

    {"id": "chatcmpl-1", "label": "refund"}
    {"id": "chatcmpl-2", "gold": {"date": ["2026-11-03", "3 November"]}, "gold_kind": "json_any_of"}

A CSV file has the columns `id` (or `record_id`) and `label`; Label Studio's JSON export is read too.
"""

import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline import dataset as datasets
from pipeline import spreadsheets
from pipeline.labels import files, label_studio
from pipeline.metrics import Reference, ReferenceKind, json_reference
from traffic import answers
from traffic.callsites import Checks, RequestType
from traffic.errors import InputError

_KINDS = frozenset(typing.get_args(ReferenceKind))
_NO_CHECKS = Checks()


class References(msgspec.Struct, frozen=True):
    """Labels of a file, by record id."""

    references: dict[str, Reference]
    unusable: dict[str, str]
    """Kinds of labels that answers cannot be scored against."""
    unlisted: dict[str, str]
    """Labels that are not in the label set of their call site: no answer of a candidate is one."""


class _Gold(NamedTuple):
    """The label of one row."""

    value: Any
    kind: str | None
    location: str
    """File and line."""


def load(path: Path, request_type: RequestType, checks: Checks = _NO_CHECKS) -> References:
    """Read the file; the last label of an id counts, null and blank texts are no label.

    A value without `gold_kind` is read by the request type. Labels of the call site may have any spelling.

    Raises: NotFound, InputError with the line.
    """
    return _references((record_id, gold, request_type, checks) for record_id, gold in _read(path).items())


def for_split(path: Path, dataset: Path, split: str) -> References:
    """Labels of a file for the rows of a split, read by the request type and labels of each row's call site.

    Raises: NotFound, InputError.
    """
    sites = datasets.load(dataset).call_sites
    golds = _read(path)
    rows = datasets.read_split(dataset, split).select(["record_id", "call_site"]).to_pylist()
    labelled = [(row["record_id"], sites[row["call_site"]]) for row in rows if row["record_id"] in golds]
    return _references((name, golds[name], site.request_type, site.checks) for name, site in labelled)


def _read(path: Path) -> dict[str, _Gold]:
    text = spreadsheets.text_of(path, f"no labels file {path}")
    golds: dict[str, _Gold] = {}
    for number, found in files.json_rows(path, text) if files.is_json(text) else files.csv_rows(path, text):
        row = _of_task(found, f"{path}:{number}") if "annotations" in found else found
        name = row.get("record_id") or row.get("id")
        record_id = "" if name is None else str(name).strip()
        if not record_id or not ("label" in row or "gold" in row):
            raise InputError(f"{path}:{number}: expected `id`, and `label` or `gold`; got {', '.join(map(str, row))}")
        value = row["label"] if "label" in row else row["gold"]
        if value is not None and not (isinstance(value, str) and not value.strip()):
            golds[record_id] = _Gold(value, row.get("gold_kind"), f"{path}:{number}")
    if not any(gold.kind is None or gold.kind in _KINDS for gold in golds.values()):
        raise InputError(f"{path}: no usable label")
    return golds


def _of_task(task: files.Row, location: str) -> files.Row:
    """Id and label of a task that Label Studio exported."""
    try:
        return {"id": label_studio.record_id(task), "label": label_studio.label(task)}
    except (ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{location}: {error}") from None


def _references(golds: Iterable[tuple[str, _Gold, RequestType, Checks]]) -> References:
    references: dict[str, Reference] = {}
    unusable: dict[str, str] = {}
    unlisted: dict[str, str] = {}
    for record_id, gold, request_type, checks in golds:
        kind = gold.kind or _kind(gold.value, request_type, checks)
        if kind not in _KINDS:
            unusable[record_id] = kind
            continue
        reference = references[record_id] = _reference(gold, kind, checks)
        if checks.labels and kind in ("label", "label_set"):
            labels = [reference.value] if kind == "label" else reference.value
            if unknown := [label for label in labels if label not in checks.labels]:
                unlisted[record_id] = unknown[0]
    return References(references, unusable, unlisted)


def _reference(gold: _Gold, kind: Any, checks: Checks) -> Reference:
    value = gold.value
    if (kind == "label" and isinstance(value, dict | list)) or (
        kind == "label_set" and not isinstance(value, str | list)
    ):
        raise InputError(f"{gold.location}: a {kind} cannot be {str(value)[:60]!r}")
    if kind == "label":
        value = _label(value, checks)
    elif kind == "label_set":
        members = (answers.items_of(value) or [value]) if isinstance(value, str) else value
        value = [_label(member, checks) for member in members]
    elif kind == "json" and isinstance(value, str) and gold.kind is None:
        try:
            return json_reference(value, checks)
        except InputError as error:
            raise InputError(f"{gold.location}: {error}") from None
    elif kind == "any_of_text" and isinstance(value, bool):
        value = files.label_text(value)
    return Reference(kind, value)


def _label(value: Any, checks: Checks) -> str:
    text = files.label_text(value)
    return answers.resolve_label(text, checks.labels) or text


def _kind(value: Any, request_type: RequestType, checks: Checks) -> ReferenceKind:
    """Kind of a label without `gold_kind`, by its JSON type and the request type."""
    is_json = request_type in ("extraction", "structured")
    if isinstance(value, dict) or (is_json and isinstance(value, str | list)):
        return "json"
    if isinstance(value, list) or checks.multiple is not None:
        return "label_set"
    if request_type in ("classification", "intent", "moderation"):
        return "label"
    return "any_of_text" if isinstance(value, str | bool) else "number"
