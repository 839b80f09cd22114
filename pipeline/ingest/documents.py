"""Rows of JSON that is not line-delimited: one document, concatenated objects, a truncated list."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
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
    repaired = lenient.repaired(data) if data.startswith((b"{", b"[")) else None
    return None if repaired is None else (repaired, msgspec.json.decode(repaired))


def rows_of(tree: Any, is_row: Callable[[Mapping[str, Any]], bool]) -> tuple[list[bytes], str]:
    """Rows of a document that has no list of them, and what it is; empty for other documents."""
    if not isinstance(tree, dict):
        return [], ""
    kinds = (
        (_table, "a table"),
        (_frame, "a data frame"),
        (_loki, "a Loki query"),
        (_insights, "a Logs Insights query"),
    )
    recognised = next(((rows, kind) for read, kind in kinds if (rows := read(tree))), None)
    return recognised or (_keyed(tree, is_row), "an object by id")


def _loki(tree: dict[str, Any]) -> list[bytes]:
    """Lines of a Loki query: `{"data": {"result": [{"stream": {}, "values": [[nanoseconds, line]]}]}}`."""
    data = tree.get("data")
    streams = data.get("result") if isinstance(data, dict) else None
    rows: list[bytes] = []
    for stream in streams if isinstance(streams, list) else ():
        values = stream.get("values") if isinstance(stream, dict) else None
        lines = [v for v in values or () if isinstance(v, list) and len(v) > 1 and isinstance(v[1], str)]
        rows += [msgspec.json.encode({"timestamp": value[0], "line": value[1]}) for value in lines]
    return rows


def _insights(tree: dict[str, Any]) -> list[bytes]:
    """Results of a query of CloudWatch Logs Insights: `{"results": [[{"field": "@message", "value": ...}]]}`."""
    results = tree.get("results")
    rows = [row for row in results if isinstance(row, list)] if isinstance(results, list) else []
    if not all(isinstance(cell, dict) and "field" in cell for row in rows for cell in row):
        return []
    return [msgspec.json.encode({cell["field"]: cell.get("value") for cell in row}) for row in rows]


def _keyed(tree: dict[str, Any], is_row: Callable[[Mapping[str, Any]], bool]) -> list[bytes]:
    """Rows in an object with their ids as keys, as document databases export them, also inside another object."""
    values = list(tree.values())
    while len(values) == 1 and isinstance(values[0], dict):
        values = list(values[0].values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return []
    return list(map(msgspec.json.encode, values)) if any(map(is_row, values)) else []


def _frame(tree: dict[str, Any]) -> list[bytes]:
    """Rows of a data frame in column or split orientation (`{"id": {"0": ...}}`)."""
    values = list(tree.values())
    if len(values) < 2 or not all(isinstance(value, dict) and value for value in values):
        return []
    index = list(values[0])
    if not all(key.isdecimal() for key in index) or any(value.keys() != values[0].keys() for value in values):
        return []
    return [msgspec.json.encode({name: column[key] for name, column in tree.items()}) for key in index]


_COLUMNS = ("columns", "meta", "rowType", "fields", "columnInfo")
_CELLS = ("data", "rows", "Rows")


def _table(tree: dict[str, Any]) -> list[bytes]:
    """Rows of a query's result: the columns' names beside lists of cells.

    Of pandas, ClickHouse, Trino, Snowflake (`resultSetMetaData.rowType`), BigQuery (`schema.fields`, `{"f": [{"v"}]}`)
    and Azure (in `tables`).
    """
    tables = tree.get("tables", tree.get("Tables"))
    if isinstance(tables, list) and tables and isinstance(tables[0], dict):
        tree = tables[0]
    around = [tree, *(tree[key] for key in ("resultSetMetaData", "schema") if isinstance(tree.get(key), dict))]
    columns = next((place[key] for place in around for key in (*_COLUMNS, "Columns") if key in place), None)
    cells = next((tree[key] for key in _CELLS if isinstance(tree.get(key), list)), None)
    if not isinstance(columns, list) or not cells:
        return []
    names = [_column_name(column) for column in columns]
    rows = [_cells_of(row) for row in cells]
    if not all(names) or not all(row is not None and len(row) == len(names) for row in rows):
        return []
    if all(str(name).isupper() for name in names):
        # Snowflake's and Oracle's.
        names = [str(name).lower() for name in names]
    return [msgspec.json.encode(dict(zip(map(str, names), row or (), strict=True))) for row in rows]


def _column_name(column: Any) -> Any:
    return column.get("name", column.get("ColumnName")) if isinstance(column, dict) else column


def _cells_of(row: Any) -> list[Any] | None:
    if isinstance(row, dict) and isinstance(row.get("f"), list):
        return [cell.get("v") if isinstance(cell, dict) else cell for cell in row["f"]]
    return row if isinstance(row, list) else None


def objects(data: bytes) -> list[bytes]:
    """Concatenated objects, with or without line ends or commas between them.

    Text after the last complete object is returned as a row, to be rejected. Empty without a complete object.
    """
    text = data.decode("utf-8", "replace")
    decoded = list(_objects(text))
    if not decoded:
        return []
    end = _BETWEEN.match(text, decoded[-1][1])
    rest = text[end.end() if end else decoded[-1][1] :].strip()
    return [text[start:stop].encode() for start, stop in decoded] + ([rest.encode()] if rest else [])


def _objects(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while (gap := _BETWEEN.match(text, position)) is not None and text.startswith("{", gap.end()):
        try:
            _, position = _decoder.raw_decode(text, gap.end())
        except (ValueError, RecursionError):
            return
        yield gap.end(), position
