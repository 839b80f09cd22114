"""Parts on their way into the store: what a worker writes aside for one block of lines, and the final files made of it.

Staged records are Arrow files per block and day (quick to write, read back in batches); the final part
of a day is one Parquet file, without the rows that the store has already.
"""

import base64
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.store.manifest import Signal
from traffic.record import ARROW_SCHEMA, to_table

_TS = pa.timestamp("us", tz="UTC")
FEEDBACK_SCHEMA = pa.schema([("id", pa.string()), ("thumb", pa.string()), ("corrected", pa.string()), ("ts", _TS)])
CONSUMED_SCHEMA = pa.schema([("id", pa.string()), ("consumed_at", _TS)])
LABELS_SCHEMA = pa.schema([("id", pa.string()), ("label", pa.string()), ("source", pa.string()), ("ts", _TS)])
SIGNALS: dict[Signal, pa.Schema] = {"feedback": FEEDBACK_SCHEMA, "consumed": CONSUMED_SCHEMA, "labels": LABELS_SCHEMA}
"""Kinds of signals, each with its columns; all are joined to the records by `id`."""

_IDS_SCHEMA = pa.schema([("id", pa.string()), ("block", pa.int64()), ("date", pa.string()), ("row", pa.int64())])
DROPS_SCHEMA = pa.schema([("block", pa.int64()), ("date", pa.string()), ("row", pa.int64())])

_ROW_GROUP_BYTES = 32 << 20


class RejectedLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `records/_rejected/*.jsonl`."""

    source: str
    line: int
    """From 1; of a JSON document the number of the row."""
    reason: str
    """Short code: cut_json, invalid_utf8, not_json, wrong_types, missing_field, not_chat, newer_schema."""
    detail: str
    raw: str | None = None
    """The line as it is."""
    raw_base64: str | None = None
    """Instead of `raw` where the line is not UTF-8."""

    @classmethod
    def of(cls, source: str, line: int, reason: str, detail: str, raw: bytes) -> "RejectedLine":
        try:
            return cls(source, line, reason, detail, raw=raw.decode())
        except UnicodeDecodeError:
            return cls(source, line, reason, detail, raw_base64=base64.b64encode(raw).decode())


def stage_block(
    folder: Path,
    block: int,
    rows: Sequence[dict[str, Any]],
    signals: Mapping[Signal, Sequence[Mapping[str, Any]]],
    rejected: Sequence[RejectedLine],
) -> list[str]:
    """Write what one block gave; rows are those of `ARROW_SCHEMA`. Returns the days it touches (YYYY-MM-DD)."""
    by_day: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        ts: datetime = row["ts"]
        by_day[ts.date()].append(row)
    ids: list[dict[str, Any]] = []
    for day, day_rows in by_day.items():
        _write_arrow(folder / f"{block:08d}.{day}.arrow", to_table(day_rows))
        ids += [{"id": row["id"], "block": block, "date": str(day), "row": n} for n, row in enumerate(day_rows)]
    if ids:
        pq.write_table(pa.Table.from_pylist(ids, _IDS_SCHEMA), folder / f"{block:08d}.ids.parquet")
    for kind, found in signals.items():
        if found:
            pq.write_table(pa.Table.from_pylist(list(found), SIGNALS[kind]), folder / f"{block:08d}.{kind}.parquet")
    if rejected:
        (folder / f"{block:08d}.rejected.jsonl").write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in rejected))
    return sorted(map(str, by_day))


def merge_day(folder: Path, day: str, target: Path) -> int:
    """All staged records of one day as one Parquet file, without the drops; returns its rows (0: no file)."""
    target.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with pq.ParquetWriter(target, ARROW_SCHEMA, compression="zstd") as writer:
        for group in _row_groups(_kept(folder, day)):
            writer.write_table(group)
            count += group.num_rows
    if not count:
        target.unlink()
    return count


def _write_arrow(path: Path, table: pa.Table) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=2048)


def _kept(folder: Path, day: str) -> Iterator[pa.Table]:
    drops = _drops(folder, day)
    for path in sorted(folder.glob(f"*.{day}.arrow")):
        dropped = drops.get(int(path.name.partition(".")[0]))
        start = 0
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_file(file) as reader:
            for n in range(reader.num_record_batches):
                table = pa.Table.from_batches([reader.get_batch(n)])
                rows = pa.array(range(start, start + table.num_rows), pa.int64())
                start += table.num_rows
                yield table if dropped is None else table.filter(pc.invert(pc.is_in(rows, value_set=dropped)))


def _drops(folder: Path, day: str) -> dict[int, pa.Array]:
    """Rows of a day that the store has already, by block."""
    path = folder / "drops.parquet"
    if not path.exists():
        return {}
    by_block: dict[int, list[int]] = defaultdict(list)
    table = pq.read_table(path, filters=[("date", "==", day)], schema=DROPS_SCHEMA)
    for block, row in zip(table["block"].to_pylist(), table["row"].to_pylist(), strict=True):
        by_block[block].append(row)
    return {block: pa.array(rows, pa.int64()) for block, rows in by_block.items()}


def _row_groups(tables: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Tables joined until a row group is worth its overhead, but fits into memory easily."""
    waiting: list[pa.Table] = []
    for table in tables:
        if table.num_rows:
            waiting.append(table)
        if sum(held.nbytes for held in waiting) >= _ROW_GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
