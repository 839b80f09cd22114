"""The request log: one line per attempt, written before the client has its answer.

`requests-<host>-<pid>-<hour>.jsonl`, one `traffic.record.Record` per line, as `fasttier ingest` reads it. Each line is
written to the kernel at once, so it survives the end of this process; files are flushed to disk every second, so a
machine failure loses at most that. After its hour a file is compressed (`router.log.archive`); until then it is locked,
so that no other process compresses it.
"""

import asyncio
import fcntl
import os
import re
import socket
import time
from datetime import UTC, datetime
from pathlib import Path

from router.log.archive import compress_closed
from traffic.record import Record, encode_record

FSYNC_SECONDS = 1.0


class RequestLog:
    """The open file of this process and hour."""

    def __init__(self, folder: Path, *, host: str | None = None, pid: int | None = None) -> None:
        self._folder = folder
        self._host = re.sub(r"[^A-Za-z0-9.]+", "_", host or socket.gethostname()) or "host"
        self._pid = pid if pid is not None else os.getpid()
        self._hour = -1
        self._file = -1
        self._unflushed = False
        self._torn = False
        """The last line is incomplete because the disk became full."""
        self.path: Path | None = None
        """The current file."""
        self.written = 0
        """Number of records written."""
        self.compressed = 0
        """Files of past hours."""
        self._compress_error: str | None = None
        self._flush_error: str | None = None

    @property
    def error(self) -> str | None:
        """Error of the last flush or compression."""
        return self._flush_error or self._compress_error

    def write(self, record: Record) -> None:
        """Append one record. Raises: OSError if it cannot be written; the answer must not be sent then."""
        if int(time.time() // 3600) != self._hour:
            self._open(datetime.now(UTC))
        line = (b"\n" if self._torn else b"") + encode_record(record) + b"\n"
        while line:
            # Set during the write, so that a new record never continues an incomplete line.
            self._torn = True
            line = line[os.write(self._file, line) :]
        self._torn = False
        self.written += 1
        self._unflushed = True

    async def keep_flushing(self, every_s: float = FSYNC_SECONDS) -> None:
        """Flush every `every_s` seconds, and compress closed files at the start and every hour, until cancelled."""
        compressed_in = -1
        while True:
            hour = int(datetime.now(UTC).timestamp() // 3600)
            if hour != compressed_in:
                if self._hour not in (-1, hour):
                    self.close()
                compressed_in = hour
                try:
                    self.compressed += len(await asyncio.to_thread(compress_closed, self._folder, self._host, hour))
                    self._compress_error = None
                except OSError as error:
                    # Uncompressed files are valid too, so this must not affect requests.
                    self._compress_error = f"{self._folder}: closed files cannot be compressed: {error}"
            await asyncio.sleep(every_s)
            if self._unflushed:
                # A duplicate descriptor, so that the hour change cannot close the file during the thread's fsync.
                self._unflushed = False
                try:
                    await asyncio.to_thread(_fsync_and_close, os.dup(self._file))
                    self._flush_error = None
                except OSError as error:
                    # Written lines survive this process; only a machine failure would lose them.
                    self._flush_error = f"{self.path}: cannot be flushed to the disk: {error}"

    def close(self) -> None:
        """Close the open file. A failure to flush it is reported in `error`; its lines are written."""
        if self._file < 0:
            return
        file, unflushed = self._file, self._unflushed
        self._file, self._hour, self._unflushed, self._torn = -1, -1, False, False
        try:
            if unflushed:
                _fsync_and_close(file)
            else:
                os.close(file)
        except OSError as error:
            self._flush_error = f"{self.path}: cannot be flushed to the disk: {error}"

    def _open(self, now: datetime) -> None:
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        self.path = self._folder / f"requests-{self._host}-{self._pid}-{now:%Y%m%dT%H}.jsonl"
        self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        # A shared lock: a process with the same pid in another container of this host name may write here too.
        fcntl.flock(self._file, fcntl.LOCK_SH)
        self._end_torn_line()
        self._hour = int(now.timestamp() // 3600)

    def _end_torn_line(self) -> None:
        """End an incomplete line left by a killed process with the same pid."""
        assert self.path is not None
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                os.write(self._file, b"\n")


def _fsync_and_close(file: int) -> None:
    try:
        os.fsync(file)
    finally:
        os.close(file)
