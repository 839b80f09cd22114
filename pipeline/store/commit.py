"""Commits staged blocks: drops known records, merges blocks into parts, renames the parts, writes the manifest.

The manifest is written last. A process that is killed before that leaves unlisted parts: readers ignore them, and the
next writer removes them.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq

from pipeline.store import attempts, identity, manifest, staging
from pipeline.store.database import open_database
from pipeline.store.identity import paths_sql
from pipeline.store.manifest import Commit, Kind, Source
from traffic.artifacts import Home, fsync

Step = Callable[[str], None]
"""Called with the name of each finished step; tests kill the process there."""

_SYNC_THREADS = 8


class Duplicates(msgspec.Struct, frozen=True):
    """Staged records that are already in the store."""

    by_piece: dict[tuple[int, int], int]
    """Known records, by block and piece."""
    reused_ids: int
    """New records with the id of another record; they get a new key."""
    completed: int = 0
    """Records that replace stored ones without a prompt; also counted in `by_piece`."""


def publish(
    home: Home,
    committed: Sequence[Commit],
    sources: Callable[[Duplicates], Sequence[Source]],
    *,
    days: Iterable[str],
    retried: Iterable[str] = (),
    waited: Iterable[str] = (),
    executor: Executor | None = None,
    on_step: Step = lambda step: None,
) -> Commit:
    """Commit everything in the staging folder.

    `sources` builds the commit's sources from its duplicates. `retried`: parts of rejected lines that were read again.
    `waited`: parts of waiting rows that `waiting.jsonl` in the staging folder replaces.
    Requires the store's lock (`manifest.writing`).
    """
    folder = manifest.staging_folder(home)
    days = sorted(days)
    with database(folder) as connection:
        stored = manifest.parts(home, list(committed), "records")
        listed = tuple(sources(find_keys(connection, folder, stored)))
        commit_id = _commit_id(listed, len(committed))
        ready = folder / "ready"
        replaced = _without_completed(connection, stored, ready, commit_id)
        _merge_days(folder, ready, days, commit_id, executor)
        _merge_rejected(folder, ready / "records" / "_rejected" / f"part-{commit_id}.jsonl")
        if (waiting := folder / "waiting.jsonl").exists() and waiting.stat().st_size:
            target = ready / "records" / "_waiting" / f"part-{commit_id}.jsonl"
            target.parent.mkdir(parents=True, exist_ok=True)
            waiting.rename(target)
        for kind, schema in staging.SIGNALS.items():
            target = ready / "signals" / kind / f"part-{commit_id}.parquet"
            _merge_signals(connection, folder, schema.names, manifest.parts(home, list(committed), kind), target)
        on_step("ready")
        added = sorted((ready / "records").glob("date=*/part-*"))
        attempts.link(
            connection,
            [part for part in stored if part not in replaced] + added,
            added,
            ready / "records" / "_attempts",
            commit_id,
        )
        on_step("linked")
        parts = _rename(home, ready, on_step)
    commit = Commit(
        id=commit_id,
        committed_at=datetime.now(UTC),
        sources=listed,
        parts=parts,
        retried=tuple(retried),
        replaced=(*(str(part.relative_to(home.root)) for part in replaced), *waited),
    )
    manifest.write(home, commit)
    on_step("committed")
    shutil.rmtree(folder)
    return commit


def database(folder: Path) -> duckdb.DuckDBPyConnection:
    """Database for a commit: holds ids and links only; above the memory limit it spills to disk."""
    return open_database(spill=folder / "spill", memory_limit="512MB")


def _commit_id(sources: Sequence[Source], number: int) -> str:
    # The same content can be committed twice, the second time without rows: a file compressed in the meantime.
    hashed = [str(number), *(source.stored_sha256 for source in sources)]
    return hashlib.sha256("\n".join(hashed).encode()).hexdigest()[:16]


def find_keys(
    connection: duckdb.DuckDBPyConnection, folder: Path, known: Sequence[Path], *, complete: bool = True
) -> Duplicates:
    """Write `keys.parquet`: staged rows that are already stored or that need a new key.

    `complete`: whether rows with a prompt replace stored ones without; otherwise they count as duplicates.
    """
    ids = [str(path) for path in sorted(folder.glob("*.ids.parquet"))]
    if not ids:
        connection.execute(
            "create or replace temp table decided (id varchar, content varchar, key varchar, completes boolean)"
        )
        return Duplicates({}, 0)
    identity.decide(connection, ids, [str(path) for path in known], partial(staging.numbered_rows, folder))
    dropped = "is_known" if complete else "(is_known or completes)"
    changed = connection.sql(
        f'select block, date, "row", case when {dropped} then null else key end as key from decided '  # noqa: S608
        f"where {dropped} or key <> id"
    ).to_arrow_table()
    if changed.num_rows:
        pq.write_table(changed.cast(staging.KEYS_SCHEMA), folder / "keys.parquet")
    counted = connection.sql(
        "select block, piece, count(*) from decided where is_known or completes group by all"
    ).fetchall()
    reused, completed = connection.sql(
        "select count(*) filter (not is_known and not completes and key <> id), count(*) filter (completes) "
        "from decided"
    ).fetchall()[0]
    return Duplicates({(block, piece): count for block, piece, count in counted}, reused, completed)


def _without_completed(
    connection: duckdb.DuckDBPyConnection, stored: Sequence[Path], ready: Path, commit_id: str
) -> list[Path]:
    """Rewrite the parts whose records are replaced by complete ones, without those records; returns the old parts."""
    keys = connection.sql("select distinct key from decided where completes").to_arrow_table()["key"]
    if not len(keys):
        return []
    query = (
        "select distinct filename from read_parquet({}, hive_partitioning = false, filename = true) "
        "where id in (select key from decided where completes)"
    )
    replaced = sorted(Path(name) for (name,) in connection.sql(query.format(paths_sql(stored))).fetchall())
    for number, part in enumerate(replaced):
        import pyarrow.compute as pc  # costs 0.1 s; most ingests do not need it

        table = pq.read_table(part, partitioning=None)
        kept = table.filter(pc.invert(pc.is_in(table["id"], value_set=keys)))
        if kept.num_rows:
            target = ready / "records" / part.parent.name / f"part-{commit_id}-{number}.parquet"
            target.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(kept, target, compression="zstd")
    return replaced


def _merge_days(folder: Path, ready: Path, days: Sequence[str], commit_id: str, executor: Executor | None) -> None:
    targets = [ready / "records" / f"date={day}" / f"part-{commit_id}.parquet" for day in days]
    run = map if executor is None else executor.map
    for _ in run(staging.merge_day, [folder] * len(days), days, targets):
        pass


def _merge_rejected(folder: Path, target: Path) -> None:
    staged = sorted(folder.glob("*.rejected.jsonl"))
    if not staged:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as out:
        for path in staged:
            with path.open("rb") as part:
                shutil.copyfileobj(part, out)


def _merge_signals(
    connection: duckdb.DuckDBPyConnection, folder: Path, names: Sequence[str], known: Sequence[Path], target: Path
) -> None:
    """Merge signals whose whole row is new: a later export with one more thumb adds only that thumb."""
    staged = [str(path) for path in sorted(folder.glob(f"*.{target.parent.name}.parquet"))]
    if not staged:
        return
    columns = ", ".join(names)
    others = ", ".join(f"s.{name}" for name in names if name != "id")
    # Signals are stored under their record's key, which may differ from its id in the log.
    query = (
        f"select distinct coalesce(k.key, s.id) as id, {others} from read_parquet({paths_sql(staged)}) s "  # noqa: S608 - our own names
        "left join (select distinct id, content, key from decided) k on k.id = s.id and k.content = s.content"
    )
    if known:
        query += f" except select {columns} from read_parquet({paths_sql(known)})"  # noqa: S608 - as above
    rows = connection.sql(f"{query} order by all").to_arrow_table()
    if rows.num_rows:
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(rows, target, compression="zstd")


def _rename(home: Home, ready: Path, on_step: Step) -> dict[Kind, tuple[str, ...]]:
    parts: dict[Kind, tuple[str, ...]] = {}
    kinds: dict[str, Kind] = {
        "_rejected": "rejected",
        "_attempts": "attempts",
        "_waiting": "waiting",
        **{kind: kind for kind in staging.SIGNALS},
    }
    paths = sorted(ready.rglob("part-*"))
    # After a power cut the manifest must not list parts whose content was lost. The disk flushes files together that
    # are synced at the same time: one by one takes ten times as long.
    with ThreadPoolExecutor(_SYNC_THREADS) as threads:
        list(threads.map(fsync, paths))
    for path in paths:
        relative = path.relative_to(ready)
        target = home.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        kind = kinds.get(relative.parent.name, "records")
        parts[kind] = (*parts.get(kind, ()), str(relative))
        on_step(f"renamed {kind}")
    return parts
