"""Joins rows that are spread over several lines or files, such as the answers of a batch and the prompts of its input.

Parts are kept on disk while files are read, so memory stays flat. Rows of batches and stored completions whose other
half is missing are kept in the home (`records/_waiting/`) until a later ingest brings it.
"""

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest import content, envelope
from pipeline.ingest.content import SMALL_BYTES, Content
from pipeline.ingest.formats import FORMATS
from pipeline.ingest.formats.format import PASSED_ON, PASSES_TO, Companions, Format
from pipeline.ingest.recognition import Recognised
from pipeline.ingest.sources import LogFile
from traffic.loose_json import json_or

AMBIGUOUS = "files whose prompts could be those of several others; read without"
_SAMPLE = 500
"""Rows compared to decide whether two files provide the same parts."""
_SAME_BATCH = 0.9
"""Minimum share of a batch's requests found in its answers file; failures are in a separate file."""
ANY_FILE = -1
"""File number for keys that are unique over all files."""


class WaitingRow(msgspec.Struct, frozen=True):
    """One line of `records/_waiting/*.jsonl`."""

    format: str
    source: str
    modified: datetime
    """Modification time of its source file."""
    row: str


class PartStore:
    """Parts that rows provide and parts that rows need, by file and key."""

    def __init__(self, path: Path, companions: Companions) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._companions, self.unique_keys = companions, companions.unique_keys
        self._database = sqlite3.connect(path)
        self._database.executescript(
            """
            pragma synchronous = off;
            create table part (key text, file integer, place integer, value blob);
            create table wanted (key text, file integer);
            create table passed (key text, into_key text);
            create table source (file integer primary key, parts integer);
            create index part_by_key on part (key);
            create index passed_by_key on passed (key);
            create index wanted_by_file on wanted (file);
            """
        )

    def add(self, file: int, rows: Iterable[bytes], *, wants: bool = True) -> None:
        """Store the parts that the rows of a file provide and need."""
        for tree in filter(None, map(_tree, rows)):
            for key in self._companions.wanted(tree) if wants else ():
                self._database.execute("insert into wanted values (?, ?)", (key, file))
            for key, place, value in self._companions.given(tree):
                if place == PASSES_TO:
                    self._database.execute("insert into passed values (?, ?)", (key, value))
                    continue
                encoded = msgspec.json.encode(value)
                self._database.execute("insert into part values (?, ?, ?, ?)", (key, file, place, encoded))

    def pass_on(self) -> None:
        """Copy parts up from the rows that only pass them on."""
        self._database.execute(
            """
            insert into part
            with recursive up(key, file, place, value) as (
                select s.into_key, p.file, p.place, p.value
                from part p join passed s on s.key = p.key where p.place = ?1
                union select s.into_key, u.file, u.place, u.value from up u join passed s on s.key = u.key)
            select * from up""",
            (PASSED_ON,),
        )

    def joined(self, rows: Iterable[bytes], file: int | None) -> Iterator[bytes]:
        """The rows with their parts; `file`: the file that provides them, None for any."""
        for row in rows:
            tree = _tree(row)
            keys = () if tree is None else self._companions.wanted(tree)
            parts = [part for key in keys for part in self._parts(key, file)]
            yield msgspec.json.encode(self._companions.joined(tree, parts)) if tree is not None and parts else row

    def files_for(self, file: int, first_waiting: int) -> list[int]:
        """Files that provide the parts of most rows of this file; more than one only if their parts differ.

        Files of this ingest are preferred to waiting ones. If either side waited, the keys must be nearly the same and
        every needed part present, because batches reuse each other's ids.
        """
        query = """
            select p.file, count(distinct p.key) as n from wanted w join part p on p.key = w.key
            where w.file = ?1 and (p.file < ?2 or ?1 < ?2) group by p.file order by n desc, p.file"""
        candidates = list(self._query(query, file, first_waiting))
        if not self.unique_keys:
            [(keys,)] = self._query("select count(distinct key) from wanted where file = ?", file)
            candidates = [
                (f, n)
                for f, n in candidates
                if (file < first_waiting and f < first_waiting) or (n == keys and n >= _SAME_BATCH * self._given(f))
            ]
        here = [entry for entry in candidates if entry[0] < first_waiting]
        candidates = here or candidates
        best = [other for other, n in candidates if n == candidates[0][1]]
        sample = [key for (key,) in self._query("select key from wanted where file = ? limit ?", file, _SAMPLE)]
        distinct = [o for o in best[1:] if any(self._parts(key, o) != self._parts(key, best[0]) for key in sample)]
        return best[:1] + distinct

    def is_asked_by(self, file: int, others: Iterable[int]) -> bool:
        """Whether one of the other files needs parts that this one provides."""
        query = "select exists (select 1 from part p join wanted w on w.key = p.key where p.file = ? and w.file = ?)"
        return any(asked for other in others for (asked,) in self._query(query, file, other))

    def decide(self, file: int, parts: int | None) -> None:
        """Record which file provides the parts of a file's rows; None: no file."""
        self._database.execute("insert or replace into source values (?, ?)", (file, parts))

    def left(self, file: int, rows: Iterable[bytes]) -> Iterator[bytes]:
        """Rows of a file that still need a part, and rows whose parts were not used."""
        took = """
            select exists (select 1 from wanted w join source s on s.file = w.file
                           where w.key = ?1 and (s.parts = ?2 or s.parts = -1))"""
        has = """
            select exists (select 1 from source s join part p on p.key = ?1 and (p.file = s.parts or s.parts = -1)
                           where s.file = ?2)"""
        for row in rows:
            tree = _tree(row)
            if tree is None:
                continue
            wanted = self._companions.wanted(tree)
            given = [key for key, place, _ in self._companions.given(tree) if place != PASSES_TO]
            if any(not self._is(has, key, file) for key in wanted) or (
                given and not any(self._is(took, key, file) for key in given)
            ):
                yield row

    def wanting(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """The rows that need a part."""
        return (row for row in rows if (tree := _tree(row)) is not None and self._companions.wanted(tree))

    def close(self) -> None:
        self._database.close()

    def _given(self, file: int) -> int:
        [(keys,)] = self._query("select count(distinct key) from part where file = ?", file)
        return int(keys)

    def _is(self, query: str, *values: Any) -> bool:
        return any(result for (result,) in self._query(query, *values))

    def _parts(self, key: str, file: int | None) -> list[Any]:
        # Clocks may give several messages of a request one time; only batches reuse a key for something else.
        query = """
            select min(value) from part where key = ?1 and (?2 is null or file = ?2)
            group by place, case when ?3 then value end order by place, min(rowid)"""
        return [msgspec.json.decode(value) for (value,) in self._query(query, key, file, self.unique_keys)]

    def _query(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        yield from self._database.execute(query, values)


class _Group(NamedTuple):
    """A file of this ingest, or the waiting rows of an earlier file."""

    number: int
    format: Format
    file: LogFile
    recognised: Recognised | None
    """None: waiting rows."""
    is_known: bool = False
    """Its rows are already stored or waiting; only the parts it provides are used."""


class Pairing:
    """Matches the files of an ingest that have companions, and the waiting rows of the home."""

    def __init__(self, folder: Path, waiting: Sequence[Path]) -> None:
        self._folder, self._waiting = folder, waiting
        self._stores: dict[str, PartStore] = {}
        self._groups: list[_Group] = []
        self._parts_of: dict[int, int | None] = {}
        self._ambiguous: set[int] = set()

    def __enter__(self) -> "Pairing":
        return self

    def __exit__(self, *error: object) -> None:
        for store in self._stores.values():
            store.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(self, file: LogFile, recognised: Recognised, *, is_known: bool) -> None:
        """Add a file of this ingest."""
        group = _Group(len(self._groups), recognised.format, file, recognised, is_known)
        self._groups.append(group)
        self._store(group.format).add(group.number, rows_of(Content(file), recognised), wants=not is_known)

    def pair(self) -> None:
        """Decide which file provides the parts of each file's rows."""
        first, known = len(self._groups), {}
        for row in self._waiting_rows():
            key = (row.format, row.source)
            if key not in known:
                known[key] = len(self._groups)
                # This size prevents it from being held in memory.
                file = LogFile(row.source, SMALL_BYTES + 1, row.modified)
                self._groups.append(_Group(known[key], FORMATS[row.format], file, None))
            self._store(FORMATS[row.format]).add(known[key], [row.row.encode()])
        for store in self._stores.values():
            store.pass_on()
        here = [group.number for group in self._groups[:first] if not group.is_known]
        for number, _, _, _, is_known in self._groups:
            store = self._store(self._groups[number].format)
            files = [] if is_known else store.files_for(number, first)
            if number >= first:
                # Answers of this ingest take precedence over waiting ones.
                files = [file for file in files if not store.is_asked_by(file, here)]
            if store.unique_keys:
                files = [ANY_FILE] if files else []
            elif len(files) > 1:
                self._ambiguous.add(number)
            self._parts_of[number] = files[0] if len(files) == 1 else None
            store.decide(number, self._parts_of[number])

    def read(self, number: int) -> Recognised | None:
        """How to read the n-th file of this ingest joined with its parts; None: unchanged."""
        return self._joined(self._groups[number])

    def is_ambiguous(self, number: int) -> bool:
        """Whether several files could provide the parts of the n-th file."""
        return number in self._ambiguous

    def completed(self) -> Iterator[tuple[LogFile, Recognised]]:
        """Waiting rows whose other half is in this ingest."""
        for group in self._groups:
            if group.recognised is None and (joined := self._joined(group)) is not None:
                yield group.file, joined

    def left(self) -> Iterator[WaitingRow]:
        """The rows that wait after this ingest."""
        for group in self._groups:
            if group.format.companions is None or not group.format.companions.wait or group.is_known:
                continue
            for row in self._store(group.format).left(group.number, self._rows(group)):
                yield WaitingRow(group.format.name, group.file.path, group.file.modified, row.decode())

    def _joined(self, group: _Group) -> Recognised | None:
        source = self._parts_of[group.number]
        if source is None:
            return None
        store = self._store(group.format)

        def rows() -> Iterator[bytes]:
            wanting = store.wanting(self._rows(group)) if group.recognised is None else self._rows(group)
            return store.joined(wanting, None if source == ANY_FILE else source)

        return Recognised(
            group.format,
            (),
            rows,
            "answers that waited for their prompts" if group.recognised is None else group.recognised.why,
        )

    def _rows(self, group: _Group) -> Iterator[bytes]:
        if group.recognised is not None:
            yield from rows_of(Content(group.file), group.recognised)
            return
        for row in self._waiting_rows():
            if (row.format, row.source) == (group.format.name, group.file.path):
                yield row.row.encode()

    def _waiting_rows(self) -> Iterator[WaitingRow]:
        for path in self._waiting:
            with path.open("rb") as lines:
                for line in lines:
                    row = msgspec.json.decode(line, type=WaitingRow)
                    if row.format in FORMATS:
                        yield row

    def _store(self, format: Format) -> PartStore:
        if format.name not in self._stores:
            assert format.companions is not None
            self._stores[format.name] = PartStore(self._folder / f"{format.name}.sqlite", format.companions)
        return self._stores[format.name]


def rows_of(opened: Content, recognised: Recognised) -> Iterator[bytes]:
    """The rows of a file; unreadable lines are returned unchanged."""
    lines = recognised.rows() if recognised.rows is not None else content.lines(opened)
    for line in lines:
        try:
            inside = list(envelope.rows_at(line, recognised.path)) if recognised.path else [line]
            yield from (
                inside
                if recognised.format.expand is None
                else [row for line in inside for row in recognised.format.expand(line)]
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # A damaged line is rejected when its block is read.
            yield line


def _tree(row: bytes) -> Mapping[str, Any] | None:
    tree = json_or(row)
    return tree if isinstance(tree, Mapping) else None
