"""Server-sent events: cutting a body into events, and writing them."""

from collections.abc import Iterator

DONE = b"data: [DONE]\n\n"
"""The last event of a chat completion stream."""


class StreamReader:
    """Cuts a stream into events. Feed it bytes as they arrive; it yields the `data` of complete events."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of each event that is complete now; comments (keep-alives) are left out."""
        # With what was left over: a read may end between \r and \n.
        data = self._rest + data
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n")
        *events, self._rest = data.split(b"\n\n")
        for event in events:
            lines = [line[5:].lstrip(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
            if lines:
                yield b"\n".join(lines)


def event(data: bytes) -> bytes:
    """One event of a stream."""
    return b"data: " + data + b"\n\n"


def named_event(kind: str, data: bytes) -> bytes:
    """One event of a stream, with the name that this dialect's clients go by."""
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"
