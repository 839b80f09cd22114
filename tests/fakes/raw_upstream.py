"""A model server that plays given bytes with pauses, and keeps what it was asked: answers that no SDK would write."""

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, Self

Piece = bytes | float
"""Bytes to send, or seconds to wait."""


class Play(NamedTuple):
    """One answer."""

    pieces: tuple[Piece, ...]
    content_type: str = "text/event-stream"
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Wire(NamedTuple):
    """One answer byte by byte, its head too."""

    pieces: tuple[Piece, ...]
    closes: bool = False
    """The connection ends behind it."""
    resets: bool = False
    """It ends with a reset."""
    early: bool = False
    """The answer comes before the request's body was read."""


def events(*data: Any, name: str = "") -> bytes:
    """Server-sent events; what is not bytes is written as JSON."""
    head = f"event: {name}\n".encode() if name else b""
    return b"".join(
        head + b"data: " + (part if isinstance(part, bytes) else json.dumps(part).encode()) + b"\n\n" for part in data
    )


def named(*data: dict[str, Any]) -> bytes:
    """Events of Anthropic's protocol."""
    return b"".join(events(part, name=part["type"]) for part in data)


def plain(tree: Any, **changes: Any) -> Play:
    """A whole answer."""
    return Play((json.dumps(tree).encode(),), "application/json", **changes)


def stream(*pieces: Piece) -> Play:
    return Play(pieces)


class RawUpstream:
    """Plays one answer to every request, in a thread; a context manager."""

    def __init__(self) -> None:
        self.play: Play | Wire = plain({})
        self.plays: list[Play | Wire] = []
        """Answers to the next requests, before `play`."""
        self.bodies: list[Any] = []
        """What it was asked, decoded."""
        self.refuse: Callable[[str, bytes], Play | Wire | None] = lambda head, body: None
        """From a request's head and body: what to answer instead of `play`."""
        self.heads: list[str] = []
        """Request lines and headers, in lower case."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24), self._loop
        ).result(10)
        self._server = server
        self.port = server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        under_way = asyncio.all_tasks() - {asyncio.current_task()}
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                sent = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                head = sent.lower()
                length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
                self.heads.append(head)
                play = self.plays.pop(0) if self.plays else self.play
                body = b"null" if isinstance(play, Wire) and play.early else await reader.readexactly(length)
                self.bodies.append(json.loads(body or b"null"))
                play = self.refuse(sent, body) or play
                if isinstance(play, Wire):
                    await self._send(writer, play)
                else:
                    await self._answer(writer, play)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, wire: Wire) -> None:
        """Raises: ConnectionError where the connection ends."""
        for piece in wire.pieces:
            if isinstance(piece, bytes):
                writer.write(piece)
            else:
                await asyncio.sleep(piece)
            await writer.drain()
        if wire.resets:
            transport: Any = writer.transport
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        if wire.closes or wire.resets:
            raise ConnectionError

    async def _answer(self, writer: asyncio.StreamWriter, play: Play) -> None:
        headers = (("content-type", play.content_type), ("transfer-encoding", "chunked"), *play.headers)
        writer.write(f"HTTP/1.1 {play.status} X\r\n".encode())
        writer.write("".join(f"{name}: {value}\r\n" for name, value in headers).encode() + b"\r\n")
        for piece in play.pieces:
            if isinstance(piece, bytes):
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if piece else b"")
            else:
                await writer.drain()
                await asyncio.sleep(piece)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
