"""Converts answers of Amazon Bedrock's Converse API, complete or streamed, to chat completions."""

import secrets
import time
from collections.abc import Iterator
from typing import Any

from router.wire.chat import FINISHES
from router.wire.chat_answers import usage_tree
from router.wire.citations import Citation
from router.wire.errors import error_in
from router.wire.protocol import StatedError, Stream, Unreadable, WrappedStream
from router.wire.sse import DONE, event
from traffic.loose_json import NotJson, Tree, encode, index, loads, text, tree, trees
from traffic.usage import usage_of


def _head(kind: str, model: str | None) -> Tree:
    """Converse states none of these."""
    return {"id": f"chatcmpl-{secrets.token_hex(12)}", "object": kind, "created": int(time.time()), "model": model}


def completion_of(body: bytes, names: dict[str, str] | None = None, model: str | None = None) -> bytes:
    """A Converse answer as a chat completion. `names`: the client's tool names by those sent. Raises: Unreadable."""
    try:
        answer = loads(body)
    except NotJson:
        raise Unreadable("the body is not JSON") from None
    failure = error_in(answer)
    message = tree(tree(tree(answer).get("output")).get("message"))
    if failure is not None or not message:
        raise Unreadable(f"error: {failure}" if failure else "the answer has no message")
    reply = _message_of(trees(message.get("content")), names or {})
    finish = _finish(answer.get("stopReason"), called="tool_calls" in reply)
    choice = {"index": 0, "message": reply, "logprobs": None, "finish_reason": finish}
    completion = _head("chat.completion", model) | {"choices": [choice]}
    usage = usage_of(answer.get("usage"))
    return encode(completion | ({"usage": usage_tree(usage)} if usage is not None else {}))


def _message_of(content: list[Tree], names: dict[str, str]) -> Tree:
    """The message of a chat completion from content blocks."""
    reply: Tree = {"role": "assistant", "content": None}
    texts, calls, thoughts, annotations = list[str](), list[Tree](), list[Tree](), list[Tree]()
    for block in content:
        if text(block.get("text")):
            texts.append(block["text"])
        if cited := tree(block.get("citationsContent")):
            start = len("".join(texts))
            texts += [text(part.get("text")) for part in trees(cited.get("content"))]
            annotations += _annotations(cited.get("citations"), start, len("".join(texts)))
        if redacted := text(tree(block.get("reasoningContent")).get("redactedContent")):
            thoughts.append({"type": "redacted_thinking", "data": redacted})
        use, thought = tree(block.get("toolUse")), tree(tree(block.get("reasoningContent")).get("reasoningText"))
        if use:
            name = text(use.get("name"))
            function = {"name": names.get(name, name), "arguments": encode(use.get("input") or {}).decode()}
            calls.append({"id": text(use.get("toolUseId")), "type": "function", "function": function})
        if thought:
            signature = text(thought.get("signature"))
            thoughts.append({"type": "thinking", "thinking": text(thought.get("text")), "signature": signature})
    if texts:
        reply["content"] = "".join(texts)
    if thoughts:
        reply["reasoning_content"] = "".join(block.get("thinking", "") for block in thoughts)
        reply["thinking_blocks"] = thoughts
    if annotations:
        reply["annotations"] = annotations
    if calls:
        reply["tool_calls"] = calls
    return reply


def _annotations(citations: Any, start: int, end: int) -> list[Tree]:
    """Annotations for citations of web pages; others refer to documents of the request."""
    annotations = []
    for citation in trees(citations):
        url = text(tree(tree(citation.get("location")).get("web")).get("url"))
        source = Citation(url, text(citation.get("title")), "", start, end)
        annotations += [annotation for annotation in (source.as_annotation(),) if annotation is not None]
    return annotations


def _finish(reason: Any, *, called: bool) -> str:
    finish = FINISHES.get(text(reason), "stop")
    return "tool_calls" if called and finish == "stop" else finish


