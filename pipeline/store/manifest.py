"""The store's manifest: one small file per commit, written last.

A commit lists its sources by content hash and its parts by path. A part that no commit lists is left over from a
killed run: readers ignore it, and the next writer removes it.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from traffic.artifacts import Home, write_atomic
from traffic.errors import InputError

Signal = Literal["feedback", "consumed", "labels"]
Kind = Signal | Literal["records", "rejected", "attempts", "waiting"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A log file (or one call of `append`), with counts of its lines."""

    path: str
    format: str
    stored_sha256: str
    """Hash of the file as stored: recognises the same file without decompressing it."""
    content_sha256: str
    """Hash of the decompressed content: recognises it after rotation or compression."""
    mapping: str
    """Hash of the mapping that it was read with."""
    bytes: int
    """Decompressed size."""
    read: int
    """Lines that are not empty; `read = accepted + rejected + duplicates`."""
    accepted: int
    rejected: int
    duplicates: int


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One file of `records/_manifest/`."""

    schema_version: Literal[1] = 1
    id: str
    committed_at: datetime
    sources: tuple[Source, ...]
    parts: dict[Kind, tuple[str, ...]]
    """Paths below the home folder."""
    retried: tuple[str, ...] = ()
    """Parts of rejected lines that this commit retried; lines rejected again are in its own part."""
    replaced: tuple[str, ...] = ()
    """Parts of earlier commits that this commit rewrote without completed records and rows that no longer wait."""


def folder(home: Home) -> Path:
    return home.records / "_manifest"


def staging_folder(home: Home) -> Path:
    """Staged blocks of the running commit; on the same file system as the parts, so that they can be renamed."""
    return home.records / "_staging"


def companions_folder(home: Home) -> Path:
    """Parts of rows from companion files until their rows are read. Unlike staging, it survives commits."""
    return home.records / "_companions"


def commits(home: Home) -> list[Commit]:
    """All commits, oldest first. Raises: InputError if a file is damaged."""
    loaded = []
    for path in sorted(folder(home).glob("*.json")):
        try:
            loaded.append(msgspec.json.decode(path.read_bytes(), type=Commit))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: damaged ({error}); restore it, or delete the store and ingest again") from None
    return sorted(loaded, key=lambda commit: (commit.committed_at, commit.id))


def write(home: Home, commit: Commit) -> None:
    """Write a commit's file, which makes its parts visible to readers."""
    write_atomic(folder(home) / f"{commit.id}.json", msgspec.json.format(msgspec.json.encode(commit), indent=1))


def parts(home: Home, committed: list[Commit], kind: Kind) -> list[Path]:
    """Files of one kind that no later commit replaced, in the order of the commits."""
    replaced = {part for commit in committed for part in commit.replaced}
    return [home.root / part for commit in committed for part in commit.parts.get(kind, ()) if part not in replaced]


@contextlib.contextmanager
def writing(home: Home) -> Iterator[list[Commit]]:
    """Lock the store for writing and remove leftovers of killed runs; yields the commits so far.

    The lock is released when the process ends, even by a kill. Raises: InputError if another process holds it.
    """
    try:
        folder(home).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder(home)}: cannot be written: {error.strerror}; is --home a folder?") from None
    handle = os.open(folder(home) / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another ingest writes to {home.records}; wait for it, or use another --home") from None
        committed = commits(home)
        _recover(home, committed)
        try:
            yield committed
        finally:
            shutil.rmtree(staging_folder(home), ignore_errors=True)
            shutil.rmtree(companions_folder(home), ignore_errors=True)
    finally:
        os.close(handle)


def _recover(home: Home, committed: list[Commit]) -> None:
    shutil.rmtree(staging_folder(home), ignore_errors=True)
    shutil.rmtree(companions_folder(home), ignore_errors=True)
    kinds = {kind for commit in committed for kind in commit.parts}
    listed = {part for kind in kinds for part in parts(home, committed, kind)}
    for pattern in (
        "records/date=*/part-*",
        "records/_rejected/part-*",
        "records/_attempts/part-*",
        "records/_waiting/part-*",
        "signals/*/part-*",
    ):
        for path in home.root.glob(pattern):
            if path not in listed:
                path.unlink()
