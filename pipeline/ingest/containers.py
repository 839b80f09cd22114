"""Joins the pieces of lines that container runtimes split, usually after 16 KB.

CRI (Kubernetes) marks a piece with P and the last one with F: `TIME stdout P {"requ`. In Docker's JSON files the text
of the last piece ends with a line feed.
"""

import io
import itertools
import re
from collections.abc import Iterable, Iterator
from operator import attrgetter
from typing import NamedTuple

import msgspec

MAX_LINE_BYTES = 8 << 20
"""Longer lines are not joined."""
_TAIL_BYTES = 256 << 10
"""The next piece of a line is not farther away, also where lines of two streams alternate."""
_CRI = re.compile(rb"\S++ std(out|err) ([PF]) ")
_LOOKED_AT = 16
"""Lines by which a log of a container runtime is recognised: searching all would take a tenth of the time of a read."""
_DOCKER_START = b'{"log":"'
_DOCKER_LINE, _DOCKER_END = b'","stream":"std', b'\\n","stream":"std'


class _DockerLine(msgspec.Struct):
    log: str
    stream: str
    time: str | None = None


_decode_docker = msgspec.json.Decoder(_DockerLine).decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class _Piece(NamedTuple):
    stream: str
    """Runtime and stream: pieces of different ones do not belong together."""
    text: bytes
    is_last: bool
    docker: _DockerLine | None = None


class _Line:
    """A line of which some pieces were read."""

    def __init__(self, first: int) -> None:
        self.first = self.last = first
        self._text = bytearray()
        self._docker: _DockerLine | None = None

    def add(self, number: int, piece: _Piece) -> None:
        self.last = number
        self._text += piece.text
        self._docker = piece.docker

    def has_room(self, piece: _Piece) -> bool:
        return len(self._text) + len(piece.text) <= MAX_LINE_BYTES

    def joined(self) -> bytes:
        if self._docker is None:
            return bytes(self._text)
        return msgspec.json.encode(_DockerLine(self._text.decode(), self._docker.stream, self._docker.time))


class _Joined(NamedTuple):
    first: int
    """Number of the line's first piece."""
    last: int
    line: bytes
    is_open: bool = False
    """Whether the last piece is missing and may follow."""


def _is_of_runtime(data: bytes) -> bool:
    """Whether some lines, spread over the data, have a runtime's form, which all lines of such a log have."""
    for start in range(0, len(data), max(1, len(data) // _LOOKED_AT)):
        begin = data.rfind(b"\n", 0, start) + 1
        if data.startswith(_DOCKER_START, begin) or _CRI.match(data, begin):
            return True
    return False


def has_pieces(data: bytes) -> bool:
    """Whether some of the lines are pieces."""
    if not _is_of_runtime(data):
        return False
    if b" stdout P " in data or b" stderr P " in data:
        return True
    ended = data.count(_DOCKER_END)
    return 0 < ended < data.count(_DOCKER_LINE)


def joined(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines with pieces joined; a line has the number of its last piece."""
    for line in _joined(lines):
        yield line.last, line.line


def may_continue(data: bytes, end: int) -> bool:
    """Whether the last lines before `end` may be pieces of a line that continues after it."""
    tail = data[max(0, end - _TAIL_BYTES) : end]
    if not _is_of_runtime(tail):
        return False
    return b" stdout P " in tail or b" stderr P " in tail or tail.count(_DOCKER_LINE) > tail.count(_DOCKER_END)


def end_of_lines(data: bytes) -> int:
    """The last line end in `data` at which no split line is open; 0 if there is none."""
    if not has_pieces(data):
        return len(data)
    physical = list(io.BytesIO(data))
    starts = itertools.accumulate(map(len, physical), initial=0)
    lines = list(_joined(zip(starts, physical, strict=False)))
    recent = len(data) - _TAIL_BYTES
    end = min((line.first for line in lines if line.is_open and line.last >= recent), default=len(data))
    for line in sorted(lines, key=attrgetter("last"), reverse=True):
        # A line of the other stream that lies across this end.
        if line.first < end <= line.last:
            end = line.first
    return end


def _joined(lines: Iterable[tuple[int, bytes]]) -> Iterator[_Joined]:
    waiting: dict[str, _Line] = {}
    for number, line in lines:
        piece = _piece(line)
        if piece is None:
            yield _Joined(number, number, line)
            continue
        begun = waiting.pop(piece.stream, None)
        if begun is not None and (_is_object(piece.text) or not begun.has_room(piece)):
            # The line has no end: the runtime was stopped, or the log was rotated.
            yield _Joined(begun.first, begun.last, begun.joined())
            begun = None
        is_whole = piece.is_last or (begun is None and _is_unmarked(piece))
        begun = begun or _Line(number)
        begun.add(number, piece)
        if is_whole:
            yield _Joined(begun.first, number, begun.joined())
        else:
            waiting[piece.stream] = begun
    for begun in sorted(waiting.values(), key=lambda line: line.last):
        yield _Joined(begun.first, begun.last, begun.joined(), is_open=True)


def _piece(line: bytes) -> _Piece | None:
    """The piece that a line of a container runtime is; None for other lines."""
    if (match := _CRI.match(line)) is not None:
        return _Piece(f"cri {match[1]!r}", line[match.end() :].rstrip(b"\r\n"), match[2] == b"F")
    if not line.startswith(_DOCKER_START) or _DOCKER_LINE not in line:
        return None
    try:
        docker = _decode_docker(line)
    except msgspec.DecodeError:
        return None
    return _Piece(f"docker {docker.stream}", docker.log.encode(), docker.log.endswith("\n"), docker)


def _is_unmarked(piece: _Piece) -> bool:
    """Whether a piece of Docker's is a whole object, perhaps after a logger's prefix, although no line feed ends it."""
    return piece.docker is not None and _is_object(piece.text[max(0, piece.text.find(b"{")) :])


def _is_object(text: bytes) -> bool:
    body = text.strip()
    if not (body.startswith(b"{") and body.endswith(b"}")):
        return False
    try:
        _check_json(body)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
