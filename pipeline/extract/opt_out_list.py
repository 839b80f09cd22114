"""Reads a list of customers and users who opted out of training: one id a line, a table, or JSON.

A table of all customers with their choice is read too: a row that clearly allows training (`opted_out` is no, `consent`
is yes) is no opt-out, every other row is one.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from pipeline.consent_words import consent_of
from pipeline.ingest import consent
from pipeline.ingest.consent_names import kind_of, snake
from pipeline.spreadsheets import text_of
from traffic.answers import visible
from traffic.errors import InputError
from traffic.loose_json import json_or

_SPREADSHEET_NUMBER = re.compile(r"^(\d+)\.0$")
"""Spreadsheets and data frames write a column of numbers with gaps as 1001.0."""
_REMARK = re.compile(r"^[-*•]\s+|\s+#.*$")
"""The mark of a list in front of an id, and a comment behind it."""
_ID_HEADING = re.compile(
    r"(?:customer|user|account|client|tenant|org(?:ani[sz]ation)?|company)(?:[ _-]?(?:id|key))?|id"
)
_OF_TRAINING = re.compile(r"allow(?:s|ed)?|agree[ds]?|permission|exclude[ds]?|refused")
"""Headings that are about training in such a list, though they do not say so."""
_CHOICE = re.compile(r"status|choice|decision|preference")
_OPTED_IN = re.compile(r"(?i)\s*(?:opt(?:ed|s)?[ _-]?in|consent(?:ed)?|granted|training allowed)\s*")
"""A plain yes under "decision" may be to the opt-out."""


def read(path: Path) -> frozenset[str]:
    """Ids in the form of `key_of`. The heading of a column is among them, since no customer has that id.

    A table's columns are separated by commas, semicolons, tabs or bars; ids are in those whose heading names customer
    or user ids, else in the first.

    Raises: NotFound, InputError.
    """
    text = text_of(path, f"rights.opted_out: no file {path}; one customer or user id a line")
    if "\0" in text or text.startswith("PK\x03\x04"):
        raise InputError(f"rights.opted_out: {path} is no text file; export it as CSV")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    listed = _in_json(path, text, lines)
    try:
        return frozenset(filter(None, map(key_of, _in_table(lines) if listed is None else listed)))
    except csv.Error as error:
        raise InputError(f"rights.opted_out: {path} is no table: {error}") from None


def key_of(name: str | None) -> str:
    """Id for comparison: an opt-out of `Cust-2` also covers `cust-2 `, and `="0012"` of a spreadsheet `0012`."""
    return _SPREADSHEET_NUMBER.sub(r"\1", visible(name or "").strip().strip("=\"'[]{} \t").casefold())


def _in_table(lines: Sequence[str]) -> Iterator[str]:
    separator = max(";\t|,", key=lambda mark: sum(mark in line for line in lines))
    rows = [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True, strict=True) if row]
    if len(rows) == 1:
        rows = [[cell] for cell in rows[0]]
    headings = [cell.strip().casefold() for cell in rows[0]] if rows else []
    columns = [n for n, cell in enumerate(headings) if _ID_HEADING.fullmatch(cell)] or [0]
    for row in rows:
        if not _allows(dict(zip(headings, row, strict=False))):
            for cell in (visible(row[column]).strip() for column in columns if column < len(row)):
                # With and without a remark: an id may look as if it had one.
                yield from (cell, _REMARK.sub("", cell))


def _allows(fields: Mapping[str, Any]) -> bool:
    """Whether the row clearly says that training is allowed, and still is."""
    row = {f"training_{key}" if _OF_TRAINING.fullmatch(key) else key: value for key, value in _named(fields).items()}
    words = [consent.limited(word, row) for word in consent.answers(row)]
    choices = [str(value) for heading, value in row.items() if _CHOICE.fullmatch(heading)]
    said = [*(consent_of(word) == "yes" for word in words), *map(bool, map(_OPTED_IN.fullmatch, choices))]
    return bool(said) and all(said)


def _named(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields by plain names, without lists of other rows."""
    named = {snake(str(heading)): value for heading, value in fields.items()}
    return {name: value for name, value in named.items() if not isinstance(value, list) or kind_of(name)}


def _in_json(path: Path, text: str, lines: Sequence[str]) -> list[str] | None:
    """Ids of a JSON list or of lines with objects; None for any other list. Raises: InputError."""
    document = json_or(text)
    trees = [json_or(line) for line in lines] if document is None else [document]
    if None in trees and isinstance(trees[0], dict):
        raise InputError(f"rights.opted_out: {path}: no JSON: {lines[trees.index(None)][:60]!r}; export it again")
    if None in trees or not any(isinstance(tree, dict | list) for tree in trees):
        return None
    return [name for tree in trees for name in _ids_in(tree)]


def _ids_in(tree: Any) -> Iterator[str]:
    """Ids in JSON: items of lists; of an object the fields named as ids, or else its keys; and what is inside it."""
    if isinstance(tree, str | int | float):
        yield str(tree)
    elif isinstance(tree, list):
        yield from chain.from_iterable(map(_ids_in, tree))
    elif isinstance(tree, dict):
        names = [key for key in tree if _ID_HEADING.fullmatch(snake(key))]
        if not names:
            yield from (key for key, value in tree.items() if not isinstance(value, list) and not _is_no(value))
        elif not _allows(tree):
            yield from chain.from_iterable(_ids_in(tree[key]) for key in names)
        for key, value in tree.items():
            # A list inside a row may have rows of its own: the users of a customer.
            if isinstance(value, list) and kind_of(key) != "consent":
                yield from chain.from_iterable(_ids_in(item) for item in value if not names or isinstance(item, dict))
            elif isinstance(value, dict) and not names and not _is_no(value):
                yield from _ids_in(value)


def _is_no(value: Any) -> bool:
    """Whether an object of ids and flags says that this one did not opt out."""
    return (
        _allows(value) if isinstance(value, dict) else isinstance(value, bool | str) and consent_of(str(value)) == "no"
    )
