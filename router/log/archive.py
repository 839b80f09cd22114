"""Compresses the request log's files of past hours: `requests-<host>-<pid>-<hour>.jsonl` to `.jsonl.zst`.

Each frame has complete lines of at most 1 MiB (a longer line is split), so that a reader can start at any frame. The
compressed file is written under a temporary name and renamed before its source is removed: after a crash in between,
records exist twice at most, which `ingest` detects. Files of running processes are locked and skipped.
"""

import contextlib
import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path

import pyarrow as pa

from traffic.artifacts import fsync

FRAME_BYTES = 1 << 20
LEVEL = 6

_NAME = re.compile(r"requests-(?P<host>.+)-\d+-(?P<hour>\d{8}T\d{2})\.jsonl")


def compress_closed(folder: Path, host: str, hour: int) -> list[Path]:
    """Compress this host's files of hours before `hour` (hours since 1970), except those of running processes.

    Returns the files written. Raises: OSError.
    """
    written = []
    for source in sorted(folder.glob(f"requests-{host}-*.jsonl")) if folder.is_dir() else ():
        name = _NAME.fullmatch(source.name)
        if name is None or name["host"] != host or _hours(name["hour"]) >= hour:
            continue
        # Another process compressed it after the folder was listed.
        with contextlib.suppress(FileNotFoundError), source.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # Another process compressed it before the lock was taken.
            if os.fstat(file.fileno()).st_nlink:
                written += _compress(source, file)
    return written


def frames(file: BufferedReader) -> Iterator[bytes]:
    """The file in pieces of at most `FRAME_BYTES`, split at line ends where possible."""
    carried = b""
    while data := file.read(FRAME_BYTES - len(carried)):
        data = carried + data
        end = data.rfind(b"\n") + 1
        if len(data) < FRAME_BYTES or not end:
            end = len(data)
        yield data[:end]
        carried = data[end:]
    if carried:
        yield carried


def _hours(text: str) -> int:
    return int(datetime.strptime(text, "%Y%m%dT%H").replace(tzinfo=UTC).timestamp() // 3600)


def _compress(source: Path, file: BufferedReader) -> list[Path]:
    """Write the compressed file next to `source` and remove `source`."""
    target = source.with_name(f"{source.name}.zst")
    number = 1
    while target.exists():
        if _sha256(target) == hashlib.file_digest(file, "sha256").digest():
            # A previous compression was killed before it removed the source.
            source.unlink()
            return []
        # The clock was set back, or a pid was reused: the two files have different records.
        file.seek(0)
        number += 1
        target = source.with_name(f"{source.stem}.{number}.jsonl.zst")
    codec = pa.Codec("zstd", LEVEL)
    # Overwrites the remains of a killed compression; we hold the lock on the source.
    aside = source.with_name(f".{target.name}.part")
    file.seek(0)
    try:
        with aside.open("wb") as out:
            os.fchmod(out.fileno(), os.fstat(file.fileno()).st_mode & 0o777)
            for frame in frames(file):
                out.write(codec.compress(frame, asbytes=True))
            out.flush()
            os.fsync(out.fileno())
        aside.rename(target)
    finally:
        aside.unlink(missing_ok=True)
    # The rename must be on disk before the source is removed, or a power failure could lose both.
    fsync(source.parent)
    source.unlink()
    return [target]


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with pa.input_stream(str(path), compression="zstd") as stream:
        while data := stream.read(FRAME_BYTES):
            digest.update(data)
    return digest.digest()
