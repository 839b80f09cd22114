"""Anthropic's Messages API: parses answers and streams, and passes requests through between client and endpoint.

If client and endpoint both use this protocol, everything is forwarded unchanged (cache marks, thinking, server tools,
the client's `anthropic-version` and `anthropic-beta`), except the model, the cap and the router's own tags.
Source: the types of Anthropic's Python SDK 2.12 (API version 2026-10-21).
"""

from abc import ABC, abstractmethod
from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire.anthropic_collected import collected
from router.wire.chat import TOOL_CALL, Piece
from router.wire.citations import from_anthropic
from router.wire.errors import error_in
from router.wire.protocol import Answer, StatedError, Unreadable
from router.wire.sse import Event, StreamReader, is_events, named_event, taken_at_end
from router.wire.thinking import UNSIGNED, fit_thinking, is_unsigned, without_thinking
from traffic.confidence import Signals
from traffic.loose_json import NotJson, Tree, encode, index, loads, read_json, text, tree, trees
from traffic.record import Output, Usage
from traffic.tool_calls import ToolCall, ToolCalls, arguments_of
from traffic.usage import UsageCounter, usage_of

VERSION = "2026-10-21"
SAMPLING_VERSION = "2023-06-01"
"""The last version that accepts `temperature`, `top_p` and `top_k`, for models that support them."""

PING = named_event("ping", b'{"type":"ping"}')

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
    "pause_turn": "length",
    "compaction": "length",
}
"""Other stop reasons are passed unchanged. An answer that the server paused is incomplete."""

_TRANSLATABLE_BLOCKS = frozenset({"text", "thinking", "tool_use"})
"""Block types with an equivalent in chat completions."""

ERROR_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def finish_reason(stop_reason: Any) -> str | None:
    """The finish reason in OpenAI's terms."""
    if stop_reason is None:
        return None
    return FINISH_REASONS.get(stop_reason, stop_reason) if isinstance(stop_reason, str) else str(stop_reason)


# --------------------------------------------------------------------------------- an answer in one piece


def message_of(body: bytes) -> tuple[Tree, bytes]:
    """The parsed message and the bytes to send to a client. Raises: Unreadable."""
    try:
        message, body = read_json(body)
    except NotJson:
        if not is_events(body):
            raise Unreadable("the body is not JSON") from None
        message = collected(body)
        body = encode(message)
    failure = error_in(message)
    if failure is not None:
        raise StatedError(failure, message)
    if not isinstance(message, dict) or not (message.get("content") or message.get("stop_reason")):
        raise Unreadable("the answer is not a message")
    return message, body


def pieces_of(message: Tree) -> list[Piece]:
    """The blocks of a message as pieces; types without an equivalent in chat completions are kept unchanged."""
    content, calls, pieces, chars = message.get("content"), ToolCalls(), list[Piece](), 0
    for block in trees(content) if not isinstance(content, str) else [{"type": "text", "text": content}]:
        kind = text(block.get("type"))
        if kind == "text" and text(block.get("text")):
            pieces.append(Piece("text", block["text"]))
            start, chars = chars, chars + len(block["text"])
            cited = [from_anthropic(citation, start, chars) for citation in trees(block.get("citations"))]
            pieces += [Piece("citation", citation=citation) for citation in cited]
        elif kind == "thinking":
            pieces.append(Piece("reasoning", text(block.get("thinking")), signature=text(block.get("signature"))))
        elif kind == "tool_use":
            call, arguments = calls.add(_call_part(block, block.get("input")), whole=True)
            pieces.append(Piece(TOOL_CALL, arguments, call))
        elif kind not in _TRANSLATABLE_BLOCKS:
            pieces.append(Piece("block", block=block))
    return pieces + _explanation(message)


def _explanation(ending: Tree) -> list[Piece]:
    """Why the provider's safeguards refused: stated beside the stop reason, and not in the content."""
    explanation = (
        text(tree(ending.get("stop_details")).get("explanation")) if ending.get("stop_reason") == "refusal" else ""
    )
    return [Piece("refusal", explanation)] if explanation else []


def output_of(pieces: list[Piece], stop_reason: Any) -> Output:
    texts = [piece.text for piece in pieces if piece.kind == "text"]
    calls = [piece.call.as_tree() for piece in pieces if piece.call is not None]
    return Output("".join(texts) if texts else None, calls or None, finish_reason(stop_reason))


def _call_part(block: Tree, arguments: Any) -> Tree:
    return {
        "id": block.get("id"),
        "function": {"name": block.get("name"), "arguments": arguments_of(arguments or None)},
    }


