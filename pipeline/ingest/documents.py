"""Rows of JSON that is not line-delimited: one document, concatenated objects, a truncated list."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pipeline.ingest import lenient

_BETWEEN = re.compile(r"[\s,\[\]\x00]*")
_decoder = json.JSONDecoder(strict=False)


def whole(data: bytes) -> tuple[bytes, Any] | None:
    """The document (repaired if strict decoders refuse it) and its decoded value; None if it is incomplete."""
    try:
        return data, msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        repaired = lenient.repaired(data) if data.startswith((b"{", b"[")) else None
        return None if repaired is None else (repaired, msgspec.json.decode(repaired))
    except RecursionError:
        return None


def frame(tree: Any) -> list[bytes]:
    """Rows of a data frame written in column or split orientation (`{"id": {"0": ...}}`); empty for other documents."""
    if not isinstance(tree, dict):
        return []
    columns, cells = tree.get("columns"), tree.get("data")
    if isinstance(columns, list) and isinstance(cells, list) and all(isinstance(row, list) for row in cells):
        return [msgspec.json.encode(dict(zip(map(str, columns), row, strict=False))) for row in cells]
    values = list(tree.values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return []
    index = list(values[0])
    if not all(key.isdecimal() for key in index) or any(value.keys() != values[0].keys() for value in values):
        return []
    return [msgspec.json.encode({name: column[key] for name, column in tree.items()}) for key in index]


def objects(data: bytes) -> list[bytes]:
    """Concatenated objects, with or without line ends or commas between them.

    Text after the last complete object is returned as a row, to be rejected. Empty without a complete object.
    """
    text = data.decode("utf-8", "replace")
    found = list(_objects(text))
    if not found:
        return []
    end = _BETWEEN.match(text, found[-1][1])
    rest = text[end.end() if end else found[-1][1] :].strip()
    return [text[start:stop].encode() for start, stop in found] + ([rest.encode()] if rest else [])


def _objects(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while (gap := _BETWEEN.match(text, position)) is not None and text.startswith("{", gap.end()):
        try:
            _, position = _decoder.raw_decode(text, gap.end())
        except (ValueError, RecursionError):
            return
        yield gap.end(), position
