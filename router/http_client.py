"""A small HTTP/1.1 client: one request at a time on a connection, idle connections kept, nothing followed, and nothing
sent twice but on a kept connection that turns out to be closed.

    client = HttpClient()
    response = await client.request("POST", url, headers, body, connect_s=5.0)
    try:
        data = await response.read()
    finally:
        response.release()

httptools (llhttp) parses; a client library's request, response and stream objects cost more than the router's rules.
`HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` hold. Time limits are the caller's: cancelling a request is always safe.
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
"""Below the 5 s after which uvicorn, and so vLLM, closes an idle connection."""
STALE_SECONDS = 1.0
"""An idle connection that closes so soon after a request, without a byte, was closed before the request came."""
MAX_HEADER_BYTES = 131_072
"""Of one answer's head: corporate proxies add long cookies and policies."""
HIGH_WATER_BYTES = 262_144
"""Of a body that nobody has read yet: then the socket is left alone."""
MAX_IDLE = 256
"""Idle connections kept for one address."""

RawHeaders = list[tuple[bytes, bytes]]
"""Names in lower case."""


class Response:
    """One answer; its body is read as it comes. `release` it, whatever happened."""

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
        """Anything came back."""
        self.started = False
        """Status and headers are there."""
        self.complete = False
        """So is the whole body, read or not."""

    @property
    def headers(self) -> dict[str, str]:
        """By name in lower case; the values of a repeated one are one list."""
        found: dict[str, str] = {}
        for name, value in self.raw_headers:
            key, text = name.decode("latin-1"), value.decode("latin-1")
            found[key] = f"{found[key]}, {text}" if key in found else text
        return found

    async def readany(self) -> bytes:
        """What has arrived, at least one byte; empty at the end. Raises: ConnectionFailed when it was cut."""
        while not self._chunks and not self.complete:
            await self.more()
        return self.ready()

    def ready(self) -> bytes:
        """What has arrived and was not read yet; may be empty."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks, self._size = [], 0
        self._connection.resume()
        return data

    async def read(self, most_bytes: int | None = None) -> bytes:
        """The rest of the body, or at least its first `most_bytes` bytes. Raises: ConnectionFailed."""
        parts, size = [], 0
        while (most_bytes is None or size < most_bytes) and (data := await self.readany()):
            parts.append(data)
            size += len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    @property
    def drained(self) -> bool:
        """The whole body has been read."""
        return self.complete and not self._chunks

    def release(self) -> None:
        """Give the connection back; one whose answer is not whole is closed."""
        self._connection.release()

    def more(self) -> asyncio.Future[None]:
        """Done as soon as anything happens. Raises: ConnectionFailed."""
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
            # Asked for none; some servers compress all the same.
            if name == b"content-encoding" and (encoding := value.decode("latin-1").strip().lower()) in NAMES:
                events = self.headers.get("content-type", "").startswith("text/event-stream")
                self._decoder = Decoder(encoding, events=events)
        self.wake()

    def feed(self, data: bytes) -> bool:
        """Whether enough is waiting to be read."""
        if self._decoder is not None:
            data = self._decoder.decode(data)
        if data:
            self._chunks.append(data)
            self._size += len(data)
            self.wake()
        return self._size > HIGH_WATER_BYTES

    def decode(self, data: bytes, encoding: str) -> bytes:
        """What was read last, and all that follows, turns out to be encoded. Raises: ConnectionFailed."""
        self._decoder = Decoder(encoding)
        try:
            self._chunks = [self._decoder.decode(chunk) for chunk in self._chunks]
            return self._decoder.decode(data)
        except BadEncoding as error:
            raise ConnectionFailed(str(error)) from None

    def end(self, error: ConnectionFailed | None = None) -> None:
        """The body is whole, or will never be."""
        if error is None and self._decoder is not None:
            try:
                self._chunks.append(self._decoder.end())
            except BadEncoding as bad:
                error = ConnectionFailed(str(bad))
        self.complete = error is None
        self._error = error
        self.wake()


class Connection(asyncio.Protocol):
    """One connection, and the answer that is under way on it. The callbacks are httptools'."""

    def __init__(self, pool: "list[Connection]") -> None:
        self._pool = pool
        # Looking up the running loop needs a system call each time.
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
        self._sized = False
        self._doubtful = False
        self._reusable = False
        self._paused = False
        self.closed = False
        self.idle_since = 0.0

    def request(self, head: bytes, body: bytes) -> Response:
        """Send a request on an idle connection."""
        assert self._transport is not None
        assert self._response is None
        self._response = response = Response(self)
        self._head_bytes, self._sized, self._doubtful, self._reusable = 0, False, False, False
        self._transport.write(head + body)
        return response

    def release(self) -> None:
        """The answer has been read, or is given up."""
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
        """Read on."""
        if self._paused and self._transport is not None and not self.closed:
            self._paused = False
            self._transport.resume_reading()

    def close(self) -> None:
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of it.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None or response.complete:
            # Nobody asked: an answer to nothing, such as a 408 to an idle connection.
            self.close()
            return
        response.answered = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            reason = getattr(error, "__context__", None) or error
            known = isinstance(reason, ConnectionFailed | BadEncoding)
            if not response.complete:
                response.end(ConnectionFailed(str(reason) if known else "no HTTP/1.1 answer"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self.closed = True
        response = self._response
        if response is None:
            # The transport and the pool would keep each other.
            if self in self._pool:
                self._pool.remove(self)
        elif not response.complete:
            if response.started and not self._sized and error is None:
                # A body without a length ends with the connection.
                response.end()
            else:
                what = "the answer was cut off" if response.started else "closed without an answer"
                response.end(ConnectionFailed(what))

    # ---------------------------------------------------------------------------------- httptools' callbacks

    def on_message_begin(self) -> None:
        if self._response is not None and self._response.complete:
            # Bytes behind a whole answer are the answer to nothing: they must not become a part of it.
            raise ConnectionFailed("a second answer to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self._response is not None
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEADER_BYTES:
            raise ConnectionFailed("the answer's headers are too long")
        name = name.lower()
        if name == b"content-length" or (name == b"transfer-encoding" and b"chunked" in value.lower()):
            # Chunks are what counts where both are there, and the connection is not trusted any further.
            self._doubtful = self._sized
            self._sized = True
        self._response.raw_headers.append((name, value))

    def on_headers_complete(self) -> None:
        assert self._response is not None
        status = self._parser.get_status_code()
        if status in (204, 304):
            self._sized = True
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
            # 100 Continue, 103 Early Hints: the answer is still to come.
            response.raw_headers, self._sized = [], False
            return
        self._reusable = self._sized and not self._doubtful and self._parser.should_keep_alive()
        response.end()


class _Tunnel(asyncio.Protocol):
    """A proxy's answer to CONNECT."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._head = b""

    def data_received(self, data: bytes) -> None:
        self._head += data
        if b"\r\n\r\n" in self._head and not self.answer.done():
            self.answer.set_result(self._head)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.answer.done():
            self.answer.set_result(b"")


class HttpClient:
    """Connections to servers, kept while they are idle. Made and used inside one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Address, list[Connection]] = defaultdict(list)
        self._sweep: asyncio.TimerHandle | None = None

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, connect_s: float
    ) -> Response:
        """The answer, as soon as its status and headers are there. Raises: ConnectionFailed."""
        address, target = locate(url)
        length = b"content-length: %d\r\n\r\n" % len(body) if body or method != "GET" else b"\r\n"
        head = b"".join((method.encode(), target, _lines(tuple(headers.items())), length))
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._close_idle)
        connection = self._kept(address)
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
                # The server had closed the idle connection while the request was on its way: once more, on a new one.
                stale = may_be_stale and not response.answered and time.monotonic() - sent < STALE_SECONDS
                if not stale or not isinstance(error, ConnectionFailed):
                    raise
                connection, may_be_stale = None, False
            else:
                return response

    def close(self) -> None:
        """Close idle connections; those that are in use close when they are released."""
        if self._sweep is not None:
            self._sweep.cancel()
        for pool in self._idle.values():
            for connection in pool[:]:
                connection.close()
            pool.clear()

    def _kept(self, address: Address) -> Connection | None:
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
            for connection in [one for one in pool if one.idle_since < oldest]:
                pool.remove(connection)
                connection.close()
        kept = any(self._idle.values())
        self._sweep = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self._close_idle) if kept else None

    async def _connect(self, address: Address, connect_s: float) -> Connection:
        pool = self._idle[address]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(connect_s) as limit:
                if address.proxy is not None and address.tls:
                    return await _tunnelled(address, pool)
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


