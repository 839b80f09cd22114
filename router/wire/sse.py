"""Server-sent events: parses a body into events, and encodes events.

Follows the standard (HTML living standard, 9.2.6): line ends CR, LF or CRLF, one byte order mark, comments, several
`data` lines. Unlike the standard, and like providers, the end of the body also ends the last event, and so does JSON
that is followed by more JSON on the next `data` line.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from traffic.loose_json import json_or

DONE = b"data: [DONE]\n\n"
"""The last event of a chat completion stream."""

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


class Event(NamedTuple):
    """One event."""

    name: bytes
    """The `event:` field; empty if missing."""
    data: bytes
    """Empty for a comment or an event without data, which keep the connection alive."""


class StreamReader:
    """Incremental parser of a stream."""

    def __init__(self) -> None:
        self._begun = False
        self._rest: list[bytes] = []
        """Pieces of an incomplete line."""
        self._name = b""
        self._data: list[bytes] = []
        self._comment = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Parse bytes; yields the data of each complete event."""
        return (event.data for event in self.events(data) if event.data)

    def events(self, data: bytes) -> list[Event]:
        """Parse bytes; returns the complete events, including those without data."""
        if not self._begun:
            data = self._take_rest() + data
            if len(data) < len(_BOM) and _BOM.startswith(data):
                self._rest = [data]
                return []
            self._begun = True
            data = data.removeprefix(_BOM)
        carriage_return = bool(self._rest) and self._rest[-1].endswith(b"\r")
        # `in` is slow for bytes.
        if data.find(b"\n") < 0 and data.find(b"\r") < 0 and not carriage_return:
            # Pieces of a long line are joined only when its end arrives.
            if data:
                self._rest.append(data)
            return []
        if self._rest:
            data = self._take_rest() + data
        if data.find(b"\r") < 0:
            lines = data.split(b"\n")
            rest = lines.pop()
        else:
            # A CR at the end may be the first half of a line end.
            trailing_cr = b"\r" if data.endswith(b"\r") else b""
            *lines, rest = _LINE_END.split(data[: len(data) - len(trailing_cr)])
            rest += trailing_cr
        if rest:
            self._rest = [rest]
        return [event for line in lines if (event := self._line(line)) is not None]

    def close(self) -> list[Event]:
        """The events that are completed by the end of the body."""
        lines = [*_LINE_END.split(self._take_rest()), b""]
        return [event for line in lines if (event := self._line(line)) is not None and event.data]

    def _take_rest(self) -> bytes:
        rest, self._rest = b"".join(self._rest), []
        return rest

    def _line(self, line: bytes) -> Event | None:
        """Parse one line; an empty one ends an event."""
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
            if self._data and self._data[-1].endswith(b"}") and value.startswith((b"{", b"[DONE]")):
                # The blank line between two events is missing: no JSON value continues like this.
                event, self._data = Event(self._name, b"\n".join(self._data).strip()), [value]
                return event
            self._data.append(value)
        elif field == b"event":
            self._name = value.strip()
        elif not field:
            self._comment = True
        elif field == b"error":
            # Older versions of llama.cpp send errors as a field of this name.
            self._name = field
            self._data.append(value)
        elif field.startswith(b"{"):
            # A proxy that fails during a stream writes its error as a plain body.
            self._data.append(line)
        return None


def taken_at_end(take: Callable[[Event], bytes], events: Iterable[Event]) -> Iterator[bytes]:
    """What `take` makes of the events that the end of the body completes, without one that is cut off."""
    for last in events:
        try:
            yield take(last)
        except ValueError:
            if json_or(last.data) is not None:
                raise


def is_events(body: bytes) -> bool:
    """Whether a body begins like a stream of events."""
    return body.removeprefix(_BOM).lstrip().startswith((b"data:", b"event:", b"id:", b"retry:", b":"))


def event(data: bytes) -> bytes:
    """Encode one event of a chat completion stream."""
    return b"data: " + _lines(data) + b"\n\n"


def named_event(kind: str, data: bytes) -> bytes:
    """Encode one event with a name, as in Anthropic's messages and OpenAI's Responses API."""
    return b"event: " + kind.encode() + b"\ndata: " + _lines(data) + b"\n\n"


def _lines(data: bytes) -> bytes:
    return data if data.find(b"\n") < 0 else data.replace(b"\n", b"\ndata: ")


KEEP_ALIVE = b": keep-alive\n\n"
"""A comment, which clients of every protocol skip."""
