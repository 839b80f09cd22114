"""A fake Anthropic server on a real port, scriptable, that records what it was asked.

    with FakeAnthropic(answer=lambda body: "spam") as server:
        server.script(overloaded(), ok("ham"), uses_tool("find", {"q": "x"}))   # the next three; then `answer` again
        client = anthropic.Anthropic(base_url=server.base_url, api_key="key")

Speaks `/v1/messages` (plain and streaming, tools, cache usage). As strict as the real one where translations go wrong:
required and unknown keys, turns, empty texts, and parameters that the API version of the request no longer has.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tests.fakes import openai_server
from tests.fakes.openai_server import Asked, Body, FakeOpenAI, tokens

_KEYS = frozenset(
    {"model", "messages", "max_tokens", "system", "tools", "tool_choice", "stop_sequences", "stream", "metadata"}
    | {"temperature", "top_p", "top_k", "output_config", "thinking", "cache_control", "service_tier"}
)
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})


@dataclass(frozen=True)
class Reply(openai_server.Reply):
    """What one request gets."""

    tool: tuple[str, dict[str, Any]] | None = None
    """A call of this tool, behind the text."""
    thinking: str = ""
    """A block of thinking before the text."""
    stop_reason: str | None = None
    """None: `tool_use` where there is a call, else `end_turn`."""
    error_after: int | None = None
    """A stream has an error event after this many tokens."""
    cached: int = 0
    """Input tokens that were read from the cache."""
    stop: bool = True
    """A stream ends with `message_stop`."""


def ok(text: str | None = None, **changes: Any) -> Reply:
    """A good answer."""
    return Reply(text=text, **changes)


def uses_tool(name: str, arguments: dict[str, Any], text: str = "") -> Reply:
    return Reply(text=text, tool=(name, arguments))


def refusal() -> Reply:
    """An answer that the provider's classifiers stopped."""
    return Reply(text="", stop_reason="refusal")


