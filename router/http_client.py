"""HTTP/1.1 client with a connection pool: no pipelining, no redirects, and one retry only if a pooled connection was
stale.

    client = HttpClient()
    response = await client.request("POST", url, headers, body, connect_s=5.0)
    try:
        data = await response.read()
    finally:
        response.release()

httptools (llhttp) parses responses; the objects of a general client library would cost more CPU time than routing does.
Respects `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`. The caller sets timeouts: cancelling a request is always safe.
"""

import asyncio
import functools
import ssl
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import cast

import httptools

from router.addresses import Address, ConnectionFailed, ConnectTimeout, bracketed, host_of, locate, proxy_key
from router.content_encoding import NAMES, BadEncoding, Decoder

KEEP_ALIVE_SECONDS = 4.0
"""Shorter than uvicorn's (and so vLLM's) keep-alive timeout of 5 s."""
STALE_SECONDS = 1.0
"""A pooled connection that closes within this time of a request, without a response byte, was closed before it."""
MAX_HEADER_BYTES = 131_072
"""Limit for the headers of one response; corporate proxies add long cookies and policies."""
HIGH_WATER_BYTES = 262_144
"""Reading from the socket pauses when this much of a body is unread."""
MAX_IDLE = 256
"""Maximum number of idle connections per address."""

RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case."""


class Response:
    """One response with a streamed body. Always call `release`, also after an error."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_decoder",
        "_error",
        "_size",
        "_waiter",
        "answered",
        "complete",
        "raw_headers",
        "started",
        "status",
    )

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: ConnectionFailed | None = None
        self._decoder: Decoder | None = None
        self.status = 0
        self.raw_headers: RawHeaders = []
        self.answered = False
        """At least one byte has arrived."""
        self.started = False
        """Status and headers have arrived."""
        self.complete = False
        """The whole body has arrived; parts of it may be unread."""

    @property
    def headers(self) -> dict[str, str]:
        """Headers by name in lower case; the values of a repeated header are joined with commas."""
        headers: dict[str, str] = {}
        for name, value in self.raw_headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        return headers

    async def readany(self) -> bytes:
        """Wait for at least one byte and return all unread bytes; empty at the end.

        Raises: ConnectionFailed if the body is truncated.
        """
        while not self._chunks and not self.complete:
            await self.more()
        return self.read_available()

    def read_available(self) -> bytes:
        """Unread bytes that have arrived, without waiting; may be empty."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks, self._size = [], 0
        self._connection.resume()
        return data

    async def read(self, min_bytes: int | None = None) -> bytes:
        """Read to the end, or until at least `min_bytes` bytes are read. Raises: ConnectionFailed."""
        parts, size = [], 0
        while (min_bytes is None or size < min_bytes) and (data := await self.readany()):
            parts.append(data)
            size += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def drained(self) -> bool:
        """The whole body has been read."""
        return self.complete and not self._chunks

    def release(self) -> None:
        """Return the connection to the pool, or close it if the response is incomplete."""
        self._connection.release()

    def more(self) -> asyncio.Future[None]:
        """A future that completes with the next event of this response. Raises: ConnectionFailed."""
        if self._error is not None:
            raise self._error
        self._waiter = waiter = self._connection.loop.create_future()
        return waiter

    def wake(self) -> None:
        if self._waiter is not None:
            if not self._waiter.done():
                self._waiter.set_result(None)
            self._waiter = None

    def begin(self, status: int) -> None:
        self.status, self.started = status, True
        for name, value in self.raw_headers:
            # Some servers compress although the request did not allow it.
            if name == b"content-encoding" and (encoding := value.decode("latin-1").strip().lower()) in NAMES:
                events = self.headers.get("content-type", "").startswith("text/event-stream")
                self._decoder = Decoder(encoding, events=events)
        self.wake()

    def feed(self, data: bytes) -> bool:
        """Add body bytes. Returns whether reading from the socket should pause."""
        if self._decoder is not None:
            data = self._decoder.decode(data)
        if data:
            self._chunks.append(data)
            self._size += len(data)
            self.wake()
        return self._size > HIGH_WATER_BYTES

    def decode(self, data: bytes, encoding: str) -> bytes:
        """Decode the body from `data` on, the bytes read last, where no header stated the encoding.

        Raises: ConnectionFailed.
        """
        self._decoder = Decoder(encoding)
        try:
            self._chunks = [self._decoder.decode(chunk) for chunk in self._chunks]
            return self._decoder.decode(data)
        except BadEncoding as error:
            raise ConnectionFailed(str(error)) from None

    def end(self, error: ConnectionFailed | None = None) -> None:
        """Mark the response as complete, or as failed with `error`."""
        if error is None and self._decoder is not None:
            try:
                self._chunks.append(self._decoder.end())
            except BadEncoding as bad_encoding:
                error = ConnectionFailed(str(bad_encoding))
        self.complete = error is None
        self._error = error
        self.wake()


class Connection(asyncio.Protocol):
    """One connection and its current response; the callbacks of asyncio and httptools."""

    def __init__(self, pool: "list[Connection]") -> None:
        self._pool = pool
        # Each lookup of the running loop costs a system call.
        self.loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_data_after_close=True,
            lenient_optional_cr_before_lf=True,
        )
        self._response: Response | None = None
        self._head_bytes = 0
        self._has_body_length = False
        self._ambiguous_length = False
        self._reusable = False
        self._paused = False
        self.closed = False
        self.idle_since = 0.0

    def request(self, head: bytes, body: bytes) -> Response:
        """Send a request on an idle connection."""
        assert self._transport is not None
        assert self._response is None
        self._response = response = Response(self)
        self._head_bytes, self._has_body_length, self._ambiguous_length, self._reusable = 0, False, False, False
        self._transport.write(head + body)
        return response

    def release(self) -> None:
        """End the current response; the connection is pooled if it can be reused."""
        response, self._response = self._response, None
        if response is None:
            return
        if response.complete and self._reusable and not self.closed and len(self._pool) < MAX_IDLE:
            self.resume()
            self.idle_since = time.monotonic()
            self._pool.append(self)
        else:
            self.close()

    def resume(self) -> None:
        """Continue reading from the socket."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio.Transport.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None or response.complete:
            # A response without a request, such as a 408 on an idle connection.
            self.close()
            return
        response.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            reason = getattr(error, "__context__", None) or error
            own_error = isinstance(reason, ConnectionFailed | BadEncoding)
            if not response.complete:
                response.end(ConnectionFailed(str(reason) if own_error else "not an HTTP/1.1 response"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        response = self._response
        if response is None:
            # Otherwise the pool would keep the closed transport alive.
            if self in self._pool:
                self._pool.remove(self)
        elif not response.complete:
            if response.started and not self._has_body_length and error is None:
                # A body without a length ends where the connection closes.
                response.end()
            else:
                message = "connection closed during the response" if response.started else "closed without a response"
                response.end(ConnectionFailed(message))

    # ---------------------------------------------------------------------------------- callbacks of httptools

    def on_message_begin(self) -> None:
        if self._response is not None and self._response.complete:
            # Bytes after a complete response must not become part of it.
            raise ConnectionFailed("second response to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._response is not None
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEADER_BYTES:
            raise ConnectionFailed(f"response headers exceed {MAX_HEADER_BYTES} bytes")
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            # With both headers, chunks define the body, and the connection is not reused.
            self._ambiguous_length = self._has_body_length
            self._has_body_length = True
        self._response.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._response is not None
        status = self._parser.get_status_code()
        if status in (204, 304):
            self._has_body_length = True
        if status >= 200:
            self._response.begin(status)

    def on_body(self, data: bytes) -> None:
        assert self._response is not None
        if self._response.feed(data) and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        response = self._response
        assert response is not None
        if not response.started:
            # 100 Continue, 103 Early Hints: the final response follows.
            response.raw_headers, self._has_body_length = [], False
            return
        self._reusable = self._has_body_length and not self._ambiguous_length and self._parser.should_keep_alive()
        response.end()


class _Tunnel(asyncio.Protocol):
    """Receives a proxy's response to CONNECT."""

    def __init__(self) -> None:
        self.head: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if b"\r\n\r\n" in self._data and not self.head.done():
            self.head.set_result(self._data)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.head.done():
            self.head.set_result(b"")


class HttpClient:
    """Connection pool. Create and use it inside one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float
    ) -> Response:
        """Send a request; returns as soon as status and headers have arrived. Raises: ConnectionFailed."""
        address, target = locate(url)
        length = b"content-length: %d\r\n\r\n" % len(body) if body or method != "GET" else b"\r\n"
        head = b"".join((method.encode(), target, _header_lines(tuple(headers.items())), length))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._close_idle)
        connection = self._pooled(address)
        may_be_stale = connection is not None
        while True:
            if connection is None:
                connection = await self._connect(address, connect_s)
            response, sent = connection.request(head, body), time.monotonic()
            try:
                while not response.started:
                    await response.more()
            except BaseException as error:
                response.release()
                # The server closed the idle connection before it received the request: retry on a new connection.
                stale = may_be_stale and not response.answered and time.monotonic() - sent < STALE_SECONDS
                if not stale or not isinstance(error, ConnectionFailed):
                    raise
                connection, may_be_stale = None, False
            else:
                return response

    def close(self) -> None:
        """Close idle connections; those in use close when they are released."""
        if self._sweep is not None:
            self._sweep.cancel()
        for pool in self._idle.values():
            for connection in pool[:]:
                connection.close()
            pool.clear()

    def _pooled(self, address: Address) -> Connection | None:
        pool = self._idle[address]
        oldest = time.monotonic() - KEEP_ALIVE_SECONDS
        while pool:
            connection = pool.pop()
            if not connection.closed and connection.idle_since >= oldest:
                return connection
            connection.close()
        return None

    def _close_idle(self) -> None:
        oldest = time.monotonic() - KEEP_ALIVE_SECONDS
        for pool in self._idle.values():
            for connection in [expired for expired in pool if expired.idle_since < oldest]:
                pool.remove(connection)
                connection.close()
        remain = any(self._idle.values())
        self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._close_idle) if remain else None

    async def _connect(self, address: Address, connect_s: float) -> Connection:
        pool = self._idle[address]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_s) as limit:
                if address.proxy is not None and address.tls:
                    return await _connect_through_proxy(address, pool)
                host, port = host_of(address.proxy) if address.proxy is not None else (address.host, address.port)
                tls = _tls() if address.tls else None
                _, connection = await loop.create_connection(lambda: Connection(pool), host, port, ssl=tls)
                return connection
        except TimeoutError as error:
            if limit.expired():
                raise ConnectTimeout from None
            raise ConnectionFailed(error.strerror or "timed out") from None
        except ConnectionFailed:
            raise
        except OSError as error:
            raise ConnectionFailed(error.strerror or str(error) or type(error).__name__) from None


async def _connect_through_proxy(address: Address, pool: list[Connection]) -> Connection:
    """Connect through an HTTP proxy. Raises: ConnectionFailed, OSError."""
    assert address.proxy is not None
    loop = asyncio.get_running_loop()
    transport, tunnel = await loop.create_connection(_Tunnel, *host_of(address.proxy))
    try:
        host = f"{bracketed(address.host)}:{address.port}"
        transport.write(f"CONNECT {host} HTTP/1.1\r\nhost: {host}\r\n".encode() + proxy_key(address.proxy) + b"\r\n")
        head = await tunnel.head
        if head.split(b" ")[1:2] != [b"200"]:
            status_line = head.partition(b"\r\n")[0].decode("latin-1")[:100] or "closed without a response"
            raise ConnectionFailed(f"proxy refused CONNECT: {status_line}")
        connection = Connection(pool)
        secured = await loop.start_tls(transport, connection, _tls(), server_hostname=address.host)
        assert secured is not None
        connection.connection_made(secured)
        return connection
    except BaseException:
        transport.abort()
        raise


@functools.lru_cache(maxsize=512)
def _header_lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers as sent; cached, because those for one endpoint rarely change. Raises: ConnectionFailed."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
        raise ConnectionFailed("a request header contains a line end or a null character")
    return text.encode()


@functools.cache
def _tls() -> ssl.SSLContext:
    """Cached: loading the certificates takes 20 ms."""
    return ssl.create_default_context()
