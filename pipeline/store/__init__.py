"""The records store: immutable Parquet by day, and signals that arrive later, joined by `id`.

    records/date=YYYY-MM-DD/part-*.parquet   records/_rejected/   records/_attempts/   records/_manifest/
    signals/{feedback,consumed,labels}/part-*.parquet

`connect` opens views over all committed data; `append` commits records from memory, `fasttier ingest` whole logs.
"""

import datetime as dt
import hashlib
import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from pipeline.store import attempts, commit, manifest, staging
from pipeline.store.commit import Duplicates
from pipeline.store.database import open_database
from pipeline.store.derived import arrow_row
from pipeline.store.identity import paths_sql
from pipeline.store.manifest import Commit, Signal, Source, commits, writing
from pipeline.store.overlay import Overlay
from traffic.artifacts import Home, hash8
from traffic.errors import NotFound
from traffic.record import ARROW_SCHEMA, Record, encode_record

__all__ = ["Commit", "Overlay", "Source", "append", "commits", "connect", "fingerprints", "writing"]

_LINKED = ("request_id", "purpose", "attempt", "parent_id")
_SQL_TYPES = {pa.int64(): "bigint", pa.bool_(): "boolean"}
# Parts written by older versions lack some of these fields; they are read as null.
_USAGE_TYPE = "struct({})".format(
    ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in ARROW_SCHEMA.field("usage").type)
)


