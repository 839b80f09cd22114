"""From staged blocks to a commit: drop what the store has already, make the parts, rename them, list them.

The manifest is written last. A process that is killed before leaves parts that nobody lists: they are
not in the store, and the next writer removes them.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import msgspec
import pyarrow.parquet as pq

from pipeline.store import attempts, manifest, staging
from pipeline.store.manifest import Commit, Kind, Source
from traffic.artifacts import Home

Step = Callable[[str], None]
"""Called with the name of each step once it is done; tests kill the process there."""

_DROPS = """
with staged as (select id, block, date, "row" from read_parquet(?)),
numbered as (select *, row_number() over (partition by id order by block, date, "row") as copy from staged)
select block, date, "row" from numbered
where copy > 1 {known}
"""
_KNOWN = "or id in (select id from read_parquet(?) where id in (select id from staged))"


class Outcome(msgspec.Struct, frozen=True):
    """What a commit did."""

    duplicates: dict[int, int]
    """Rows that the store had already, by block."""
    parts: dict[Kind, tuple[str, ...]]


def publish(
    home: Home,
    done: Sequence[Commit],
    sources: Callable[[dict[int, int]], Sequence[Source]],
    *,
    days: Iterable[str],
    executor: Executor | None = None,
    on_step: Step = lambda step: None,
) -> Commit:
    """Commit everything in the staging folder. `sources` are built from the number of duplicates in each block.

    Call it with the store held (`manifest.writing`).
    """
    folder = manifest.staging_folder(home)
    days = sorted(days)
    with _database(folder) as connection:
        duplicates = _find_drops(connection, folder, manifest.parts(home, list(done), "records"))
        listed = tuple(sources(duplicates))
        identity = _identity(listed, len(done))
        ready = folder / "ready"
        _merge_days(folder, ready, days, identity, executor)
        _merge_rejected(folder, ready / "records" / "_rejected" / f"part-{identity}.jsonl")
        for kind, schema in staging.SIGNALS.items():
            target = ready / "signals" / kind / f"part-{identity}.parquet"
            _merge_signals(connection, folder, schema.names, manifest.parts(home, list(done), kind), target)
        on_step("ready")
        parts = _rename(home, ready, on_step)
        records = manifest.parts(home, list(done), "records") + [home.root / part for part in parts.get("records", ())]
        attempts.link(connection, home, records, [Path(part).parent.name[5:] for part in parts.get("records", ())])
        on_step("linked")
    commit = Commit(id=identity, committed_at=datetime.now(UTC), sources=listed, parts=parts)
    manifest.write(home, commit)
    on_step("committed")
    shutil.rmtree(folder)
    return commit


def _database(folder: Path) -> duckdb.DuckDBPyConnection:
    """Ids and links are small beside the texts; beyond this they go to disk."""
    connection = duckdb.connect(config={"memory_limit": "512MB", "temp_directory": str(folder / "spill")})
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _identity(sources: Sequence[Source], number: int) -> str:
    # The same content may be committed again, with no rows, as a file that was compressed since.
    hashed = [str(number), *(source.stored_sha256 for source in sources)]
    return hashlib.sha256("\n".join(hashed).encode()).hexdigest()[:16]


def _find_drops(connection: duckdb.DuckDBPyConnection, folder: Path, known: Sequence[Path]) -> dict[int, int]:
    """Write `drops.parquet`: staged rows whose id is in the store or stands earlier in this commit."""
    ids = [str(path) for path in sorted(folder.glob("*.ids.parquet"))]
    if not ids:
        return {}
    query = _DROPS.format(known=_KNOWN if known else "")
    found = connection.sql(query, params=[ids, [str(path) for path in known]] if known else [ids]).to_arrow_table()
    if not found.num_rows:
        return {}
    pq.write_table(found.cast(staging.DROPS_SCHEMA), folder / "drops.parquet")
    counts = found.group_by("block").aggregate([("row", "count")])
    return dict(zip(counts["block"].to_pylist(), counts["row_count"].to_pylist(), strict=True))


def _merge_days(folder: Path, ready: Path, days: Sequence[str], identity: str, executor: Executor | None) -> None:
    targets = [ready / "records" / f"date={day}" / f"part-{identity}.parquet" for day in days]
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
    """Signals are compared as a whole: an export that has since learned of a thumb brings just that thumb."""
    staged = [str(path) for path in sorted(folder.glob(f"*.{target.parent.name}.parquet"))]
    if not staged:
        return
    columns = ", ".join(names)
    query = f"select distinct {columns} from read_parquet(?)"  # noqa: S608 - column names of our own schema
    parameters: list[list[str]] = [staged]
    if known:
        query += f" except select {columns} from read_parquet(?)"  # noqa: S608 - as above
        parameters.append([str(path) for path in known])
    found = connection.sql(f"{query} order by all", params=parameters).to_arrow_table()
    if found.num_rows:
        target.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(found, target, compression="zstd")


def _rename(home: Home, ready: Path, on_step: Step) -> dict[Kind, tuple[str, ...]]:
    parts: dict[Kind, tuple[str, ...]] = {}
    kinds: dict[str, Kind] = {"_rejected": "rejected", **{kind: kind for kind in staging.SIGNALS}}
    for path in sorted(ready.rglob("part-*")):
        relative = path.relative_to(ready)
        target = home.root / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        # A manifest must never outlive, in a power cut, the parts that it lists.
        with path.open("rb") as file:
            os.fsync(file.fileno())
        path.rename(target)
        kind = kinds.get(relative.parent.name, "records")
        parts[kind] = (*parts.get(kind, ()), str(relative))
        on_step(f"renamed {kind}")
    return parts
