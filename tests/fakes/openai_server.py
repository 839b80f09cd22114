"""A fake OpenAI-compatible server on a real port, scriptable, that records what it was asked.

    with FakeOpenAI(answer=lambda body: "spam") as server:
        server.script(status(429, retry_after=0.01), ok("ham"))   # the next two chat requests; then `answer` again
        client = openai.OpenAI(base_url=server.base_url, api_key="key")

    python -m tests.fakes.openai_server --port 8000

Speaks `/v1/chat/completions` (plain and streaming, log-probabilities, usage), `/v1/files` and `/v1/batches`
(`server.batches`), `/v1/models` and `/health`, with keep-alive. Plain asyncio in a thread, because a test must be
able to cut a connection in the middle of a byte.
"""

import argparse
import asyncio
import contextlib
import json
import math
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.fakes.openai_batches import Batches

Body = dict[str, Any]

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


@dataclass(frozen=True)
class Reply:
    """What one chat request gets; made by the functions below."""

    text: str | None = None
    """None: whatever the server's `answer` says."""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None
    """Body sent instead of a chat completion, as it is."""
    delay_s: float = 0.0
    """Time before the first byte."""
    token_delay_s: float = 0.0
    """Time between streamed tokens."""
    gate: threading.Event | None = None
    """Nothing is sent before this is set: a slow answer without a clock."""
    cut_after: int | None = None
    """The connection is aborted after this many tokens: no finish reason, no [DONE]."""
    confidence: float = 0.98
    """Probability of every token of the answer; the runner-up has half of the rest."""
    finish_reason: str = "stop"
    usage: bool = True
    tool_calls: tuple[tuple[str, str], ...] = ()
    """Name and arguments (JSON) of each call that the answer makes instead of saying something."""


def ok(text: str | None = None, **changes: Any) -> Reply:
    """A good answer."""
    return Reply(text=text, **changes)


def calls(*tool_calls: tuple[str, str]) -> Reply:
    """A good answer that calls tools: (name, arguments as JSON) each."""
    return Reply(text="", tool_calls=tool_calls, finish_reason="tool_calls")


def slow(seconds: float, text: str | None = None) -> Reply:
    """A good answer, late."""
    return Reply(text=text, delay_s=seconds)


def held(gate: threading.Event, text: str | None = None) -> Reply:
    """A good answer, as soon as the test sets `gate`."""
    return Reply(text=text, gate=gate)


def garbage() -> Reply:
    """Status 200 and a chat completion whose text is no use to anybody."""
    return Reply(text="%%% As per my last llama, {{{ the answer is: maybe?? \u0000\ufffd", confidence=0.2)


def broken_body() -> Reply:
    """Status 200 and a body that is no JSON."""
    return Reply(raw=b"<html><body>upstream said something else</body></html>")


def status(code: int, *, message: str = "scripted failure", retry_after: float | None = None) -> Reply:
    """An error in OpenAI's form."""
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return Reply(status=code, headers=headers, raw=_error(message, code))


def cut(after: int = 1, text: str | None = None) -> Reply:
    """The connection is aborted in the middle of the answer."""
    return Reply(text=text, cut_after=after)


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: Body
    arrived: float
    """`time.monotonic()` seconds."""
    client_left: bool = False
    """The client went away before it had its answer."""
    data: bytes = b""
    """The body as it came; of an upload there is no other."""
    query: str = ""

    @property
    def user_text(self) -> str:
        """Text of the last user message of a chat request."""
        texts = [str(m.get("content")) for m in self.body.get("messages", []) if m.get("role") == "user"]
        return texts[-1] if texts else ""


