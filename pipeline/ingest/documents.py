"""Rows of JSON that is not one row a line: one document, objects one after the other, a list that breaks off."""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pipeline.ingest import lenient

_BETWEEN = re.compile(r"[\s,\[\]\x00]*")
_decoder = json.JSONDecoder(strict=False)


def whole(data: bytes) -> tuple[bytes, Any] | None:
    """The document, with what strict decoders refuse mended, and what it holds; None if it is not whole."""
    try:
        return data, msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        mended = lenient.mended(data) if data.startswith((b"{", b"[")) else None
        return None if mended is None else (mended, msgspec.json.decode(mended))
    except RecursionError:
        return None


def frame(tree: Any) -> list[bytes]:
    """Rows of a data frame that was written by column (`{"id": {"0": ...}}`) or split; empty if it is none."""
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
    """Objects that stand one after the other, with or without line ends or commas between them.

    What follows the last whole one is a row of its own, which cannot be read. Empty if not even one is whole.
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