async def _tunnelled(address: Address, pool: list[Connection]) -> Connection:
    """A connection through an HTTP proxy. Raises: ConnectionFailed, OSError."""
    assert address.proxy is not None
    loop = asyncio.get_running_loop()
    transport, tunnel = await loop.create_connection(_Tunnel, *host_of(address.proxy))
    try:
        where = f"{bracketed(address.host)}:{address.port}"
        transport.write(f"CONNECT {where} HTTP/1.1\r\nhost: {where}\r\n".encode() + proxy_key(address.proxy) + b"\r\n")
        head = await tunnel.answer
        if head.split(b" ")[1:2] != [b"200"]:
            said = head.partition(b"\r\n")[0].decode("latin-1")[:100] or "closed without an answer"
            raise ConnectionFailed(f"the proxy refused: {said}")
        connection = Connection(pool)
        secured = await loop.start_tls(transport, connection, _tls(), server_hostname=address.host)
        assert secured is not None
        connection.connection_made(secured)
        return connection
    except BaseException:
        transport.abort()
        raise


@functools.lru_cache(maxsize=512)
def _lines(headers: tuple[tuple[str, str], ...]) -> bytes:
    """Headers as they are sent; those for an endpoint are mostly the same. Raises: ConnectionFailed."""
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\n") != len(headers) or text.count("\r") != len(headers) or "\0" in text:
        raise ConnectionFailed("a header to send has a line end in it")
    return text.encode()


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: loading the certificates takes 20 ms."""
    return ssl.create_default_context()