class _Wire:
    """Bytes from the client, with a look-ahead: while an answer is in the making, we learn when the client hangs up."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._ahead = b""

    async def until(self, end: bytes) -> bytes:
        while end not in self._ahead:
            await self._more()
        line, _, self._ahead = self._ahead.partition(end)
        return line

    async def exactly(self, count: int) -> bytes:
        while len(self._ahead) < count:
            await self._more()
        data, self._ahead = self._ahead[:count], self._ahead[count:]
        return data

    async def until_closed(self) -> None:
        with contextlib.suppress(EOFError):
            while True:
                await self._more()

    async def _more(self) -> None:
        data = await self._reader.read(65_536)
        if not data:
            raise EOFError
        self._ahead += data


class FakeOpenAI:
    """The server; a context manager. All attributes may be changed while it runs."""

    def __init__(
        self,
        *,
        answer: Callable[[Body], str | Reply] = lambda body: "ok",
        default: Reply | None = None,
        models: tuple[str, ...] = (),
        api_key: str | None = None,
        port: int = 0,
    ) -> None:
        """`answer`: what is said to a request, or a whole reply. `models`: names that are served, any when empty.
        `api_key`: any other gets 401.
        """
        self.answer = answer
        self.default = default or ok()
        self.models = models
        self.api_key = api_key
        self.port = port
        self.healthy = True
        self.pages: dict[str, bytes] = {}
        """Bodies of other paths."""
        self.batches = Batches(self._complete)
        self.asked: list[Asked] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._script: deque[Reply] = deque()
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    # ---------------------------------------------------------------------------------- for the test

    @property
    def base_url(self) -> str:
        """For the `base_url` of an OpenAI client."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def chats(self) -> list[Asked]:
        """The chat requests so far, retries of a client among them."""
        return [asked for asked in self.asked if asked.path == "/v1/chat/completions"]

    def script(self, *replies: Reply) -> None:
        """The next chat requests get these, in this order; later ones get `default`."""
        self._script.extend(replies)

    def wait_for(self, condition: Callable[["FakeOpenAI"], bool], timeout_s: float = 10.0) -> None:
        """Block until the condition holds. Raises: TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout_s):
                raise TimeoutError("the fake server waited in vain")

    def __enter__(self) -> Self:
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="fake-openai", daemon=True)
        self._thread.start()
        if not started.wait(10):
            raise TimeoutError("the fake server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop: open connections are aborted, the port is closed. Like a killed process."""
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    # -------------------------------------------------------------------------------------- the wire

    def _run(self, started: threading.Event) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        started.set()
        await self._stopped.wait()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            wire = _Wire(reader)
            with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
                while True:
                    await self._handle(await _read_request(wire), wire, writer)
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _handle(self, asked: Asked, wire: _Wire, writer: asyncio.StreamWriter) -> None:
        self._note(asked)
        try:
            if asked.path == "/health":
                await _send(writer, 200 if self.healthy else 503, b"")
            elif asked.path == "/v1/models":
                cards = [{"id": name, "object": "model", "created": 0, "owned_by": "fake"} for name in self.models]
                await _send(writer, 200, json.dumps({"object": "list", "data": cards}).encode())
            elif asked.path == "/v1/chat/completions" and asked.method == "POST":
                await self._chat(asked, wire, writer)
            elif asked.path in self.pages:
                await _send(writer, 200, self.pages[asked.path])
            elif reply := self.batches.handle(asked.method, asked.path, asked.headers, asked.data):
                await _send(writer, *reply)
            else:
                await _send(writer, 404, _error(f"no {asked.path} here", 404))
        finally:
            self._note(asked, done=True)

    async def _chat(self, asked: Asked, wire: _Wire, writer: asyncio.StreamWriter) -> None:
        reply = self._reply(asked)
        work = asyncio.create_task(self._respond(reply, asked.body, writer))
        # A client that hangs up shows as the end of its stream: it sends nothing more before it has its answer.
        gone = asyncio.create_task(wire.until_closed())
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                asked.client_left = True
                writer.transport.abort()
                raise ConnectionAbortedError
            await work
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    def _reply(self, asked: Asked) -> Reply:
        if self.api_key is not None and asked.headers.get("authorization") != f"Bearer {self.api_key}":
            return status(401, message="Incorrect API key provided")
        if self.models and asked.body.get("model") not in self.models:
            return status(404, message=f"The model `{asked.body.get('model')}` does not exist.")
        reply = self._script.popleft() if self._script else self.default
        if reply.text is not None or reply.raw is not None:
            return reply
        answer = self.answer(asked.body)
        return answer if isinstance(answer, Reply) else replace(reply, text=answer)

    def _complete(self, body: Body) -> tuple[int, Body]:
        """What a chat request in a batch gets."""
        reply = self._reply(Asked("POST", "", {"authorization": f"Bearer {self.api_key}"}, body, time.monotonic()))
        return (reply.status, json.loads(reply.raw)) if reply.raw is not None else (200, _completion(reply, body))

    async def _respond(self, reply: Reply, body: Body, writer: asyncio.StreamWriter) -> None:
        if reply.gate is not None:
            while not reply.gate.is_set():  # noqa: ASYNC110 - the test sets it from another thread
                await asyncio.sleep(0.002)
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.raw is not None:
            await _send(writer, reply.status, reply.raw, reply.headers)
        elif body.get("stream"):
            await _stream(writer, reply, body)
        else:
            payload = json.dumps(_completion(reply, body)).encode()
            if reply.cut_after is not None:
                writer.write(_head(reply.status, len(payload), reply.headers) + payload[: len(payload) // 2])
                await writer.drain()
                writer.transport.abort()
                raise ConnectionAbortedError
            await _send(writer, reply.status, payload, reply.headers)

    def _note(self, asked: Asked, *, done: bool = False) -> None:
        with self._changed:
            if not done:
                self.asked.append(asked)
            if asked.path == "/v1/chat/completions":
                self.in_flight += -1 if done else 1
                self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self._changed.notify_all()


# ------------------------------------------------------------------------------------------ HTTP/1.1


async def _read_request(wire: _Wire) -> Asked:
    head = (await wire.until(b"\r\n\r\n")).decode("latin-1")
    request_line, *lines = head.split("\r\n")
    method, target, _ = request_line.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        data = b""
        while size := int((await wire.until(b"\r\n")).partition(b";")[0], 16):
            data += (await wire.exactly(size + 2))[:-2]
        await wire.until(b"\r\n")
    else:
        data = await wire.exactly(int(headers.get("content-length", 0)))
    uploaded = headers.get("content-type", "").startswith("multipart/")
    body = json.loads(data) if data and not uploaded else {}
    path, _, query = target.partition("?")
    return Asked(method, path, headers, body, time.monotonic(), data=data, query=query)


def _head(code: int, length: int | None, headers: dict[str, str], kind: str = "application/json") -> bytes:
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    lines = [f"HTTP/1.1 {code} {_REASONS.get(code, 'Error')}", f"content-type: {kind}", size]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


async def _send(writer: asyncio.StreamWriter, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
    writer.write(_head(code, len(body), headers or {}) + body)
    await writer.drain()


async def _stream(writer: asyncio.StreamWriter, reply: Reply, body: Body) -> None:
    writer.write(_head(200, None, reply.headers, "text/event-stream"))
    for number, event in enumerate(_events(reply, body)):
        # The first event only opens the message; tokens follow.
        if reply.cut_after is not None and number > reply.cut_after:
            await writer.drain()
            writer.transport.abort()
            raise ConnectionAbortedError
        if number and reply.token_delay_s:
            await asyncio.sleep(reply.token_delay_s)
        data = b"data: " + event + b"\n\n"
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()


# ------------------------------------------------------------------------------------ chat completions


def _error(message: str, code: int) -> bytes:
    kind = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}.get(code, "server_error")
    return json.dumps({"error": {"message": message, "type": kind, "code": kind, "param": None}}).encode()


def tokens(text: str) -> list[str]:
    """The fake's tokens: words with the space before them; joined they are the text again."""
    return re.findall(r"\s*\S+|\s+$", text)


def _logprob(token: str, body: Body, confidence: float) -> dict[str, Any]:
    runner_up = max((1 - confidence) / 2, 1e-9)
    alternatives = [(token, confidence), (f"{token}?", runner_up), (f"{token}!", runner_up / 2)]
    # Whichever is more probable comes first, as a real server lists them.
    alternatives.sort(key=lambda pair: -pair[1])
    top = [
        {"token": text, "logprob": math.log(p), "bytes": list(text.encode())}
        for text, p in alternatives[: body.get("top_logprobs") or 0]
    ]
    return {"token": token, "logprob": math.log(confidence), "bytes": list(token.encode()), "top_logprobs": top}


def _usage(body: Body, pieces: list[str]) -> dict[str, int]:
    prompt = sum(len(tokens(str(message.get("content") or ""))) for message in body.get("messages", []))
    return {"prompt_tokens": prompt, "completion_tokens": len(pieces), "total_tokens": prompt + len(pieces)}


def _pieces(reply: Reply, body: Body) -> tuple[list[str], str]:
    pieces = tokens(reply.text or "")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    return (pieces[:limit], "length") if limit and len(pieces) > limit else (pieces, reply.finish_reason)


def _tool_calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(reply.tool_calls)
    ]


def _completion(reply: Reply, body: Body) -> dict[str, Any]:
    pieces, finish = _pieces(reply, body)
    logprobs = {"content": [_logprob(p, body, reply.confidence) for p in pieces]} if body.get("logprobs") else None
    message: dict[str, Any] = {"role": "assistant", "content": "".join(pieces)}
    if reply.tool_calls:
        message |= {"content": None, "tool_calls": _tool_calls(reply)}
    choice = {"message": message, "finish_reason": finish, "logprobs": logprobs}
    choices = [{"index": index} | choice for index in range(body.get("n") or 1)]
    completion = {"id": "chatcmpl-fake", "object": "chat.completion", "created": 0, "model": body.get("model")}
    return completion | {"choices": choices} | ({"usage": _usage(body, pieces)} if reply.usage else {})


def _events(reply: Reply, body: Body) -> Iterator[bytes]:
    pieces, finish = _pieces(reply, body)
    head = {"id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 0, "model": body.get("model")}

    def event(delta: dict[str, Any], reason: str | None = None, logprobs: dict[str, Any] | None = None) -> bytes:
        choice = {"delta": delta, "finish_reason": reason, "logprobs": logprobs}
        choices = [{"index": index} | choice for index in range(body.get("n") or 1)]
        return json.dumps(head | {"choices": choices}).encode()

    yield event({"role": "assistant", "content": None if reply.tool_calls else ""})
    for number, call in enumerate(_tool_calls(reply)):
        # As OpenAI streams them: first who is called, then the arguments in pieces.
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        yield event({"tool_calls": [call | {"index": number, "function": {"name": name, "arguments": ""}}]})
        for at in range(0, len(arguments), 8):
            yield event({"tool_calls": [{"index": number, "function": {"arguments": arguments[at : at + 8]}}]})
    for piece in pieces:
        logprobs = {"content": [_logprob(piece, body, reply.confidence)]} if body.get("logprobs") else None
        yield event({"content": piece}, logprobs=logprobs)
    yield event({}, finish)
    if reply.usage and (body.get("stream_options") or {}).get("include_usage"):
        yield json.dumps(head | {"choices": [], "usage": _usage(body, pieces)}).encode()
    yield b"[DONE]"


def main() -> None:
    """Serve until the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--text", default="ok", help="what every answer says")
    arguments = parser.parse_args()
    with FakeOpenAI(answer=lambda body: arguments.text, port=arguments.port) as server:
        print(server.base_url, flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    main()
