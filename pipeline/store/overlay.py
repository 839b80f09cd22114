"""Uncommitted records that are read together with the store: lines added to a log since the last ingest.

They get keys and links as in a commit, but in a separate folder: the store is not changed.
"""

import datetime as dt
import shutil
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.store import attempts, commit, manifest, staging
from pipeline.store.manifest import Commit
from traffic.artifacts import Home, hash8

_MOST_PARTS = 60
"""With more small files than this they are merged into one per day."""


class Overlay(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that are read together with `commits`."""

    commits: tuple[Commit, ...]
    parts: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()
    """Links files, one per day; each replaces the store's links of that day."""
    records: int = 0

    @property
    def cells(self) -> Path | None:
        """Folder for daily totals that include these records."""
        return self.parts[0].parent.parent / "cells" if self.parts else None


def extend(before: Overlay, home: Home, folder: Path, days: Iterable[str]) -> Overlay:
    """Add the records staged in `<folder>/staging` that are neither in the store nor in the overlay."""
    staged, days = folder / "staging", sorted(days)
    near = {dt.date.fromisoformat(day) + dt.timedelta(n) for day in days for n in (-1, 0, 1)}
    stored = manifest.parts(home, list(before.commits), "records")
    known = [part for part in (*stored, *before.parts) if attempts.day_of(part) in near]
    number = hash8(len(before.parts), before.records, [str(part) for part in before.parts[-1:]])
    added, records = [], 0
    with commit.database(staged) as connection:
        # Stored parts are not rewritten, so the incomplete record counts until the next ingest, never both.
        commit.find_keys(connection, staged, known, complete=False)
        for day in days:
            target = folder / f"date={day}" / f"part-{number}.parquet"
            if rows := staging.merge_day(staged, day, target):
                added.append(target)
                records += rows
        attempts.link(connection, known + added, added, folder / "links", number)
    shutil.rmtree(staged)
    if not added:
        return before
    linked = {attempts.day_of_links(path): path for path in before.links}
    linked |= {
        attempts.day_of_links(path): path for path in sorted((folder / "links").glob(f"part-*-{number}.parquet"))
    }
    extended = Overlay(
        commits=before.commits,
        parts=(*before.parts, *added),
        links=tuple(linked.values()),
        records=before.records + records,
    )
    return _joined(extended) if len(extended.parts) > _MOST_PARTS else extended


def _joined(overlay: Overlay) -> Overlay:
    by_folder: dict[Path, list[Path]] = {}
    for part in overlay.parts:
        by_folder.setdefault(part.parent, []).append(part)
    parts = []
    for folder, listed in by_folder.items():
        target = listed[0]
        if len(listed) > 1:
            target = folder / f"part-{hash8([part.name for part in listed])}.parquet"
            tables = [pq.read_table(part, partitioning=None) for part in listed]
            pq.write_table(pa.concat_tables(tables), target, compression="zstd")
            for part in listed:
                part.unlink()
        parts.append(target)
    return msgspec.structs.replace(overlay, parts=tuple(parts))
