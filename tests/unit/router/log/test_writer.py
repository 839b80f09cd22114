"""The request log: complete lines, one file per process, incomplete lines of killed processes."""

import asyncio
import contextlib
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from router.log.writer import RequestLog
from traffic.record import Record, decode_record


def record(number: int) -> Record:
    return Record(
        id=str(number),
        request_id=str(number),
        ts=datetime(2026, 11, 23, tzinfo=UTC),
        messages=msgspec.Raw(b'[{"role":"user","content":"x\\ny"}]'),
        source_format="native",
    )


def test_every_record_is_a_line_of_a_file_named_after_host_process_and_hour(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "log", host="box-1.lan", pid=42)
    for number in range(3):
        log.write(record(number))
        path = log.path
        assert path is not None
        # Before anything is flushed or closed: what a kill -9 would leave.
        assert [decode_record(line).id for line in path.read_bytes().splitlines()] == [
            str(n) for n in range(number + 1)
        ]
    assert path is not None
    assert path.name.startswith("requests-box_1.lan-42-20")
    assert log.written == 3
    log.close()


def test_an_incomplete_line_of_a_killed_process_does_not_affect_the_next_record(tmp_path: Path) -> None:
    first = RequestLog(tmp_path, host="h", pid=1)
    first.write(record(1))
    assert first.path is not None
    first.close()
    with first.path.open("ab") as file:
        file.write(b'{"id":"2","requ')
    second = RequestLog(tmp_path, host="h", pid=1)
    second.write(record(3))
    second.close()
    lines = first.path.read_bytes().splitlines()
    assert [decode_record(lines[0]).id, decode_record(lines[2]).id] == ["1", "3"]
    assert len(lines) == 3


def test_the_log_is_not_readable_by_other_users(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    log.write(record(1))
    assert log.path is not None
    assert log.path.stat().st_mode & 0o007 == 0
    log.close()


def test_a_log_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    with pytest.raises(FileExistsError):
        RequestLog(tmp_path / "log").write(record(1))


def test_an_incomplete_line_of_a_full_disk_does_not_affect_the_next_record(tmp_path: Path) -> None:
    log = RequestLog(tmp_path)
    log.write(record(1))
    assert log.path is not None
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    # A largest size of files stops a write in the middle, as a full disk does.
    resource.setrlimit(resource.RLIMIT_FSIZE, (log.path.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(OSError, match="large"):
            log.write(record(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    log.write(record(3))
    log.close()
    lines = log.path.read_bytes().splitlines()
    assert [decode_record(lines[0]).id, decode_record(lines[2]).id] == ["1", "3"]
    assert (len(lines), log.written) == (3, 2)


def test_a_failed_flush_is_reported_and_later_ones_continue(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, host="h", pid=1)
    now = datetime.now(UTC)
    for hour in (now, now + timedelta(hours=1)):
        # Takes every write, and no fsync.
        (tmp_path / f"requests-h-1-{hour:%Y%m%dT%H}.jsonl").symlink_to("/dev/null")

    async def failing() -> bool:
        flushing = asyncio.create_task(log.keep_flushing(every_s=0.001))
        try:
            log.write(record(1))
            async with asyncio.timeout(5):
                while log.error is None:  # noqa: ASYNC110 (the log tells nobody)
                    await asyncio.sleep(0)
            return not flushing.done()
        finally:
            flushing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await flushing

    assert asyncio.run(failing())
    assert "cannot be flushed" in (log.error or "")


def test_a_failed_flush_at_the_end_of_an_hour_stops_neither_writing_nor_flushing(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, host="h", pid=1)
    now = datetime.now(UTC)
    for hour in (now, now + timedelta(hours=1)):
        (tmp_path / f"requests-h-1-{hour:%Y%m%dT%H}.jsonl").symlink_to("/dev/null")
    log.write(record(1))
    log._hour -= 1

    async def flushing() -> bool:
        task = asyncio.create_task(log.keep_flushing(every_s=0.001))
        try:
            async with asyncio.timeout(5):
                while log.error is None:  # noqa: ASYNC110 (the log tells nobody)
                    await asyncio.sleep(0)
            log.write(record(2))
            await asyncio.sleep(0.02)
            return not task.done()
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    assert asyncio.run(flushing())
    assert log.written == 2


def test_the_next_hour_is_written_even_if_the_last_file_cannot_be_flushed(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, host="h", pid=1)
    now = datetime.now(UTC)
    (tmp_path / f"requests-h-1-{now:%Y%m%dT%H}.jsonl").symlink_to("/dev/null")
    log.write(record(1))
    log._hour -= 1
    log.write(record(2))
    assert log.written == 2
    assert log.error is not None