def _object(arguments: str) -> Any:
    """The input of a server tool; text that is not JSON is kept in it as text."""
    try:
        return loads(arguments.encode("utf-8", "replace"))
    except NotJson:
        return {"input": arguments}


# ------------------------------------------------------------------------------------------- a stream


class Read(msgspec.Struct, frozen=True):
    """One parsed event of a stream."""

    kind: str
    data: bytes
    """The event's bytes for clients of this protocol."""
    tree: Tree
    pieces: list[Piece]


class MessageStream(ABC):
    """Parses a stream and accumulates its answer. Subclasses encode the events for their client's protocol."""

    keep_alive = PING

    def __init__(self) -> None:
        self._reader = StreamReader()
        self._usage = UsageCounter()
        self._texts: list[str] = []
        self._calls = ToolCalls()
        self._blocks: dict[int, ToolCall] = {}
        """Tool calls by block index."""
        self._others: dict[int, Tree] = {}
        """Blocks of other types by index: server tools, their results, redacted thinking."""
        self._text_begun: dict[int, int] = {}
        """Characters of the answer before each text block."""
        self._citations: dict[int, list[Any]] = {}
        self._chars = 0
        self._start_arguments: dict[int, str] = {}
        """Arguments sent in the start event of a block; used only if no deltas follow."""
        self._last_index = 0
        self.stop_reason: Any = None
        self.stop_sequence: str | None = None
        self.done = False
        self.begun = False

    def feed(self, data: bytes) -> list[bytes]:
        return [sent for event in self._reader.events(data) if (sent := self._take(event))]

    @abstractmethod
    def encode(self, event: Read) -> bytes:
        """One event in the client's protocol."""

    def flush(self) -> bytes:
        """The remaining events at the end of the body. Raises: Unreadable if the stream was cut."""
        data = b"".join(taken_at_end(self._take, self._reader.close()))
        if self.stop_reason is None:
            raise Unreadable("cut: the stream ended without a stop reason")
        return data

    def _take(self, event: Event) -> bytes:
        if self.done:
            return b""
        read = self._read(event)
        if read is None:
            return self.keep_alive if self.begun else b""
        return self.encode(read)

    def _read(self, event: Event) -> Read | None:
        """None for pings, comments and other data that is not an event. Raises: Unreadable, also for an error event."""
        if not event.data:
            return None
        try:
            sent, data = read_json(event.data)
        except NotJson:
            if event.name == b"error":
                raise Unreadable(f"error: {event.data.decode('utf-8', 'replace')[:500]}") from None
            if event.data[:1] == b"{":
                raise Unreadable("an event of the stream is not JSON") from None
            return None
        failure = error_in(sent, named=event.name == b"error")
        if failure is not None:
            raise StatedError(failure, sent)
        kind = text(tree(sent).get("type")) or event.name.decode("latin-1")
        if not isinstance(sent, dict) or kind in ("ping", ""):
            return None
        return Read(kind, data, sent, self._add(kind, sent))

    def _add(self, kind: str, sent: Tree) -> list[Piece]:
        if kind == "message_start":
            message = tree(sent.get("message"))
            self._usage.add(message.get("usage"))
            # Some servers send the complete message in the first event.
            is_complete = isinstance(message.get("content"), list)
            return [self._tracked(piece) for piece in pieces_of(message)] if is_complete else []
        self._usage.add(sent.get("usage"))
        position = index(sent.get("index"))
        position = self._last_index if position is None else position
        if kind == "content_block_start":
            self._last_index = position
            return self._open(position, tree(sent.get("content_block")))
        if kind == "content_block_delta":
            self.begun = True
            return self._delta(position, tree(sent.get("delta")))
        if kind == "content_block_stop":
            return self._close(position)
        if kind == "message_delta":
            delta = tree(sent.get("delta"))
            if delta.get("stop_reason") is not None:
                self.stop_reason = delta["stop_reason"]
                self.stop_sequence = text(delta.get("stop_sequence")) or None
                return _explanation(delta)
        elif kind == "message_stop":
            self.done = True
        return []

    def _open(self, index: int, block: Tree) -> list[Piece]:
        if block.get("type") == "tool_use":
            self.begun = True
            call, _ = self._calls.add(_call_part(block, None), whole=True)
            self._blocks[index] = call
            self._start_arguments[index] = arguments_of(block.get("input") or None)
            return [Piece(TOOL_CALL, "", call)]
        self._text_begun[index] = self._chars
        self._citations[index] = trees(block.get("citations"))
        if text(block.get("text")):
            return [self._tracked(Piece("text", block["text"]))]
        if text(block.get("thinking")):
            return [self._tracked(Piece("reasoning", block["thinking"]))]
        if block.get("type") == "thinking":
            # The model thinks; its thoughts may be withheld until their signature.
            self.begun = True
        if text(block.get("type")) not in _TRANSLATABLE_BLOCKS:
            # For a client of this protocol, a server tool and its result are part of the answer.
            self.begun = True
            self._others[index] = block
        return []

    def _delta(self, index: int, delta: Tree) -> list[Piece]:
        if text(delta.get("text")):
            return [self._tracked(Piece("text", delta["text"]))]
        if text(delta.get("thinking")):
            return [Piece("reasoning", delta["thinking"])]
        if text(delta.get("signature")):
            return [Piece("reasoning", signature=delta["signature"])]
        if isinstance(delta.get("citation"), dict):
            self._citations.setdefault(index, []).append(delta["citation"])
            return []
        call = self._blocks.get(index)
        arguments = arguments_of(delta.get("partial_json"))
        if call is None or not arguments:
            if arguments:
                self._start_arguments[index] = self._start_arguments.get(index, "") + arguments
            return []
        self._start_arguments.pop(index, None)
        call.arguments += arguments
        return [Piece(TOOL_CALL, arguments, call)]

    def _close(self, index: int) -> list[Piece]:
        call, arguments = self._blocks.get(index), self._start_arguments.pop(index, "")
        if index in self._others:
            block = self._others.pop(index)
            return [Piece("block", block=block | ({"input": _object(arguments)} if arguments else {}))]
        if call is None:
            start = self._text_begun.get(index, self._chars)
            cited = [from_anthropic(citation, start, self._chars) for citation in self._citations.pop(index, ())]
            return [Piece("citation", citation=citation) for citation in cited]
        if call.arguments:
            return []
        # A call without arguments has no delta; its input is an empty object.
        call.arguments = arguments or "{}"
        return [Piece(TOOL_CALL, call.arguments, call)]

    def _tracked(self, piece: Piece) -> Piece:
        self.begun = True
        if piece.kind == "text":
            self._texts.append(piece.text)
            self._chars += len(piece.text)
        return piece

    @property
    def finish_reason(self) -> str | None:
        return finish_reason(self.stop_reason)

    @property
    def usage(self) -> Usage | None:
        return self._usage.usage

    @property
    def output(self) -> Output:
        calls = self._calls.as_trees()
        return Output("".join(self._texts) if self._texts else None, calls or None, self.finish_reason)

    def signals(self) -> Signals | None:
        """None: the protocol has no log-probabilities."""
        return None


