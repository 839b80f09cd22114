"""Read signals from the application's own table: which answers were seen, and when.

    fasttier ingest --reads reads.csv       # columns id, consumed_at; CSV, Parquet or JSON lines

Every id in the table is tracked; an empty time means not seen yet.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from pipeline import store
from pipeline.ingest import sources, tables
from pipeline.ingest.content import Content
from pipeline.ingest.tags import READ_TIMES
from pipeline.ingest.values import Notes, identity, optional_time
from traffic.artifacts import Home
from traffic.errors import InputError

_ID_NAMES = ("id", "request_id", "response_id", "record_id", "trace_id")
_NEVER = frozenset({"", "none", "null", "nan", "nat", "never"})


class ReadsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of joining the read signal."""

    path: str
    rows: int
    matched: int
    """Rows whose id is in the store."""
    seen: int
    """Of these, answers that were seen."""
    unmatched: int
    nulled: dict[str, int]

    def lines(self) -> list[str]:
        lines = [
            f"reads: {self.rows:,} rows of {self.path}: {self.matched:,} match a record, {self.seen:,} of them seen"
        ]
        if self.unmatched:
            lines.append(f"warning: {self.unmatched:,} ids are not in the store")
        if self.nulled:
            listed = ", ".join(f"{name} {n:,}" for name, n in self.nulled.items())
            lines.append(f"warning: left out, they cannot be read: {listed}")
        return lines


def join(path: str, home: Home) -> ReadsSummary:
    """Add the read times of a table to the store. Raises: NotFound, InputError when no id matches."""
    file = sources.find([path])[0]
    signals: list[dict[str, Any]] = []
    nulled: dict[str, int] = {}
    rows = 0
    for row in _rows(Content(file)):
        rows += 1
        names = {str(key).casefold(): value for key, value in row.items()}
        own = identity(*(names[name] for name in _ID_NAMES if name in names))
        time_name = next((name for name in READ_TIMES if name in names), None)
        if rows == 1 and (own is None or (time_name is None and not _is_sparse(file))):
            raise InputError(f"{path}: needs the columns id and consumed_at; it has {', '.join(map(str, row))}")
        if own is None:
            nulled["id"] = nulled.get("id", 0) + 1
            continue
        given = None if time_name is None else names[time_name]
        notes = Notes()
        seen = None if str(given).strip().casefold() in _NEVER else optional_time(given, "consumed_at", notes)
        if notes.nulled:
            nulled["consumed_at"] = nulled.get("consumed_at", 0) + 1
            continue
        signals.append({"id": own, "consumed_at": seen})
    if not rows:
        raise InputError(f"{path}: no rows in it")
    known = _known(home, [signal["id"] for signal in signals])
    matched = [{**signal, "id": known[signal["id"]]} for signal in signals if signal["id"] in known]
    if signals and not matched:
        raise InputError(f"{path}: none of its {len(signals):,} ids is in the store, such as {signals[0]['id']!r}")
    store.append(home, source=file.path, signals={"consumed": matched})
    seen_count = sum(signal["consumed_at"] is not None for signal in matched)
    return ReadsSummary(
        path=path,
        rows=rows,
        matched=len(matched),
        seen=seen_count,
        unmatched=len(signals) - len(matched),
        nulled=nulled,
    )


def _is_sparse(file: sources.LogFile) -> bool:
    """Whether rows omit empty cells, as in JSON and CSV."""
    return not file.is_parquet


def _rows(opened: Content) -> Iterator[Mapping[str, Any]]:
    head = opened.head()
    if opened.file.is_parquet:
        lines = tables.parquet_rows(opened.file)
    elif head.lstrip().startswith(b"{"):
        lines = (line for piece in opened.chunks() for line in piece.splitlines() if line.strip())
    else:
        lines = tables.csv_rows(opened)
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            raise InputError(f"{opened.file.path}: {error}") from None


def _known(home: Home, ids: list[str]) -> dict[str, str]:
    """Id in the table -> id of its record. A request's id means its first attempt."""
    connection = store.connect(home)
    connection.execute("create temp table given as select unnest(?) as given", [ids])
    rows = connection.execute(
        "select given, min(id) from given join records on given = records.id group by given union all "
        "select given, min_by(id, attempt) from given join records on given = records.request_id "
        "where given not in (select id from records) group by given"
    ).fetchall()
    return dict(rows)
