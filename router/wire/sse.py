"""Server-sent events: cutting a body into events, and writing them.

Reads what the standard says (HTML living standard, 9.2.6): line ends CR, LF or CRLF, one byte order mark, comments,
several `data` lines. Departs from it where providers do: the end of the body ends the last event too.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

DONE = b"data: [DONE]\n\n"
"""The last event of a chat completion stream."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Event(NamedTuple):
    """One event."""

    name: bytes
    """`event:`, empty where it is not named."""
    data: bytes
    """Empty: a comment or an event without data, sent to keep the connection alive."""


class StreamReader:
    """Cuts a stream into events. Feed it bytes as they arrive."""

    def __init__(self) -> None:
        self._begun = False
        self._rest: list[bytes] = []
        """Pieces of a line whose end has not arrived."""
        self._name = b""
        self._data: list[bytes] = []
        self._comment = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The data of each event that is complete now."""
        return (event.data for event in self.events(data) if event.data)

    def events(self, data: bytes) -> list[Event]:
        """The events that are complete now, those without data too."""
        if not self._begun:
            data = self._take_rest() + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = [data]
                return []
            self._begun = True
            data = data.removeprefix(_BOM)
        carriage_return = bool(self._rest) and self._rest[-1].endswith(b"\r")
        if b"\n" not in data and b"\r" not in data and not carriage_return:
            # A piece of a long line: not joined before its end is there.
            if data:
                self._rest.append(data)
            return []
        if self._rest:
            data = self._take_rest() + data
        if b"\r" not in data:
            lines = data.split(b"\n")
            rest = lines.pop()
        else:
            # A CR at the end may be the first half of a line end.
            held = b"\r" if data.endswith(b"\r") else b""
            *lines, rest = _LINE_END.split(data[: len(data) - len(held)])
            rest += held
        if rest:
            self._rest = [rest]
        return [event for line in lines if (event := self._line(line)) is not None]

    def close(self) -> list[Event]:
        """The events that the end of the body completes."""
        lines = [*_LINE_END.split(self._take_rest()), b""]
        return [event for line in lines if (event := self._line(line)) is not None and event.data]

    def _take_rest(self) -> bytes:
        rest, self._rest = b"".join(self._rest), []
        return rest

    def _line(self, line: bytes) -> Event | None:
        """Take one line; an empty one ends an event."""
        if not line:
            if not (self._data or self._comment):
                self._name = b""
                return None
            event = Event(self._name, b"\n".join(self._data).strip())
            self._name, self._data, self._comment = b"", [], False
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
        elif field == b"event":
            self._name = value.strip()
        elif not field:
            self._comment = True
        elif field.startswith(b"{"):
            # A proxy that fails in the middle writes its error as it always does.
            self._data.append(line)
        return None


def is_events(body: bytes) -> bool:
    """Whether a body begins as a stream of events does."""
    return body.removeprefix(_BOM).lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def event(data: bytes) -> bytes:
    """One event of a chat completion stream."""
    return b"data: " + _lines(data) + b"\n\n"


def named_event(kind: str, data: bytes) -> bytes:
    """One event with a name, as Anthropic's messages and OpenAI's Responses have them."""
    return b"event: " + kind.encode() + b"\ndata: " + _lines(data) + b"\n\n"


def _lines(data: bytes) -> bytes:
    return data if b"\n" not in data else data.replace(b"\n", b"\ndata: ")


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients of every protocol skip it."""
