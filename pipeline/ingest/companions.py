"""Rows that belong together though they stand in other lines or files: answers of a batch and the prompts of its input.

Every part is kept on disk while the files are read, so that memory stays flat.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from pipeline.ingest import content, envelope
from pipeline.ingest.content import Content
from pipeline.ingest.formats.format import Companions
from pipeline.ingest.recognition import Recognised

_SAMPLE = 500
"""Answers of a file that decide which file their prompts are in."""


class PartStore:
    """What rows give to other rows, by file and key."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path)
        self._database.execute("pragma synchronous = off")
        self._database.execute("create table part (key text, file integer, place integer, value blob)")
        self._database.execute("create index by_key on part (key)")
        self.size = 0

    def add(self, file: int, rows: Iterator[bytes], companions: Companions) -> None:
        """Keep what the rows of a file give."""
        for tree in filter(None, map(_tree, rows)):
            given = companions.given(tree)
            if given is not None:
                key, place, value = given
                self._database.execute(
                    "insert into part values (?, ?, ?, ?)", (key, file, place, msgspec.json.encode(value))
                )
                self.size += 1

    def joined(self, rows: Iterator[bytes], companions: Companions, file: int | None) -> Iterator[bytes]:
        """The rows, each with its parts; `file`: where these stand, None for keys that are unique in all files."""
        for row in rows:
            tree = _tree(row)
            key = None if tree is None else companions.wanted(tree)
            parts = [] if key is None else self._parts(key, file)
            yield msgspec.json.encode(companions.joined(tree, parts)) if tree is not None and parts else row

    def file_of(self, rows: Iterator[bytes], companions: Companions) -> tuple[int | None, bool]:
        """The file that holds the parts of most of these rows, and whether others hold as many, with other values."""
        wanted = [key for tree in map(_tree, rows) if tree is not None and (key := companions.wanted(tree)) is not None]
        votes: Counter[int] = Counter()
        for key in wanted[:_SAMPLE]:
            votes.update(file for (file,) in self._query("select distinct file from part where key = ?", key))
        if not votes:
            return None, False
        most = max(votes.values())
        best, *others = sorted(file for file, n in votes.items() if n == most)
        keys = wanted[:_SAMPLE]
        differ = any(self._parts(key, file) != self._parts(key, best) for file in others for key in keys)
        return best, differ

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
        except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError):
            yield line


def _tree(row: bytes) -> Mapping[str, Any] | None:
    try:
        tree = msgspec.json.decode(row)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return tree if isinstance(tree, Mapping) else None
