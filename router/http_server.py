"""uvicorn's HTTP/1.1 protocol with a fast path for the model APIs.

    uvicorn.Config(make_app(deps), http=HotProtocol)

A POST of up to `MAX_HOT_BYTES` to one of these paths is read completely and passed to its handler in one task, without
ASGI messages, middleware and routing, which cost as much CPU time as the router's own work. Everything else (large or
chunked bodies, `Expect`, upgrades, browsers, pipelined requests, HTTP/1.0, other paths) goes through ASGI.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from router.answers import Answers
from router.client import EVENTS, JSON, UNBUFFERED, Client, Headers, TooLarge
from router.request import header_map

MAX_HOT_BYTES = 2**20
"""Larger bodies are read in chunks through ASGI, so that a client without a key cannot fill the memory."""
_ASGI_ONLY = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"origin"})


class _NoEvent:
    """Replaces uvicorn's `message_event`, which nothing waits for on the fast path."""

    def set(self) -> None:
        pass


_NO_EVENT = _NoEvent()


class HotClient(Client):
    """One exchange, written directly to the connection; with the attributes of uvicorn's request cycle."""

    keep_alive = True
    disconnected = False
    response_complete = False
    # Not the client itself: a reference cycle would keep the body in memory until the next garbage collection.
    message_event = _NO_EVENT
    task: asyncio.Task[None] | None = None
    _head = b""
    """Status line and headers, sent together with the first chunk of the body."""
    _chunked = False

    def __init__(self, protocol: "HotProtocol", handler: Answers, headers: Mapping[bytes, bytes]) -> None:
        self.handler = handler
        self.headers = headers
        self.parts: list[bytes] = []
        self._protocol = protocol

    async def read(self, max_bytes: int) -> bytes:
        body = self.parts[0] if len(self.parts) == 1 else b"".join(self.parts)
        if len(body) > max_bytes:
            raise TooLarge
        return body

    def connection_lost(self) -> None:
        """Cancel the request's task."""
        self.disconnected = True
        if self.task is not None and not self.ended:
            self.left = True
            self.task.cancel()

    async def start(self, status: int, content_type: bytes, headers: Headers, *, length: int | None = None) -> None:
        self._begin(status, content_type, headers, length)

    def _begin(self, status: int, content_type: bytes, headers: Headers, length: int | None) -> None:
        self.started = True
        parts = [STATUS_LINE[status], b"content-type: ", content_type]
        for name, value in self._protocol.server_state.default_headers:
            parts += (b"\r\n", name, b": ", value)
        if content_type is EVENTS:
            headers = [*UNBUFFERED, *headers]
        for name, value in headers:
            parts += (b"\r\n", name, b": ", value)
        if length is not None:
            parts.append(b"\r\ncontent-length: %d" % length)
        else:
            self._chunked = True
            parts.append(b"\r\ntransfer-encoding: chunked")
        parts.append(b"\r\n\r\n" if self.keep_alive else b"\r\nconnection: close\r\n\r\n")
        self._head = b"".join(parts)

    async def reply(self, status: int, body: bytes, headers: Headers = (), content_type: bytes = JSON) -> None:
        self._begin(status, content_type, headers, len(body))
        await self.end(body)

    async def write(self, data: bytes) -> None:
        await self._send(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked and data else data)

    async def end(self, data: bytes = b"") -> None:
        if self._chunked:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        self.ended = True
        if self._protocol.flow.write_paused or self.disconnected:
            await self._send(data)
        else:
            self._protocol.transport.write(self._head + data)
        if self.disconnected:
            return
        self.response_complete = True
        if not self.keep_alive:
            self._protocol.transport.close()
        self._protocol.on_response_complete()

    async def _send(self, data: bytes) -> None:
        flow = self._protocol.flow
        if flow.write_paused and not self.disconnected:
            await flow.drain()
        if not self.disconnected:
            self._protocol.transport.write(self._head + data)
            self._head = b""


class HotProtocol(HttpToolsProtocol):
    """One connection to a client."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._hot: dict[bytes, Answers] = cast(Any, config.app).state.hot
        self._idle_since: float | None = None

    def on_message_begin(self) -> None:
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        client = self._fast_path()
        if client is None:
            self._make_scope()
            super().on_headers_complete()
        else:
            self.cycle = cast(Any, client)

    def _make_scope(self) -> None:
        """Build the ASGI scope, which `on_message_begin` skipped."""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers += headers

    def _fast_path(self) -> HotClient | None:
        """The exchange if the request can take the fast path; None: it goes through ASGI."""
        handler = self._hot.get(self.url) or self._hot.get(self.url.partition(b"?")[0])
        if handler is None or self.parser.get_method() != b"POST" or self.parser.get_http_version() != "1.1":
            return None
        busy: Any = self.cycle
        if busy is not None and not busy.response_complete:
            return None
        headers = header_map(self.headers)
        length = headers.get(b"content-length", b"")
        if not length.isdigit() or int(length) > MAX_HOT_BYTES or not _ASGI_ONLY.isdisjoint(headers):
            return None
        client = HotClient(self, handler, headers)
        client.keep_alive = self.parser.should_keep_alive()
        return client

    def on_body(self, body: bytes) -> None:
        client: Any = self.cycle
        if isinstance(client, HotClient):
            client.parts.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        client: Any = self.cycle
        if not isinstance(client, HotClient):
            super().on_message_complete()
            return
        client.task = task = self.loop.create_task(self._serve(client), name="request")
        self.tasks.add(task)

    def connection_lost(self, exc: Exception | None) -> None:
        client: Any = self.cycle
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        if isinstance(client, HotClient):
            client.connection_lost()

    # One keep-alive timer per connection: uvicorn creates and cancels one for each request.

    def _unset_keepalive_if_required(self) -> None:
        self._idle_since = None

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_keep_alive_timer(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        remaining_s = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if remaining_s > 0:
            self._set_keep_alive_timer(remaining_s)
        else:
            super().timeout_keep_alive_handler()

    def _set_keep_alive_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    async def _serve(self, client: HotClient) -> None:
        try:
            await client.handler.answer(client, client.headers)
        except Exception as error:
            self.logger.exception("Exception while answering a request\n")
            if not client.started:
                await client.handler.crashed(client, error)
        finally:
            assert client.task is not None
            self.tasks.discard(client.task)
            if not client.ended:
                self.transport.abort()
