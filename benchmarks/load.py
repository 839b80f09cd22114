"""A load generator and an instant upstream on raw sockets, cheap enough to measure only the proxy between them.

    python -m benchmarks.load --upstream        # serve until stopped; the first line is the port

HTTP/1.1 with keep-alive over `asyncio.Protocol` on uvloop. The generator sends the next request of a connection, and
takes the times, in the callback that receives the last byte of the previous answer.
"""

import argparse
import asyncio
import functools
import gc
import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop

CHAT = "/v1/chat/completions"
STREAM_TOKENS = 16

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_STREAM = re.compile(rb'"stream": ?true')
_LOGPROBS = re.compile(rb'"top_logprobs": ?(\d)')
_USAGE = re.compile(rb'"include_usage": ?true')
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: ?chunked", re.IGNORECASE)


def chat_request(port: int, key: str, body: dict[str, Any]) -> bytes:
    """Bytes of one chat request."""
    data = json.dumps(body).encode()
    head = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
    head += f"authorization: Bearer {key}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data


# --------------------------------------------------------------------------------------- the upstream


def _usage(output: int) -> dict[str, int]:
    return {"prompt_tokens": 320, "completion_tokens": output, "total_tokens": 320 + output}


def _plain(*, logprobs: int = 0) -> bytes:
    """A label in the format of OpenAI and vLLM, with this number of log-probabilities per token."""
    choice: dict[str, Any] = {
        "index": 0,
        "message": {"role": "assistant", "content": "refund"},
        "finish_reason": "stop",
    }
    if logprobs:
        rivals = [{"token": f"t{n}", "logprob": -5.0 - n, "bytes": [116]} for n in range(logprobs - 1)]
        step = {"token": "refund", "logprob": -0.01, "bytes": [114]}
        choice["logprobs"] = {"content": [step | {"top_logprobs": [step, *rivals]}] * 2}
    completion = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    data = json.dumps(completion | {"choices": [choice], "usage": _usage(2)}).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data) + data


def _stream(*, usage: bool) -> bytes:
    """Server-sent events of one chunk each, from a server that has all tokens at once."""
    head = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "m"}

    def event(choices: list[dict[str, Any]], **more: Any) -> bytes:
        return json.dumps(head | {"choices": choices} | more).encode()

    def delta(content: dict[str, str], reason: str | None = None) -> bytes:
        return event([{"index": 0, "delta": content, "finish_reason": reason}])

    events = [delta({"role": "assistant", "content": ""})]
    events += [delta({"content": " refund"}) for _ in range(STREAM_TOKENS)]
    events.append(delta({}, "stop"))
    if usage:
        events.append(event([], usage=_usage(STREAM_TOKENS)))
    data = [b"data: %s\n\n" % one for one in [*events, b"[DONE]"]]
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in data)
    head_lines = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head_lines + chunks + _LAST_CHUNK


class Instant(asyncio.Protocol):
    """Answers every complete request immediately."""

    plain = tuple(_plain(logprobs=number) for number in range(10))
    """Answers by requested number of log-probabilities."""
    stream = _stream(usage=False)
    stream_with_usage = _stream(usage=True)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(_HEAD_END)) >= 0:
            match = _LENGTH.search(self._rest, 0, end)
            whole = end + 4 + (int(match[1]) if match else 0)
            if len(self._rest) < whole:
                return
            body, self._rest = self._rest[end + 4 : whole], self._rest[whole:]
            if _STREAM.search(body):
                answer = self.stream_with_usage if _USAGE.search(body) else self.stream
            else:
                logprobs = _LOGPROBS.search(body)
                answer = self.plain[int(logprobs[1]) if logprobs else 0]
            self._transport.write(answer)


async def _serve_upstream() -> None:
    server = await asyncio.get_running_loop().create_server(Instant, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


# -------------------------------------------------------------------------------------- the generator


@dataclass
class Sample:
    """Measurements of a number of requests."""

    total_ms: list[float] = field(default_factory=list)
    """Time from the first byte sent to the last byte received, in the order of the answers."""
    first_ms: list[float] = field(default_factory=list)
    """Time to the first byte of the answer's body."""
    wall_s: float = 0.0
    generator_cpu_s: float = 0.0


class _Connection(asyncio.Protocol):
    """Sends requests sequentially until there are none left."""

    def __init__(self, requests: Iterator[bytes], sample: Sample, done: asyncio.Future[None]) -> None:
        self._requests = requests
        self._sample = sample
        self._done = done
        self._buffer = b""
        self._whole = -1
        """Bytes of the complete answer; -1: not known yet, 0: chunked."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def start(self) -> None:
        """Send the next request, or close if there is none."""
        request = next(self._requests, None)
        if request is None:
            if not self._done.done():
                self._done.set_result(None)
            self._transport.close()
            return
        self._buffer, self._whole, self._first = b"", -1, 0.0
        self._began = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._buffer += data
        if self._whole < 0:
            end = self._buffer.find(_HEAD_END)
            if end < 0:
                return
            if not self._buffer.startswith(b"HTTP/1.1 200"):
                self._fail(RuntimeError(self._buffer.decode("utf-8", "replace")[:2000]))
                return
            match = _LENGTH.search(self._buffer, 0, end + 2)
            self._whole = end + 4 + int(match[1]) if match else 0
            if not match and not _CHUNKED.search(self._buffer, 0, end + 2):
                self._fail(RuntimeError("an answer without a length"))
                return
            self._body_at = end + 4
        if not self._first and len(self._buffer) > self._body_at:
            self._first = now
        if len(self._buffer) >= self._whole if self._whole else self._buffer.endswith(_LAST_CHUNK):
            if not self._whole and b"data: [DONE]" not in self._buffer:
                self._fail(RuntimeError("a stream without [DONE]"))
                return
            self._sample.total_ms.append((now - self._began) * 1000)
            self._sample.first_ms.append((self._first - self._began) * 1000)
            self.start()

    def connection_lost(self, error: Exception | None) -> None:
        if not self._done.done():
            self._fail(error or ConnectionError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        if not self._done.done():
            self._done.set_exception(error)
        self._transport.abort()


async def ask(port: int, requests: Iterable[bytes], concurrency: int) -> Sample:
    """Send all requests over `concurrency` connections, with one request at a time on each.

    Raises: RuntimeError for a status other than 200 and an incomplete answer, ConnectionError.
    """
    loop = asyncio.get_running_loop()
    sample, left = Sample(), iter(list(requests))
    finished: list[asyncio.Future[None]] = [loop.create_future() for _ in range(concurrency)]
    # Garbage collection of this process must not add to the measured latency.
    gc.collect()
    gc.disable()
    try:
        connections = []
        for done in finished:
            make = functools.partial(_Connection, left, sample, done)
            connections.append((await loop.create_connection(make, "127.0.0.1", port))[1])
        began, cpu = time.perf_counter(), time.process_time()
        for connection in connections:
            connection.start()
        await asyncio.gather(*finished)
        sample.wall_s, sample.generator_cpu_s = time.perf_counter() - began, time.process_time() - cpu
    finally:
        gc.enable()
    return sample


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--upstream", action="store_true", required=True, help="serve until stopped")
    parser.parse_args()
    uvloop.run(_serve_upstream())


if __name__ == "__main__":
    main()
