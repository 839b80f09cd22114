"""Human labels of logged requests, from a JSONL or CSV file (plain or .gz), by record id.

    {"id": "chatcmpl-1", "label": "refund"}
    {"id": "chatcmpl-2", "gold": {"date": ["2026-11-03", "3 November"]}, "gold_kind": "json_any_of"}

A CSV file has the columns `id` and `label`.
"""

import csv
import gzip
import io
import typing
import zlib
from pathlib import Path
from typing import Any

import msgspec

from pipeline.metrics import Reference, ReferenceKind
from traffic.callsites import RequestType
from traffic.errors import InputError, NotFound

_KINDS = frozenset(typing.get_args(ReferenceKind))


class Labels(msgspec.Struct, frozen=True):
    """Labels by record id."""

    references: dict[str, Reference]
    unusable: dict[str, str]
    """Kind of those that answers cannot be scored against, by record id."""


def load(path: Path, request_type: RequestType) -> Labels:
    """Read a file of labels. Of several labels for one id the last counts; null is no label.

    Raises: NotFound, InputError with the line.
    """
    text = _read(path)
    rows = _csv_rows(path, text) if ".csv" in path.suffixes else _json_rows(path, text)
    references: dict[str, Reference] = {}
    unusable: dict[str, str] = {}
    for number, row in rows:
        record_id = row.get("id", row.get("record_id"))
        if not record_id or not ("label" in row or "gold" in row):
            raise InputError(f"{path}:{number}: needs `id`, and `label` or `gold`; it has {', '.join(map(str, row))}")
        value = row["label"] if "label" in row else row["gold"]
        if value is None:
            continue
        kind = row.get("gold_kind") or _kind(value, request_type)
        if kind in _KINDS:
            references[str(record_id)] = Reference(kind, value)
        else:
            unusable[str(record_id)] = str(kind)
    if not references:
        raise InputError(f"{path}: no usable label in it")
    return Labels(references, unusable)


def _kind(value: Any, request_type: RequestType) -> ReferenceKind:
    """The kind of a label that does not name it: by its JSON type and what the task's answers are."""
    if isinstance(value, dict):
        return "json"
    if isinstance(value, list):
        return "json" if request_type in ("extraction", "structured") else "label_set"
    if isinstance(value, int | float):
        return "number"
    if request_type in ("classification", "intent", "moderation"):
        return "label"
    return "any_of_text"


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except FileNotFoundError:
        raise NotFound(f"no labels file {path}") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None


def _csv_rows(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text))
    try:
        return [(reader.line_num, {key: value or None for key, value in row.items()}) for row in reader]
    except csv.Error as error:
        raise InputError(f"{path}:{reader.line_num}: {error}") from None


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