class Chunks:
    """Converts frames of a Converse stream to events of a chat completion stream."""

    def __init__(self, model: str | None, names: dict[str, str] | None = None) -> None:
        from botocore.eventstream import EventStreamBuffer

        self._frames = EventStreamBuffer()
        self._head = _head("chat.completion.chunk", model)
        self._names = names or {}
        self._calls: dict[int, int] = {}
        """Positions of tool calls by block index."""
        self._without_input: set[int] = set()
        """Block indexes of calls without input so far."""
        self._thought: list[str] = []
        self._chars = 0
        """Characters of text so far."""

    def feed(self, data: bytes) -> bytes:
        """Raises: Unreadable, also for an error inside the stream."""
        from botocore.eventstream import ParserError

        self._frames.add_data(data)
        try:
            return b"".join(sent for frame in self._frames for sent in self._events(frame.to_response_dict()))
        except ParserError as error:
            raise Unreadable(f"the stream is broken: {error}") from None

    def _events(self, frame: Tree) -> Iterator[bytes]:
        headers = frame["headers"]
        try:
            payload = tree(loads(frame["body"] or b"{}"))
        except NotJson:
            raise Unreadable("a frame is not JSON") from None
        if headers.get(":message-type") != "event":
            kind = headers.get(":exception-type") or headers.get(":error-code") or "error"
            message = text(payload.get("message")) or text(headers.get(":error-message"))
            raise StatedError(f"{kind}: {message}", {"error": {"type": kind, "message": message}})
        kind, block = headers.get(":event-type"), index(payload.get("contentBlockIndex")) or 0
        if kind == "messageStart":
            yield self._chunk({"role": "assistant", "content": ""})
        elif kind == "contentBlockStart" and (use := tree(tree(payload.get("start")).get("toolUse"))):
            position = self._calls.setdefault(block, len(self._calls))
            self._without_input.add(block)
            name = text(use.get("name"))
            function = {"name": self._names.get(name, name), "arguments": ""}
            call = {"index": position, "id": text(use.get("toolUseId")), "type": "function", "function": function}
            yield self._chunk({"tool_calls": [call]})
        elif kind == "contentBlockDelta":
            yield from self._delta(tree(payload.get("delta")), block)
        elif kind == "contentBlockStop" and block in self._without_input:
            yield self._chunk({"tool_calls": [{"index": self._calls[block], "function": {"arguments": "{}"}}]})
        elif kind == "messageStop":
            yield self._chunk({}, _finish(payload.get("stopReason"), called=bool(self._calls)))
        elif kind == "metadata":
            usage = usage_of(payload.get("usage"))
            if usage is not None:
                yield event(encode(self._head | {"choices": [], "usage": usage_tree(usage)}))
            yield DONE

    def _delta(self, delta: Tree, block: int) -> Iterator[bytes]:
        thought, use = tree(delta.get("reasoningContent")), tree(delta.get("toolUse"))
        if text(delta.get("text")):
            self._chars += len(delta["text"])
            yield self._chunk({"content": delta["text"]})
        if annotations := _annotations([tree(delta.get("citation"))], 0, self._chars):
            yield self._chunk({"annotations": annotations})
        if text(thought.get("redactedContent")):
            redacted = {"type": "redacted_thinking", "data": thought["redactedContent"]}
            yield self._chunk({"thinking_blocks": [redacted]})
        if text(use.get("input")):
            self._without_input.discard(block)
            position = self._calls.setdefault(block, len(self._calls))
            yield self._chunk({"tool_calls": [{"index": position, "function": {"arguments": use["input"]}}]})
        if text(thought.get("text")):
            self._thought.append(thought["text"])
            yield self._chunk({"reasoning_content": thought["text"]})
        if text(thought.get("signature")):
            signed = {"type": "thinking", "thinking": "".join(self._thought), "signature": thought["signature"]}
            self._thought = []
            yield self._chunk({"thinking_blocks": [signed]})

    def _chunk(self, delta: Tree, finish: str | None = None) -> bytes:
        return event(encode(self._head | {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}))


class ConverseStream(WrappedStream):
    """The inner dialect's stream, fed with converted frames."""

    def __init__(self, inner: Stream, chunks: Chunks) -> None:
        super().__init__(inner)
        self._chunks = chunks

    def feed(self, data: bytes) -> list[bytes]:
        return self._inner.feed(self._chunks.feed(data))
