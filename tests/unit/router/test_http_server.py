"""The HTTP server's fast path: memory of answered requests, idle connections."""

import asyncio
import gc
import types
from collections.abc import Mapping
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from router.client import Client
from router.http_server import HotClient, HotProtocol

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\n\r\n{}"
OTHER = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"


class Echo:
    """Answers with what it was sent."""

    async def answer(self, client: Client, headers: Mapping[bytes, bytes]) -> None:
        await client.reply(200, await client.read(100))


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Pipe(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.closed = asyncio.Event()

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()


def connect(keep_alive_s: float = 5) -> tuple[HotProtocol, Pipe]:
    wrapped = cast(Any, types.SimpleNamespace(state=types.SimpleNamespace(hot={b"/v1/chat/completions": Echo()})))
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    config.load()
    config.app, config.timeout_keep_alive = wrapped, cast(int, keep_alive_s)
    protocol, pipe = HotProtocol(config, ServerState(), {}, asyncio.get_running_loop()), Pipe()
    protocol.connection_made(pipe)
    return protocol, pipe


async def ask(protocol: HotProtocol, pipe: Pipe, request: bytes = REQUEST) -> bytes:
    before = len(pipe.sent)
    protocol.data_received(request)
    await asyncio.wait_for(asyncio.gather(*protocol.tasks), 5)
    return b"".join(pipe.sent[before:])


def test_an_answered_request_is_freed_without_a_garbage_collection() -> None:
    async def run() -> int:
        protocol, pipe = connect()
        for _ in range(3):
            assert (await ask(protocol, pipe)).startswith(b"HTTP/1.1 200 ")
        # The last one is the connection's current exchange; those of other tests' servers do not count. Not isinstance:
        # it reads an attribute, for which an object of another library may warn.
        return sum(type(item) is HotClient and item._protocol is protocol for item in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(run()) == 1
    finally:
        gc.enable()


def test_fast_path_and_asgi_requests_alternate_on_one_connection() -> None:
    async def run() -> list[bytes]:
        protocol, pipe = connect()
        return [(await ask(protocol, pipe, sent))[:12] for sent in (REQUEST, OTHER, OTHER, REQUEST)]

    assert asyncio.run(run()) == [b"HTTP/1.1 200", b"HTTP/1.1 204", b"HTTP/1.1 204", b"HTTP/1.1 200"]


def test_an_idle_connection_is_closed_after_the_keep_alive_timeout() -> None:
    async def run(request: bytes) -> tuple[bool, bool]:
        protocol, pipe = connect(keep_alive_s=0.2)
        loop = asyncio.get_running_loop()
        began = loop.time()
        while loop.time() < began + 0.3:
            await ask(protocol, pipe, request)
            await asyncio.sleep(0.02)
        kept = not pipe.closed.is_set()
        async with asyncio.timeout(5):
            await pipe.closed.wait()
        return kept, loop.time() - began >= 0.45

    assert asyncio.run(run(REQUEST)) == (True, True)
    assert asyncio.run(run(OTHER)) == (True, True)
