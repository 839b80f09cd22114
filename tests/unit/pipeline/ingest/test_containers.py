"""Lines that container runtimes split are joined within their stream; other lines stay as they are."""

import io
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest import containers, content
from pipeline.ingest.content import Content
from pipeline.ingest.sources import LogFile

ROW = '{"request": {"a": 1}, "n": %d}'
TIME = "2026-10-05T09:30:00Z"


def cri(text: str, tag: str = "F", stream: str = "stdout") -> bytes:
    return f"{TIME} {stream} {tag} {text}\n".encode()


def docker(text: str, stream: str = "stdout") -> bytes:
    return json.dumps({"log": text, "stream": stream, "time": TIME}, separators=(",", ":")).encode() + b"\n"


def joined(*lines: bytes) -> list[tuple[int, str]]:
    """Number and text of the joined lines; of Docker's lines the log."""
    assert containers.has_pieces(b"".join(lines))
    found = []
    for number, line in containers.joined(enumerate(lines, start=1)):
        text = line.decode()
        found.append((number, json.loads(text)["log"] if text.startswith('{"log"') else text))
    return found


def test_pieces_of_two_streams_are_joined_each_with_its_own() -> None:
    lines = [cri("ab", "P"), cri("x", "P", "stderr"), cri("c"), cri("y", "F", "stderr")]
    assert joined(*lines) == [(3, "abc"), (4, "xy")]
    lines = [docker("ab"), docker("x", "stderr"), docker("c\n"), docker("y\n", "stderr")]
    assert joined(*lines) == [(3, "abc\n"), (4, "xy\n")]


def test_the_runtimes_do_not_continue_each_other() -> None:
    assert joined(cri("ab", "P"), docker("x\n"), cri("c")) == [(2, "x\n"), (3, "abc")]


@pytest.mark.parametrize("prefix", ["", "INFO "])
def test_a_whole_object_without_a_line_feed_is_a_line(prefix: str) -> None:
    rows = [prefix + ROW % n for n in range(3)]
    assert joined(docker(rows[0] + "\n"), docker(rows[1]), docker(rows[2])) == [
        (1, rows[0] + "\n"),
        (2, rows[1]),
        (3, rows[2]),
    ]


def test_a_line_that_never_ends_does_not_spoil_the_next() -> None:
    row = ROW % 1
    assert joined(cri('{"requ', "P"), cri(row)) == [(1, '{"requ'), (2, row)]
    assert joined(docker("x\n"), docker('{"r'), docker(row + "\n")) == [(1, "x\n"), (2, '{"r'), (3, row + "\n")]


def test_a_line_longer_than_the_limit_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_LINE_BYTES", 10)
    assert joined(cri("a" * 6, "P"), cri("b" * 6, "P"), cri("c")) == [(1, "a" * 6), (3, "b" * 6 + "c")]


def blocks(folder: Path, data: bytes, size: int) -> list[bytes]:
    path = folder / "log"
    path.write_bytes(data)
    log = LogFile(str(path), len(data), datetime(2026, 1, 1, tzinfo=UTC))
    pieces = [piece for piece, _ in Content(log).pieces(None, size)]
    first_line = 1
    for piece in pieces:
        assert piece.first_line == first_line
        first_line += piece.read().count(b"\n")
    return [piece.read() for piece in pieces]


def written(number: int, kind: str, stream: str) -> bytes:
    if kind == "plain":
        return b"plain %d\n" % number
    if kind in ("P", "F"):
        return cri(f"{number}.", kind, stream)
    return docker(f"{number}!\n", stream) + docker(f"{number}." + "\n" * (kind == "ended"), stream)


STREAMS = st.sampled_from(["stdout", "stderr"])
RUNTIMES = [["P", "F", "plain"], ["ended", "unended"]]


@given(
    st.sampled_from(RUNTIMES).flatmap(lambda kinds: st.lists(st.tuples(st.sampled_from(kinds), STREAMS), max_size=30)),
    st.integers(400, 900),
)
def test_no_split_line_lies_across_the_end_of_a_block(lines: list[tuple[str, str]], size: int) -> None:
    data = b"".join(written(number, kind, stream) for number, (kind, stream) in enumerate(lines))
    with tempfile.TemporaryDirectory() as folder:
        parts = blocks(Path(folder), data, size)
    assert b"".join(parts) == data
    whole = [line for _, line in containers.joined(enumerate(io.BytesIO(data)))]
    apart = [line for part in parts for _, line in containers.joined(enumerate(io.BytesIO(part)))]
    assert sorted(apart) == sorted(whole)


def test_the_lines_of_a_file_are_joined(tmp_path: Path) -> None:
    data = cri('{"a"', "P") + cri("x", "F", "stderr") + cri(":1}") + b"other\n"
    path = tmp_path / "log"
    path.write_bytes(data)
    log = LogFile(str(path), len(data), datetime(2026, 1, 1, tzinfo=UTC))
    assert list(content.lines(Content(log))) == [b"x", b'{"a":1}', b"other"]


def test_a_line_that_stays_open_does_not_hold_back_the_file(tmp_path: Path) -> None:
    data = cri("x", "P", "stderr") + b"".join(cri("y" * 1000) for _ in range(2000))
    assert max(map(len, blocks(tmp_path, data, 300_000))) < 600_000


def test_a_runtimes_log_is_recognised_whatever_stands_before_it() -> None:
    started = b"starting the gateway\n" * 5
    assert containers.has_pieces(started + b"2026-11-09T10:00:00Z stdout P {\n2026-11-09T10:00:00Z stdout F }\n" * 20)
    assert containers.has_pieces(started + b'{"log":"{","stream":"stdout"}\n{"log":"}\\n","stream":"stdout"}\n' * 20)


def test_a_message_about_a_runtimes_log_is_no_piece() -> None:
    assert not containers.has_pieces(b'{"id":"a","text":"what does 10:00 stdout P mean?"}\n' * 20)