def connect(home: Home, overlay: Overlay | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database with one view per part of the store; times are UTC.

    `records`: the columns of `ARROW_SCHEMA` and `date`, with retries linked to their request;
    `feedback(id, thumb, corrected, ts)`; `consumed(id, consumed_at)`, one row per tracked answer, null
    while unread; `labels(id, label, source, ts)`. The views of signals are empty where there are none.
    `overlay`: uncommitted records, read with the commits that it was made for.

    Times are `timestamptz`: read them with `.to_arrow_table()`, or as `epoch(ts)` or `ts::varchar`. DuckDB's
    `fetchall` needs pytz for them, which is not installed.

    Raises: NotFound if nothing was ingested yet.
    """
    committed = commits(home) if overlay is None else list(overlay.commits)
    records = [*manifest.parts(home, committed, "records"), *(overlay.parts if overlay else ())]
    if not records:
        raise NotFound(f"no records in {home.records}; run `fasttier ingest LOG`")
    signals = {kind: manifest.parts(home, committed, kind) for kind in _SIGNAL_VIEWS}
    missing = next((path for path in itertools.chain(records, *signals.values()) if not path.exists()), None)
    if missing is not None:
        raise NotFound(
            f"{missing} of the store is gone; restore it, or delete {home.records} and {home.signals} and ingest again"
        )
    connection = open_database(spill=home.runs / "duckdb")
    # hive_partitioning would also parse parent folders of the home: one named `tier=1` would change every record.
    stored = (
        f"(select * replace (cast(usage as {_USAGE_TYPE}) as usage), cast(ts as date) as date "  # noqa: S608
        f"from read_parquet({paths_sql(records)}, hive_partitioning = false, union_by_name = true))"
    )
    links = _links(home, committed, overlay)
    if links:
        columns = ", ".join(
            f"coalesce(l.{name}, r.{name}) as {name}" if name in _LINKED else f'r."{name}"'
            for name in (*ARROW_SCHEMA.names, "date")
        )
        # Paths and column names are constants or our own, here and below: nothing to inject.
        stored = f"(select {columns} from {stored} r left join read_parquet({paths_sql(links)}) l on l.id = r.id)"  # noqa: S608
    connection.execute(f"create view records as select * from {stored}")  # noqa: S608
    for kind, query in _SIGNAL_VIEWS.items():
        parts = signals[kind]
        source = f"read_parquet({paths_sql(parts)})" if parts else f"({_EMPTY[kind]})"
        connection.execute(f"create view {kind} as {query.format(source=source)}")
    return connection


def fingerprints(home: Home, overlay: Overlay | None = None) -> dict[dt.date, str]:
    """By day, a hash that changes when the day's records or the links between its attempts change."""
    committed = commits(home) if overlay is None else list(overlay.commits)
    parts: dict[dt.date, list[str]] = {}
    for part in (*manifest.parts(home, committed, "records"), *(overlay.parts if overlay else ())):
        parts.setdefault(attempts.day_of(part), []).append(part.name)
    # By content, not by name: each commit writes the links of its days again, mostly unchanged.
    links = {attempts.day_of_links(path): hash8(path.read_bytes()) for path in _links(home, committed, overlay)}
    return {day: hash8(sorted(names), links.get(day.isoformat())) for day, names in sorted(parts.items())}


def _links(home: Home, committed: list[Commit], overlay: Overlay | None) -> list[Path]:
    by_day = {attempts.day_of_links(path): path for path in attempts.current(home, committed)}
    by_day |= {attempts.day_of_links(path): path for path in (overlay.links if overlay else ())}
    return [by_day[day] for day in sorted(by_day)]


_SIGNAL_VIEWS: dict[Signal, str] = {
    # The range of all numbers tells their scale: -1 to 1 (0 is no verdict), 0 to 1, or stars and percentages.
    "feedback": """
        with given as (select distinct id, thumb, corrected, ts, try_cast(thumb as double) as score from {source}),
        scale as (select min(score) as low, max(score) as high from given)
        select id, case when score is null then thumb
                        when low < 0 then case when score < 0 then 'down' when score > 0 then 'up' end
                        when high <= 1 then case when score < 0.5 then 'down' else 'up' end
                        when score <= 0.4 * high then 'down' when score >= 0.8 * high then 'up' end as thumb,
               corrected, ts
        from given, scale""",
    # An answer that was unread in one export may be read in the next.
    "consumed": "select id, max(consumed_at) as consumed_at from {source} group by id",
    "labels": "select distinct id, label, source, ts from {source}",
}
_EMPTY: dict[Signal, str] = {
    "feedback": "select ''::varchar id, ''::varchar thumb, ''::varchar corrected, now()::timestamptz ts where false",
    "consumed": "select ''::varchar id, now()::timestamptz consumed_at where false",
    "labels": "select ''::varchar id, ''::varchar label, ''::varchar source, now()::timestamptz ts where false",
}


def append(
    home: Home,
    records: Iterable[Record] = (),
    *,
    source: str,
    signals: Mapping[Signal, Iterable[Mapping[str, Any]]] | None = None,
) -> Source:
    """Commit records and signals (rows by kind) from memory; the result counts how many were new.

    Appending the same again changes nothing. Raises: InputError if another process is writing to the store.
    """
    listed = list(records)
    staged = {kind: list(rows) for kind, rows in (signals or {}).items()}
    digest = hashlib.sha256(b"\n".join(map(encode_record, listed)))
    digest.update(msgspec.json.encode(staged))
    content = digest.hexdigest()
    with writing(home) as committed:
        known = next((s for c in committed for s in c.sources if s.content_sha256 == content), None)
        if known is not None:
            return msgspec.structs.replace(known, accepted=0, duplicates=known.accepted + known.duplicates)
        folder = manifest.staging_folder(home)
        folder.mkdir(parents=True)
        days = staging.stage_block(folder, 0, [arrow_row(record) for record in listed], staged, [])

        def sources(duplicates: Duplicates) -> list[Source]:
            dropped = sum(duplicates.by_piece.values())
            return [
                Source(
                    path=source, format="memory", stored_sha256=content, content_sha256=content, mapping="",
                    bytes=0, read=len(listed), accepted=len(listed) - dropped, rejected=0, duplicates=dropped,
                )
            ]  # fmt: skip

        return commit.publish(home, committed, sources, days=days).sources[0]