class _PassedStream(MessageStream):
    """Forwards events unchanged, and holds back the last one, `message_stop`, which some servers omit."""

    def __init__(self) -> None:
        super().__init__()
        self._last = named_event("message_stop", b'{"type":"message_stop"}')

    def encode(self, event: Read) -> bytes:
        sent = named_event(event.kind, event.data)
        if not self.done:
            return sent
        self._last = sent
        return b""

    def end(self) -> bytes:
        rest = self.flush()
        return rest + self._last


# ------------------------------------------------------------------------------ the same protocol on both sides


def path(base_url: str) -> str:
    return "/messages" if base_url.rstrip("/").endswith("/v1") else "/v1/messages"


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    del target
    return {"anthropic-version": VERSION} | request.native_headers | ({"x-api-key": key} if key is not None else {})


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    """The client's body with the endpoint's model and the registry's cap, without the router's tags."""
    body: dict[str, Any] = dict(request.native)
    if target.model is not None:
        body["model"] = target.model
    if target.max_tokens is not None and (request.cap is None or request.cap > target.max_tokens):
        body["max_tokens"] = target.max_tokens
        if "thinking" in body:
            body |= _decoded(body, "thinking", "context_management")
            fit_thinking(body)
    if UNSIGNED.encode() in bytes(request.native["messages"]):
        body |= _decoded(body, "messages", "thinking", "tool_choice", "context_management")
        body = without_thinking(body, is_unsigned)
    if "metadata" in body:
        # The API rejects all other keys in `metadata`.
        tags = tree(loads(bytes(body.pop("metadata"))))
        if "user_id" in tags:
            body["metadata"] = {"user_id": tags["user_id"]}
    if not stream:
        body.pop("stream", None)
    return encode(body)


def _decoded(body: dict[str, Any], *keys: str) -> Tree:
    """Some of the fields of a body, decoded."""
    return {key: loads(bytes(body[key])) for key in keys if isinstance(body.get(key), msgspec.Raw)}


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    del request, target
    message, body = message_of(body)
    return Answer(output_of(pieces_of(message), message.get("stop_reason")), usage_of(message.get("usage")), body)


def stream(request: ChatRequest, target: Target) -> _PassedStream:
    del request, target
    return _PassedStream()
