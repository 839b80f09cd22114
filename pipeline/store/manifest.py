"""What is in the records store: one small file per commit, written last.

A commit lists its sources by the hash of their content and its parts by path. A part that no commit
lists is left over from a run that was killed: readers never see it and the next writer removes it.
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
Kind = Signal | Literal["records", "rejected", "attempts"]


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One log file (or one call of `append`) as it was read."""

    path: str
    format: str
    stored_sha256: str
    """Of the file as stored, so that the same file is known without decompressing it."""
    content_sha256: str
    """Of what it holds, so that it stays known after rotation or compression."""
    mapping: str
    """Hash of the mapping it was read with."""
    bytes: int
    """Decompressed."""
    read: int
    """Lines, empty ones apart; `read = accepted + rejected + duplicates`."""
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
    """Parts of rejected lines that this commit read again; what still cannot be read is in its own part."""


def folder(home: Home) -> Path:
    return home.records / "_manifest"


def staging_folder(home: Home) -> Path:
    """Work in progress; on the same file system as the parts, so that they can be renamed."""
    return home.records / "_staging"


def companions_folder(home: Home) -> Path:
    """Parts of rows that wait for the rows that they belong to. Not in the staging folder, which ends with a commit."""
    return home.records / "_companions"


def commits(home: Home) -> list[Commit]:
    """All commits, oldest first. Raises: InputError for a damaged one."""
    found = []
    for path in sorted(folder(home).glob("*.json")):
        try:
            found.append(msgspec.json.decode(path.read_bytes(), type=Commit))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: damaged ({error}); restore it, or delete the store and ingest again") from None
    return sorted(found, key=lambda commit: (commit.committed_at, commit.id))


def write(home: Home, commit: Commit) -> None:
    """Make a commit visible: from here on its parts are in the store."""
    write_atomic(folder(home) / f"{commit.id}.json", msgspec.json.format(msgspec.json.encode(commit), indent=1))


def parts(home: Home, done: list[Commit], kind: Kind) -> list[Path]:
    """Files of one kind."""
    return [home.root / part for commit in done for part in commit.parts.get(kind, ())]


@contextlib.contextmanager
def writing(home: Home) -> Iterator[list[Commit]]:
    """Hold the store for writing, cleared of what a killed run left behind; gives the commits so far.

    Raises: InputError when another process is writing. The lock ends with its process, however it ends.
    """
    folder(home).mkdir(parents=True, exist_ok=True)
    handle = os.open(folder(home) / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another ingest writes to {home.records}; wait for it, or use another --home") from None
        done = commits(home)
        _recover(home, done)
        try:
            yield done
        finally:
            shutil.rmtree(staging_folder(home), ignore_errors=True)
            shutil.rmtree(companions_folder(home), ignore_errors=True)
    finally:
        os.close(handle)


def _recover(home: Home, done: list[Commit]) -> None:
    shutil.rmtree(staging_folder(home), ignore_errors=True)
    shutil.rmtree(companions_folder(home), ignore_errors=True)
    listed = {home.root / part for commit in done for paths in commit.parts.values() for part in paths}
    for pattern in (
        "records/date=*/part-*",
        "records/_rejected/part-*",
        "records/_attempts/part-*",
        "signals/*/part-*",
    ):
        for path in home.root.glob(pattern):
            if path not in listed:
                path.unlink()
