"""The HTTP client against servers that write raw bytes: parsing, pooling, failures."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.addresses import ConnectionFailed, ConnectTimeout, locate
from router.http_client import HIGH_WATER_BYTES, HttpClient

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"


def asked(serve: Serve, work: Callable[[HttpClient, str], Awaitable[object]]) -> object:
    """The result of `work` for a client and the URL of a server."""

    async def run() -> object:
        # On Python 3.11 the server's tasks outlive it.
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        client = HttpClient()
        try:
            return await asyncio.wait_for(work(client, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"), 20)
        finally:
            client.close()
            server.close()

    return asyncio.run(run())


def playing(*pieces: bytes, close: bool = True, heads: list[bytes] | None = None) -> Serve:
    """A server that answers every request with these chunks."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                if heads is not None:
                    heads.append(head)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if close:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return serve


async def whole(client: HttpClient, url: str) -> tuple[int, bytes]:
    response = await client.request("GET", url, {}, b"", connect_s=5)
    try:
        return response.status, await response.read()
    finally:
        response.release()


@settings(max_examples=25, deadline=None)
@given(st.binary(min_size=1, max_size=40), st.lists(st.integers(1, 60), max_size=8))
def test_a_body_does_not_depend_on_chunk_boundaries(body: bytes, cuts: list[int]) -> None:
    sized = OK + b"content-length: %d\r\n\r\n" % len(body) + body
    chunked = CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for data in (sized, chunked, OK + b"\r\n" + body):
        places = sorted({cut for cut in cuts if cut < len(data)})
        pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
        assert asked(playing(*pieces), whole) == (200, body)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        OK,
        OK + b"content-length: 10\r\n\r\nhalf",
        CHUNKED + b"4\r\nhalf\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        OK + b"x: " + b"y" * 140_000 + b"\r\ncontent-length: 0\r\n\r\n",
    ],
    ids=["nothing", "half a head", "short", "no last chunk", "no HTTP", "huge head"],
)
def test_an_incomplete_response_is_a_failed_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionFailed):
        asked(playing(answer), whole)


def test_a_connection_is_reused_only_after_a_complete_response() -> None:
    answer = OK + b"content-length: 2\r\n\r\nok"
    connections: list[object] = []

    def counted(serve: Serve) -> Serve:
        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connections.append(writer)
            await serve(reader, writer)

        return count

    async def three(client: HttpClient, url: str) -> None:
        assert await whole(client, url) == (200, b"ok")
        assert await whole(client, url) == (200, b"ok")
        given_up = await client.request("GET", url, {}, b"", connect_s=5)
        given_up.release()
        assert await whole(client, url) == (200, b"ok")

    asked(counted(playing(answer, close=False)), three)
    # What is given up here has arrived with its head: a whole answer that nobody read.
    assert len(connections) == 1
    connections.clear()
    asked(counted(playing(answer.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), close=False)), three)
    assert len(connections) == 4


def test_bytes_after_a_response_are_ignored_and_close_the_connection() -> None:
    async def twice(client: HttpClient, url: str) -> list[tuple[int, bytes]]:
        return [await whole(client, url), await whole(client, url)]

    answer = OK + b"content-length: 2\r\n\r\nhi"
    other = OK + b"content-length: 4\r\n\r\nevil"
    assert asked(playing(answer + other, close=False), twice) == [(200, b"hi"), (200, b"hi")]
    assert asked(playing(CHUNKED + b"2\r\nhi\r\n0\r\n\r\n" + other, close=False), twice) == [(200, b"hi")] * 2


def test_informational_responses_are_skipped_and_gzip_is_decoded() -> None:
    packed = gzip.compress(b"hello")
    answer = b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + OK
    answer += b"content-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    assert asked(playing(answer), whole) == (200, b"hello")


def test_reading_pauses_while_the_body_is_not_consumed() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(CHUNKED)
        try:
            while True:
                writer.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                await writer.drain()
                sent += 65536
        except ConnectionError:
            writer.close()

    async def slow(client: HttpClient, url: str) -> int:
        response = await client.request("GET", url, {}, b"", connect_s=5)
        before = -1
        while sent != before:
            before = sent
            await asyncio.sleep(0.05)
        stopped_at = sent
        for _ in range(4):
            await response.readany()
            await asyncio.sleep(0.02)
        assert sent > stopped_at
        response.release()
        return stopped_at

    # What the kernel's buffers hold comes on top.
    assert int(str(asked(endless, slow))) < HIGH_WATER_BYTES + 16 * 2**20


def test_a_header_value_with_a_line_end_is_refused() -> None:
    async def smuggle(client: HttpClient, url: str) -> None:
        await client.request("GET", url, {"x-a": "1\r\nx-b: 2"}, b"", connect_s=5)

    with pytest.raises(ConnectionFailed):
        asked(playing(OK), smuggle)


def test_a_host_that_does_not_answer_is_a_connect_timeout() -> None:
    async def run() -> None:
        # TEST-NET-1: nobody is there; some networks refuse it at once.
        await HttpClient().request("GET", "http://192.0.2.1:9/", {}, b"", connect_s=0.05)

    with pytest.raises(ConnectionFailed) as failure:
        asyncio.run(run())
    assert isinstance(failure.value, ConnectTimeout) or str(failure.value)


def test_plain_and_secure_requests_go_through_the_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []

    async def run() -> None:
        serve = playing(OK + b"content-length: 2\r\n\r\nok", heads=heads)
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://user:p%40ss@127.0.0.1:{port}")
        monkeypatch.delenv("no_proxy", raising=False)
        locate.cache_clear()
        client = HttpClient()
        assert await whole(client, "http://models.example:8000/v1?a=1") == (200, b"ok")
        with pytest.raises(ConnectionFailed):
            # The proxy speaks no TLS behind its answer.
            await whole(client, "https://models.example/v1")
        client.close()
        server.close()

    asyncio.run(run())
    locate.cache_clear()
    assert heads[0].startswith(b"GET http://models.example:8000/v1?a=1 HTTP/1.1\r\nhost: models.example:8000\r\n")
    assert heads[1].startswith(b"CONNECT models.example:443 HTTP/1.1\r\n")
    assert all(b"proxy-authorization: Basic dXNlcjpwQHNz\r\n" in head for head in heads)


@pytest.mark.parametrize("begins", [b"", b"HTTP/1.1 200 OK\r\n"])
def test_a_request_is_retried_only_on_a_stale_pooled_connection(begins: bytes) -> None:
    answers = [OK + b"content-length: 1\r\n\r\na", begins, OK + b"content-length: 1\r\n\r\nb"]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                answer = answers.pop(0)
                writer.write(answer)
                await writer.drain()
                if not answer.endswith((b"a", b"b")):
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def twice(client: HttpClient, url: str) -> object:
        await whole(client, url)
        try:
            return await whole(client, url)
        except ConnectionFailed:
            return None

    assert asked(serve, twice) == (None if begins else (200, b"b"))
