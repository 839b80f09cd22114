"""Rows of a file of labels: CSV as spreadsheets write it, or JSON."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from pipeline import spreadsheets
from traffic.errors import InputError

Row = dict[str | None, Any]


def is_json(text: str) -> bool:
    return text.lstrip().startswith(("[", "{"))


def csv_rows(
    path: Path, text: str, required: tuple[str, ...] = (), *, strict: bool = False
) -> Iterator[tuple[int, Row]]:
    """First line and cells of each row that is not blank, by column name in lower case; None for an empty cell.

    Cells beyond the columns are under None. Raises: InputError, also if a required column is missing.
    """
    table = spreadsheets.table_of(path, text, strict=strict)
    if missing := set(required) - {name.strip().lower() for name in table.names}:
        raise InputError(f"{path}:1: no column {', '.join(sorted(missing))}; it has {', '.join(table.names)[:100]!r}")
    for line, cells in table.rows:
        row = {name.strip().lower() if name else name: _cell(cell) for name, cell in cells.items()}
        if any(row.values()):
            yield line, row


def json_rows(path: Path, text: str) -> Iterator[tuple[int, Row]]:
    """Line and object of each line, or number and object of a list. Raises: InputError."""
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(msgspec.json.decode(text, type=list[dict[str, Any]]), start=1)
        except msgspec.DecodeError as error:
            raise InputError(f"{path}: {error}") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, msgspec.json.decode(line, type=dict[str, Any])
            except msgspec.DecodeError as error:
                raise InputError(f"{path}:{number}: {error}") from None


def label_text(value: Any) -> str:
    """The label that a JSON value stands for; data frames write the label 4 as 4.0."""
    if isinstance(value, str):
        return value.strip()
    whole = int(value) if isinstance(value, float) and value.is_integer() else value
    return msgspec.json.encode(whole).decode()


def _cell(cell: Any) -> Any:
    if isinstance(cell, list):
        return [text for text in cell if text.strip()]
    return spreadsheets.restore(cell.strip()).strip() or None if cell else None
