"""Staging files, which workers write per block of lines, and their merge into the store's parts.

Staged records are Arrow files per block and day (fast to write, read back in batches); the merged part of a day is
one Parquet file without the rows that are already stored.
"""

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store.identity import IDS_SCHEMA
from pipeline.store.manifest import Signal
from traffic.record import ARROW_SCHEMA, ArrowRow, to_table

_TS = pa.timestamp("us", tz="UTC")
FEEDBACK_SCHEMA = pa.schema([("id", pa.string()), ("thumb", pa.string()), ("corrected", pa.string()), ("ts", _TS)])
CONSUMED_SCHEMA = pa.schema([("id", pa.string()), ("consumed_at", _TS)])
LABELS_SCHEMA = pa.schema([("id", pa.string()), ("label", pa.string()), ("source", pa.string()), ("ts", _TS)])
SIGNALS: dict[Signal, pa.Schema] = {"feedback": FEEDBACK_SCHEMA, "consumed": CONSUMED_SCHEMA, "labels": LABELS_SCHEMA}
"""Columns of each kind of signal; joined to the records by `id`."""

KEYS_SCHEMA = pa.schema([("block", pa.int64()), ("date", pa.string()), ("row", pa.int64()), ("key", pa.string())])
"""Staged rows that change: `key` is null for rows that are already stored, and a new key for reused ids."""
_CONTENT = pa.field("content", pa.string())
"""Content hash of the signal's record; null where only the id is known."""

_ROW_GROUP_BYTES = 16 << 20
"""A merging worker holds one row group and its pages, which is less than a block of lines: memory stays flat."""


class RejectedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `records/_rejected/*.jsonl`."""

    source: str
    line: int
    """1-based line number; in a JSON document the row number."""
    reason: str
    """Short code: cut_json, invalid_utf8, not_json, too_deep, wrong_types, missing_field, not_chat, no_answer,
    unknown_answer, unknown_format, no_contents, cut_text, cut_stream, body_elsewhere, newer_schema."""
    detail: str
    raw: str | None = None
    """The line itself, if it is UTF-8."""
    raw_base64: str | None = None
    """The line in base64, if it is not UTF-8."""

    @classmethod
    def of(cls, source: str, line: int, reason: str, detail: str, raw: bytes) -> "RejectedLine":
        try:
            return cls(source, line, reason, detail, raw=raw.decode())
        except UnicodeDecodeError:
            return cls(source, line, reason, detail, raw_base64=base64.b64encode(raw).decode())


def stage_block(
    folder: Path,
    block: int,
    rows: Sequence[ArrowRow],
    signals: Mapping[Signal, Sequence[Mapping[str, Any]]],
    rejected: Sequence[RejectedLine],
    *,
    pieces: Sequence[int] | None = None,
) -> list[str]:
    """Write a block's records, signals and rejected lines. Returns the days of its records (YYYY-MM-DD).

    `pieces`: number of the source piece of each row.
    """
    by_day: dict[date, list[ArrowRow]] = defaultdict(list)
    piece_of: dict[date, list[int]] = defaultdict(list)
    for row, piece in zip(rows, repeat(0) if pieces is None else pieces, strict=False):
        day = row.record.ts.date()
        by_day[day].append(row)
        piece_of[day].append(piece)
    ids = []
    for day, day_rows in by_day.items():
        table = to_table(day_rows)
        _write_arrow(folder / f"{block:08d}.{day}.arrow", table)
        count = len(day_rows)
        columns = (table["id"], [block] * count, piece_of[day], [str(day)] * count, range(count))
        ids.append(pa.table(dict(zip(IDS_SCHEMA.names, columns, strict=True)), schema=IDS_SCHEMA))
    if ids:
        # Read once or twice and then deleted, so it is not worth compressing.
        pq.write_table(
            pa.concat_tables(ids),
            folder / f"{block:08d}.ids.parquet",
            compression="none",
            use_dictionary=["date"],
            write_statistics=False,
        )
    for kind, listed in signals.items():
        if listed:
            table = pa.Table.from_pylist(list(listed), SIGNALS[kind].append(_CONTENT))
            pq.write_table(table, folder / f"{block:08d}.{kind}.parquet")
    if rejected:
        (folder / f"{block:08d}.rejected.jsonl").write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in rejected))
    return sorted(map(str, by_day))


def merge_day(folder: Path, day: str, target: Path) -> int:
    """Write the new staged records of one day as one Parquet file; returns the number of rows (0: no file)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with pq.ParquetWriter(target, ARROW_SCHEMA, compression="zstd") as writer:
        for group in _row_groups(_kept(folder, day)):
            writer.write_table(group)
            count += group.num_rows
            # Release the group while the next one is collected.
            del group
    if not count:
        target.unlink()
    return count


def _write_arrow(path: Path, table: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=2048)


def _read_arrow(path: Path) -> Iterator[tuple[int, pa.Table]]:
    """The batches of a staged file, each with the number of its first row."""
    start = 0
    with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
        for n in range(reader.num_record_batches):
            table = pa.Table.from_batches([reader.get_batch(n)])
            yield start, table
            start += table.num_rows


def numbered_rows(folder: Path, block: int, day: str) -> Iterator[pa.Table]:
    """The staged records of a block and day, with their numbers as the column `row`."""
    for start, table in _read_arrow(folder / f"{block:08d}.{day}.arrow"):
        yield table.append_column("row", pa.array(range(start, start + table.num_rows), pa.int64()))


def _kept(folder: Path, day: str) -> Iterator[pa.Table]:
    keys = _keys(folder, day)
    for path in sorted(folder.glob(f"*.{day}.arrow")):
        changed = keys.get(int(path.name.partition(".")[0]), {})
        for start, table in _read_arrow(path):
            yield _with_keys(table, {row - start: key for row, key in changed.items()}) if changed else table


def _with_keys(table: pa.Table, changed: Mapping[int, str | None]) -> pa.Table:
    """Drop the rows whose key is null and set the new keys of the others."""
    import pyarrow.compute as pc  # costs 0.1 s; most ingests do not need it

    new = {row: key for row, key in changed.items() if key is not None and 0 <= row < table.num_rows}
    if new:
        ids, requests = table["id"].to_pylist(), table["request_id"].to_pylist()
        for row, key in new.items():
            if requests[row] == ids[row]:
                requests[row] = key
            ids[row] = key
        for name, values in (("id", ids), ("request_id", requests)):
            position = table.schema.get_field_index(name)
            table = table.set_column(position, table.schema.field(position), pa.array(values, pa.string()))
    dropped = [row for row, key in changed.items() if key is None]
    rows = pa.array(range(table.num_rows), pa.int64())
    return table.filter(pc.invert(pc.is_in(rows, value_set=pa.array(dropped, pa.int64()))))


def _keys(folder: Path, day: str) -> dict[int, dict[int, str | None]]:
    """Changed rows of a day by block: row number to new key; None drops the row."""
    path = folder / "keys.parquet"
    by_block: dict[int, dict[int, str | None]] = defaultdict(dict)
    if path.exists():
        table = pq.read_table(path, filters=[("date", "==", day)], schema=KEYS_SCHEMA)
        for block, row, key in zip(*(table[name].to_pylist() for name in ("block", "row", "key")), strict=True):
            by_block[block][row] = key
    return by_block


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Join small tables into row groups of about _ROW_GROUP_BYTES."""
    waiting: list[pa.Table] = []
    for table in tables:
        if table.num_rows:
            waiting.append(table)
        if sum(table.nbytes for table in waiting) >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