def status(code: int, kind: str = "api_error", message: str = "scripted failure", **headers: str) -> Reply:
    """An error in Anthropic's form."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status=code, raw=_error(kind, message), headers=named)


def overloaded() -> Reply:
    return status(529, "overloaded_error", "Overloaded")


def cut(after: int = 1, text: str | None = None) -> Reply:
    """The connection is aborted in the middle of the answer."""
    return Reply(text=text, cut_after=after)


class FakeAnthropic(FakeOpenAI):
    """The server; a context manager. All attributes may be changed while it runs."""

    def __init__(self, *, answer: Callable[[Body], str] = lambda body: "ok", api_key: str | None = None) -> None:
        """`api_key`: any other gets 401."""
        super().__init__(answer=answer, default=ok(), api_key=api_key)

    @property
    def base_url(self) -> str:
        """For the `base_url` of an Anthropic client: without `/v1`."""
        return super().base_url.removesuffix("/v1")

    async def _handle(self, asked: Asked, wire: Any, writer: asyncio.StreamWriter) -> None:
        self._note(asked)
        try:
            if asked.path == "/v1/messages" and asked.method == "POST":
                await self._chat(asked, wire, writer)
            else:
                await openai_server._send(writer, 404, _error("not_found_error", f"no {asked.path} here"))
        finally:
            self._note(asked, done=True)

    def _reply(self, asked: Asked) -> Reply:
        if self.api_key is not None and asked.headers.get("x-api-key") != self.api_key:
            return status(401, "authentication_error", "invalid x-api-key")
        wrong = _mistake(asked)
        if wrong is not None:
            return status(400, "invalid_request_error", wrong)
        reply = self._script.popleft() if self._script else self.default
        own = reply if isinstance(reply, Reply) else Reply(**vars(reply))
        return replace(own, text=self.answer(asked.body)) if own.text is None and own.raw is None else own

    async def _respond(self, reply: openai_server.Reply, body: Body, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reply, Reply)
        if reply.gate is not None:
            while not reply.gate.is_set():  # noqa: ASYNC110 - the test sets it from another thread
                await asyncio.sleep(0.002)
        if reply.raw is not None:
            await openai_server._send(writer, reply.status, reply.raw, reply.headers)
        elif body.get("stream"):
            await _stream(writer, reply, body)
        else:
            await openai_server._send(writer, 200, json.dumps(_message(reply, body)).encode(), reply.headers)


def _mistake(asked: Asked) -> str | None:
    """What the API would refuse."""
    body, version = asked.body, asked.headers.get("anthropic-version")
    if version is None:
        return "anthropic-version: header is required"
    for key in ("model", "messages", "max_tokens"):
        if key not in body:
            return f"{key}: Field required"
    refused = (body.keys() - _KEYS) | (body.keys() & _SAMPLING if version >= "2026-10-21" else set())
    if refused:
        return f"{sorted(refused)[0]}: Extra inputs are not permitted"
    if body.get("metadata", {}).keys() - {"user_id"}:
        return "metadata: Extra inputs are not permitted"
    known: set[str] = set()
    for number, message in enumerate(body["messages"]):
        content = message["content"]
        if content in ("", []):
            return f"messages.{number}: content must be non-empty"
        for block in content if isinstance(content, list) else []:
            if block["type"] == "text" and not block["text"]:
                return f"messages.{number}: text content blocks must be non-empty"
            if block["type"] == "tool_use":
                known.add(block["id"])
            if block["type"] == "tool_result" and block["tool_use_id"] not in known:
                return f"messages.{number}: unexpected tool_use_id in tool_result blocks: {block['tool_use_id']}"
    return None


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}).encode()


def _blocks(reply: Reply, body: Body) -> tuple[list[dict[str, Any]], str]:
    pieces = tokens(reply.text or "")
    short = len(pieces) > body["max_tokens"]
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": reply.thinking, "signature": "c2ln"})
    if pieces:
        blocks.append({"type": "text", "text": "".join(pieces[: body["max_tokens"]])})
    if reply.tool is not None:
        blocks.append({"type": "tool_use", "id": "toolu_1", "name": reply.tool[0], "input": reply.tool[1]})
    otherwise = "max_tokens" if short else "tool_use" if reply.tool is not None else "end_turn"
    return blocks, reply.stop_reason or otherwise


def _usage(reply: Reply, body: Body) -> dict[str, Any]:
    prompt = sum(len(tokens(json.dumps(message["content"]))) for message in body["messages"])
    cached = {"cache_read_input_tokens": reply.cached, "cache_creation_input_tokens": 0}
    return {"input_tokens": prompt, **cached, "output_tokens": len(tokens(reply.text or ""))}


def _message(reply: Reply, body: Body) -> dict[str, Any]:
    content, stop_reason = _blocks(reply, body)
    head = {"id": "msg_fake", "type": "message", "role": "assistant", "model": body["model"]}
    return head | {
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _usage(reply, body),
    }


def _events(reply: Reply, body: Body) -> Iterator[dict[str, Any]]:
    message = _message(reply, body)
    opened = {"content": [], "stop_reason": None, "usage": message["usage"] | {"output_tokens": 1}}
    yield {"type": "message_start", "message": message | opened}
    yield {"type": "ping"}
    sent_deltas = 0
    for index, block in enumerate(message["content"]):
        deltas: list[dict[str, Any]]
        if block["type"] == "text":
            empty, deltas = {"text": ""}, [{"type": "text_delta", "text": text} for text in tokens(block["text"])]
        elif block["type"] == "thinking":
            empty = {"thinking": "", "signature": ""}
            deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            empty, arguments = {"input": {}}, json.dumps(block["input"]) if block["input"] else ""
            deltas = [
                {"type": "input_json_delta", "partial_json": arguments[n : n + 4]} for n in range(0, len(arguments), 4)
            ]
        yield {"type": "content_block_start", "index": index, "content_block": block | empty}
        for delta in deltas:
            if reply.error_after is not None and sent_deltas >= reply.error_after:
                yield {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
                return
            sent_deltas += 1
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    usage = {"output_tokens": message["usage"]["output_tokens"]}
    yield {"type": "message_delta", "delta": ended, "usage": usage}
    if reply.stop:
        yield {"type": "message_stop"}


async def _stream(writer: asyncio.StreamWriter, reply: Reply, body: Body) -> None:
    writer.write(openai_server._head(200, None, reply.headers, "text/event-stream"))
    sent_deltas = 0
    for event in _events(reply, body):
        if event["type"] == "content_block_delta":
            sent_deltas += 1
            if reply.cut_after is not None and sent_deltas > reply.cut_after:
                await writer.drain()
                writer.transport.abort()
                raise ConnectionAbortedError
        data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()
    writer.write(b"0\r\n\r\n")
    await writer.drain()
