"""One HTTP exchange with a client: reads the request, sends the answer, and detects a disconnect."""

import abc
import asyncio
import functools
import re
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from starlette.types import Message, Receive, Scope, Send

JSON = b"application/json"
EVENTS = b"text/event-stream; charset=utf-8"
UNBUFFERED = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Headers of a stream, which tell a reverse proxy (nginx) not to buffer it."""

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")

Headers = Sequence[tuple[bytes, bytes]]


class TooLarge(ValueError):
    """The body exceeds the limit."""


class ClientLeft(ConnectionError):
    """The client disconnected before its request was read."""


class Client(abc.ABC):
    """One HTTP exchange with a client."""

    started = False
    """The status line was sent, so the answer can no longer be replaced."""
    ended = False
    left = False
    """It disconnected before the end of its answer."""

    @abc.abstractmethod
    async def read(self, max_bytes: int) -> bytes:
        """The complete body. Raises: TooLarge, ClientLeft."""

    @abc.abstractmethod
    async def start(self, status: int, content_type: bytes, headers: Headers, *, length: int | None = None) -> None: ...

    @abc.abstractmethod
    async def write(self, data: bytes) -> None: ...

    @abc.abstractmethod
    async def end(self, data: bytes = b"") -> None: ...

    async def reply(self, status: int, body: bytes, headers: Headers = (), content_type: bytes = JSON) -> None:
        """Send a complete answer."""
        await self.start(status, content_type, headers, length=len(body))
        await self.end(body)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` in the current task; a disconnect cancels it, and with it the upstream request."""
        try:
            await work
        except asyncio.CancelledError:
            if not self.left:
                raise
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()


class AsgiClient(Client):
    """One exchange through an ASGI server."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._buffer: bytearray | None = None
        """Body of an answer of unknown length to an HTTP/1.0 client, which does not support chunks."""
        self._http_1_0 = scope["http_version"] == "1.0"
        self._head: Message = {}

    async def read(self, max_bytes: int) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            parts.append(message.get("body", b""))
            size, more = size + len(parts[-1]), message.get("more_body", False)
            if size > max_bytes:
                raise TooLarge
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.current_task()
        assert task is not None
        watch = asyncio.create_task(self._cancel_when_gone(task))
        try:
            await super().run(work)
        finally:
            watch.cancel()

    async def _cancel_when_gone(self, task: asyncio.Task[None]) -> None:
        """Cancel `task` if the client disconnects before the end of its answer."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.ended:
            self.left = True
            task.cancel()

    async def start(self, status: int, content_type: bytes, headers: Headers, *, length: int | None = None) -> None:
        self.started = True
        sized = [(b"content-length", b"%d" % length)] if length is not None else []
        if content_type is EVENTS:
            sized += UNBUFFERED
        self._head = {
            "type": "http.response.start",
            "status": status,
            "headers": [(b"content-type", content_type), *sized, *headers],
        }
        if length is None and self._http_1_0:
            self._buffer = bytearray()
        else:
            await self._send(self._head)

    async def write(self, data: bytes) -> None:
        if self._buffer is not None:
            self._buffer += data
        else:
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes = b"") -> None:
        self.ended = True
        if self._buffer is not None:
            data = bytes(self._buffer) + data
            length = (b"content-length", b"%d" % len(data))
            await self._send({**self._head, "headers": [*self._head["headers"], length]})
        await self._send({"type": "http.response.body", "body": data})


def header_list(values: Mapping[bytes, str | int]) -> list[tuple[bytes, bytes]]:
    """Response headers, with values as by `header_text`."""
    return [(name, header_text(value)) for name, value in values.items()]


@functools.lru_cache(maxsize=4096)
def header_text(value: str | int) -> bytes:
    """A header value, with characters that headers cannot contain written as escapes."""
    text = str(value)
    flat = " ".join(text.split())[:500].encode("ascii", "backslashreplace")
    return _CONTROL.sub(lambda match: b"\\x%02x" % match[0][0], flat)
