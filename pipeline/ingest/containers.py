"""Joins the pieces of lines that container runtimes split, usually after 16 KB.

CRI (Kubernetes) marks a piece with P and the last one with F: `TIME stdout P {"requ`. In Docker's JSON files the text
of the last piece ends with a line feed.
"""

import re
from collections.abc import Iterator

import msgspec

_CRI = re.compile(rb"\S+ std(?:out|err) ([PF]) ")
_DOCKER_LINE, _DOCKER_END = b'","stream":"std', b'\\n","stream":"std'


class _DockerLine(msgspec.Struct):
    log: str
    stream: str
    time: str | None = None


_decode_docker = msgspec.json.Decoder(_DockerLine).decode


def has_pieces(data: bytes) -> bool:
    """Whether some of the lines are pieces."""
    if b" stdout P " in data or b" stderr P " in data:
        return True
    ended = data.count(_DOCKER_END)
    return 0 < ended < data.count(_DOCKER_LINE)


def joined(lines: Iterator[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Numbered lines with pieces joined; a line has the number of its last piece."""
    held = b""
    number = 0
    for number, line in lines:
        if (found := _CRI.match(line)) is not None:
            held += line[found.end() :].rstrip(b"\r\n")
            if found[1] == b"P":
                continue
            yield number, held
            held = b""
        elif line.startswith(b'{"log":"') and _DOCKER_LINE in line:
            try:
                piece = _decode_docker(line)
            except msgspec.DecodeError:
                yield number, line
                continue
            held += piece.log.encode()
            if piece.log.endswith("\n"):
                yield number, msgspec.json.encode(_DockerLine(held.decode(), piece.stream, piece.time))
                held = b""
        else:
            yield number, line
    if held:
        yield number, held
