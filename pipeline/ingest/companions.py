"""Rows that belong together though they stand in other lines or files: answers of a batch and the prompts of its input.

Every part is kept on disk while the files are read, so that memory stays flat.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.ingest import content, envelope
from pipeline.ingest.content import Content
from pipeline.ingest.formats.format import Companions
from pipeline.ingest.recognition import Recognised

UNUSED = "batch inputs whose answers are not among these files: ingest both in one run, or they get no prompts"
_SAMPLE = 500
"""Rows of a file that decide whether two other files give them the same."""


class PartStore:
    """What rows give to other rows, and which rows want some, by file and key."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        self._named_by_file = False
        self._database.executescript(
            """
            pragma synchronous = off;
            create table part (key text, file integer, place integer, value blob);
            create table wanted (key text, file integer);
            create index part_by_key on part (key);
            create index wanted_by_file on wanted (file);
            """
        )

    def add(self, file: int, rows: Iterator[bytes], companions: Companions) -> None:
        """Keep what the rows of a file give and want."""
        for tree in filter(None, map(_tree, rows)):
            if (key := companions.wanted(tree)) is not None:
                self._database.execute("insert into wanted values (?, ?)", (key, file))
            for key, place, value in companions.given(tree):
                self._named_by_file |= not companions.unique_keys
                encoded = msgspec.json.encode(value)
                self._database.execute("insert into part values (?, ?, ?, ?)", (key, file, place, encoded))

    def joined(self, rows: Iterator[bytes], companions: Companions, file: int | None) -> Iterator[bytes]:
        """The rows, each with its parts; `file`: where these stand, None for any file."""
        for row in rows:
            tree = _tree(row)
            key = None if tree is None else companions.wanted(tree)
            parts = [] if key is None else self._parts(key, file)
            yield msgspec.json.encode(companions.joined(tree, parts)) if tree is not None and parts else row

    def files_for(self, file: int) -> list[int]:
        """The files that hold the parts of most rows of this one: several only where they hold different parts."""
        query = """
            select p.file, count(distinct p.key) as n from wanted w join part p on p.key = w.key
            where w.file = ? group by p.file order by n desc, p.file"""
        found = list(self._query(query, file))
        best = [other for other, n in found if n == found[0][1]]
        keys = [key for (key,) in self._query("select key from wanted where file = ? limit ?", file, _SAMPLE)]
        distinct = [o for o in best[1:] if any(self._parts(key, o) != self._parts(key, best[0]) for key in keys)]
        return best[:1] + distinct

    def is_unused(self, file: int) -> bool:
        """Whether a file gives prompts of a batch and no row of any file wants one of them."""
        query = """
            select count(*) > 0 and not exists (
                select 1 from part p join wanted w on w.key = p.key where p.file = ?1) from part where file = ?1"""
        return self._named_by_file and any(unused for (unused,) in self._query(query, file))

    def close(self) -> None:
        self._database.close()

    def _parts(self, key: str, file: int | None) -> list[Any]:
        query = "select min(value) from part where key = ?1 and (?2 is null or file = ?2) group by place order by place"
        return [msgspec.json.decode(value) for (value,) in self._query(query, key, file)]

    def _query(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._database.execute(query, values)


def rows_of(opened: Content, recognised: Recognised) -> Iterator[bytes]:
    """The rows of a file, one by one; lines that cannot be read stay as they are."""
    lines = recognised.rows() if recognised.rows is not None else content.lines(opened)
    for line in lines:
        try:
            inside = list(envelope.rows_at(line, recognised.path)) if recognised.path else [line]
            yield from (
                inside
                if recognised.format.expand is None
                else [row for each in inside for row in recognised.format.expand(each)]
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # A damaged line is rejected when its block is read.
            yield line


def _tree(row: bytes) -> Mapping[str, Any] | None:
    try:
        tree = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if isinstance(tree, Mapping) else None
