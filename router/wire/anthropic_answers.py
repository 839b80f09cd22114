"""Clients that speak Anthropic's messages, endpoints that speak OpenAI's chat completions.

Requests were translated when they were read (`anthropic_requests`); here are the answers. OpenAI does not say which
stop sequence ended an answer: it is `end_turn` then.
"""

import secrets
from typing import Any, TypeVar

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire import openai
from router.wire.protocol import Answer, Unreadable
from router.wire.sse import named_event
from traffic.record import Output, Usage

Tree = dict[str, Any]
_T = TypeVar("_T")

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
"""Other finish reasons are stated as they are."""

path = openai.path
headers = openai.headers
payload = openai.payload


def usage_of(usage: Usage | None) -> Tree:
    """Tokens as Anthropic counts them: cached ones beside the input. Zeros where the endpoint did not say."""
    counted = usage or Usage()
    return {
        "input_tokens": counted.input_uncached,
        "cache_creation_input_tokens": counted.cache_write,
        "cache_read_input_tokens": counted.cache_read,
        "output_tokens": counted.output,
    }


def _stop_reason(finish_reason: str | None) -> str:
    # vLLM may leave it out of a whole answer that simply ended.
    return STOP_REASONS.get(finish_reason, finish_reason) if finish_reason is not None else "end_turn"


def _message(model: str | None) -> Tree:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def message(output: Output, usage: Usage | None, model: str | None) -> bytes:
    """A chat completion as a message. Raises: Unreadable if a tool call's arguments are no JSON object."""
    content: list[Tree] = [{"type": "text", "text": output.text}] if output.text else []
    for call in output.tool_calls or ():
        try:
            function = msgspec.convert(call.get("function"), _Function)
            given = msgspec.json.decode(function.arguments or "{}", type=Tree)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise Unreadable("the arguments of a tool call are no JSON object") from None
        content.append({"type": "tool_use", "id": call.get("id"), "name": function.name, "input": given})
    ended = {"content": content, "stop_reason": _stop_reason(output.finish_reason), "usage": usage_of(usage)}
    return msgspec.json.encode(_message(model) | ended)


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    answer = openai.read(body, request, target)
    said = _decoded(body, _Said)
    output = answer.output
    if output.text is None and said.choices[0].message.refusal:
        output = Output(said.choices[0].message.refusal, output.tool_calls, "content_filter")
    return Answer(output, answer.usage, message(output, answer.usage, said.model), answer.signals)


class _Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class _Message(msgspec.Struct):
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Said(msgspec.Struct):
    """What a message needs of a completion beyond what the log keeps."""

    choices: list[_Choice]
    model: str | None = None


class _Named(msgspec.Struct):
    model: str | None = None


def _decoded(data: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError:
        raise Unreadable("the answer is no chat completion") from None


class Events:
    """Chat completion chunks as a message's events; its end, which says the usage, is held back."""

    def __init__(self) -> None:
        self._begun = False
        self._index = -1
        """Of the block that is open."""
        self._open: str | int | None = None
        """`text`, or the tool call's index."""
        self._seen: set[int] = set()
        self._finish_reason: str | None = None

    def take(self, data: bytes) -> bytes:
        chunk = openai.decode_chunk(data)
        events: list[Tree] = []
        if not self._begun:
            self._begun = True
            opened = _message(_decoded(data, _Named).model) | {"usage": usage_of(None)}
            events.append({"type": "message_start", "message": opened})
        for choice in chunk.choices:
            if choice.index != 0:
                continue
            self._finish_reason = choice.finish_reason or self._finish_reason
            if choice.delta.content:
                events += self._into("text", {"type": "text", "text": ""})
                events.append(self._delta({"type": "text_delta", "text": choice.delta.content}))
            for call in choice.delta.tool_calls or ():
                events += self._call(call)
        return _joined(events)

    def _call(self, part: openai.CallPart) -> list[Tree]:
        index, function = part.index, part.function or {}
        if index in self._seen and index != self._open:
            raise Unreadable("the stream went back to a tool call that it had left")
        self._seen.add(index)
        block: Tree = {"type": "tool_use", "id": part.id, "name": function.get("name"), "input": {}}
        events = self._into(index, block)
        if function.get("arguments"):
            events.append(self._delta({"type": "input_json_delta", "partial_json": function["arguments"]}))
        return events

    def _into(self, key: str | int, block: Tree) -> list[Tree]:
        """Events that make `key` the open block."""
        if self._open == key:
            return []
        events = self._closed()
        self._open = key
        self._index += 1
        return [*events, {"type": "content_block_start", "index": self._index, "content_block": block}]

    def _closed(self) -> list[Tree]:
        return [] if self._open is None else [{"type": "content_block_stop", "index": self._index}]

    def _delta(self, delta: Tree) -> Tree:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def end(self, usage: Usage | None) -> bytes:
        ended = {"stop_reason": _stop_reason(self._finish_reason), "stop_sequence": None}
        delta = {"type": "message_delta", "delta": ended, "usage": usage_of(usage)}
        return _joined([*self._closed(), delta, {"type": "message_stop"}])


def _joined(events: list[Tree]) -> bytes:
    return b"".join(named_event(event["type"], msgspec.json.encode(event)) for event in events)


def stream(request: ChatRequest, target: Target) -> openai.ChatStream:
    del request, target
    return openai.ChatStream(Events(), usage=False)
