"""Compress the request log's files of hours that are over: `requests-<host>-<pid>-<hour>.jsonl` to `.jsonl.zst`.

Each frame holds whole lines, at most 1 MiB of them (a longer line is cut), so that a reader can begin at any frame.
A file is written aside, renamed, and only then is its source removed: whoever dies in between leaves the records
there twice at most, which `ingest` notices. Files that a living process holds are locked, and left alone.
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
    """Compress this host's files of hours before `hour` (hours since 1970) that no process writes any more; the files
    that were written. Raises: OSError.
    """
    written = []
    for source in sorted(folder.glob(f"requests-{host}-*.jsonl")) if folder.is_dir() else ():
        name = _NAME.fullmatch(source.name)
        if name is None or name["host"] != host or _hours(name["hour"]) >= hour:
            continue
        # Gone: another process compressed it since our look at the folder.
        with contextlib.suppress(FileNotFoundError), source.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            # Or between that and the lock.
            if os.fstat(file.fileno()).st_nlink:
                written += _compress(source, file)
    return written


def frames(file: BufferedReader) -> Iterator[bytes]:
    """The file in pieces of at most `FRAME_BYTES` that end with a line where one fits."""
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
    """Write the file beside `source` and remove `source`."""
    target = source.with_name(f"{source.name}.zst")
    number = 1
    while target.exists():
        if _sha256(target) == hashlib.file_digest(file, "sha256").digest():
            # Its last compression died before it could remove the source.
            source.unlink()
            return []
        # The clock was set back, or a pid came back: both files have records of their own.
        file.seek(0)
        number += 1
        target = source.with_name(f"{source.stem}.{number}.jsonl.zst")
    codec = pa.Codec("zstd", LEVEL)
    # What a compression that died left there is written over: the lock on the source is ours.
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
    # A rename that is not on the disk before the source is gone would lose both with the machine.
    fsync(source.parent)
    source.unlink()
    return [target]


def _sha256(path: Path) -> bytes:
    digest = hashlib.sha256()
    with pa.input_stream(str(path), compression="zstd") as stream:
        while data := stream.read(FRAME_BYTES):
            digest.update(data)
    return digest.digest()
