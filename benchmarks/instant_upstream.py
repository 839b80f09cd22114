"""A model server that answers at once, on raw sockets: cheap enough to measure only the proxy in front of it.

python -m benchmarks.instant_upstream        # serve until stopped; the first line is the port
"""

import asyncio
import json
import re
from typing import Any, cast

import uvloop

STREAM_TOKENS = 16

_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_STREAM = re.compile(rb'"stream": ?true')
_LOGPROBS = re.compile(rb'"top_logprobs": ?(\d)')
_USAGE = re.compile(rb'"include_usage": ?true')
_LENGTH = re.compile(rb"\r\ncontent-length: ?(\d+)", re.IGNORECASE)


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
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(row), row) for row in data)
    head_lines = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head_lines + chunks + _LAST_CHUNK


class InstantAnswers(asyncio.Protocol):
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
            length = end + 4 + (int(match[1]) if match else 0)
            if len(self._rest) < length:
                return
            body, self._rest = self._rest[end + 4 : length], self._rest[length:]
            if _STREAM.search(body):
                answer = self.stream_with_usage if _USAGE.search(body) else self.stream
            else:
                logprobs = _LOGPROBS.search(body)
                answer = self.plain[int(logprobs[1]) if logprobs else 0]
            self._transport.write(answer)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(InstantAnswers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
