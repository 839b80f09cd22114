"""Compression of closed request log files without losing a record."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.log.archive import FRAME_BYTES, compress_closed, frames
from router.log.writer import RequestLog
from tests.unit.router.log.test_writer import record

HOUR = 495_000
"""2026-06-21T00, in hours since 1970."""
NAME = "requests-box-7-20260620T23.jsonl"


def unzipped(path: Path) -> bytes:
    with pa.input_stream(str(path), compression="zstd") as stream:
        return bytes(stream.read())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_of_past_hours_are_compressed(tmp_path: Path) -> None:
    content = b'{"id": 1}\n' * 300_000
    (tmp_path / NAME).write_bytes(content)
    (tmp_path / NAME).chmod(0o640)
    (written,) = compress_closed(tmp_path, "box", HOUR)
    assert names(tmp_path) == [f"{NAME}.zst"]
    assert unzipped(written) == content
    assert written.stat().st_mode & 0o777 == 0o640
    assert written.read_bytes().count(b"\x28\xb5\x2f\xfd") >= len(content) // FRAME_BYTES


def test_files_of_this_hour_of_other_hosts_and_of_running_processes_are_skipped(tmp_path: Path) -> None:
    others = ("requests-box-7-20260621T00.jsonl", "requests-other-7-20260620T23.jsonl", "notes.jsonl")
    for name in others:
        (tmp_path / name).write_bytes(b"{}\n")
    assert compress_closed(tmp_path, "box", HOUR) == []
    (tmp_path / others[0]).unlink()
    log = RequestLog(tmp_path, host="box", pid=8)
    log.write(record(1))
    # Long after the hour: the process lives, and may write a late record.
    assert compress_closed(tmp_path, "box", 10_000_000) == []
    log.close()
    assert len(compress_closed(tmp_path, "box", 10_000_000)) == 1


def test_a_compression_killed_before_removing_its_source_is_finished(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"a\nb\n")
    (written,) = compress_closed(tmp_path, "box", HOUR)
    (tmp_path / NAME).write_bytes(b"a\nb\n")
    (tmp_path / f".{NAME}.zst.part").write_bytes(b"half a frame")
    assert compress_closed(tmp_path, "box", HOUR) == []
    assert unzipped(written) == b"a\nb\n"
    assert NAME not in names(tmp_path)


def test_a_second_file_of_the_same_name_does_not_replace_the_first(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"a\n")
    compress_closed(tmp_path, "box", HOUR)
    (tmp_path / NAME).write_bytes(b"b\n")
    (second,) = compress_closed(tmp_path, "box", HOUR)
    assert sorted(unzipped(tmp_path / name) for name in names(tmp_path)) == [b"a\n", b"b\n"]
    assert second.name == "requests-box-7-20260620T23.2.jsonl.zst"


def test_a_failed_compression_keeps_the_source(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"a\n")
    (tmp_path / f".{NAME}.zst.part").mkdir()
    with pytest.raises(OSError, match="part"):
        compress_closed(tmp_path, "box", HOUR)
    assert (tmp_path / NAME).read_bytes() == b"a\n"


def test_a_file_compressed_by_another_router_does_not_block_the_others(tmp_path: Path) -> None:
    # Listed, and gone when it is opened.
    (tmp_path / NAME.replace("-7-", "-6-")).symlink_to(tmp_path / "gone")
    (tmp_path / NAME).write_bytes(b"a\n")
    assert [path.name for path in compress_closed(tmp_path, "box", HOUR)] == [f"{NAME}.zst"]


def test_a_missing_folder_has_nothing_to_compress(tmp_path: Path) -> None:
    assert compress_closed(tmp_path / "log", "box", HOUR) == []


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("frames") / "log"
    yield path
    path.unlink()


@given(st.lists(st.sampled_from([0, 1, 1000, 500_000, FRAME_BYTES - 1, FRAME_BYTES, 2_500_000]), max_size=6))
def test_frames_are_bounded_end_at_line_ends_and_add_up_to_the_file(file: Path, lengths: list[int]) -> None:
    content = b"".join(b"x" * length + b"\n" for length in lengths)
    file.write_bytes(content)
    with file.open("rb") as opened:
        pieces = list(frames(opened))
    assert b"".join(pieces) == content
    assert all(0 < len(piece) <= FRAME_BYTES for piece in pieces)
    if max(lengths, default=0) < FRAME_BYTES:
        assert all(piece.endswith(b"\n") for piece in pieces)
