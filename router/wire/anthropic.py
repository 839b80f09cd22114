"""Anthropic's messages on the wire: answers and streams as the log sees them, and the same dialect on both sides.

Between a client and an endpoint of this dialect everything is passed as it was sent (cache marks, thinking, server
tools, the client's `anthropic-version` and `anthropic-beta`); only model, cap and our own tags are replaced.
Source: the types of Anthropic's Python SDK 2.12 (API version 2026-10-21).
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire.protocol import Answer, Unreadable
from router.wire.sse import StreamReader, named_event
from traffic.confidence import Signals
from traffic.record import Output, Usage

VERSION = "2026-10-21"
SAMPLING_VERSION = "2023-06-01"
"""The last version that takes `temperature`, `top_p` and `top_k`, from models that have them."""

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Other stop reasons (`pause_turn`, and whatever is new) are stated as they are."""

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


class OutputDetails(msgspec.Struct, frozen=True):
    thinking_tokens: int | None = None


class UsageSent(msgspec.Struct, frozen=True):
    """`usage`: cached tokens are counted beside `input_tokens`, not inside. Absent where an event does not say it."""

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None

    def normalised(self) -> Usage:
        return Usage(
            input_uncached=self.input_tokens or 0,
            cache_read=self.cache_read_input_tokens or 0,
            cache_write=self.cache_creation_input_tokens or 0,
            output=self.output_tokens or 0,
            reasoning=(self.output_tokens_details and self.output_tokens_details.thinking_tokens) or 0,
        )

    def updated(self, later: "UsageSent") -> "UsageSent":
        """Counts are cumulative: what a later event says stands."""
        said = {name: value for name in self.__struct_fields__ if (value := getattr(later, name)) is not None}
        return msgspec.structs.replace(self, **said)


class Block(msgspec.Struct, frozen=True):
    """A part of an answer; kinds other than text and tool_use are for clients of this dialect alone."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] | None = None


class Message(msgspec.Struct, frozen=True):
    """An answer in one piece."""

    content: list[Block]
    stop_reason: str | None = None
    usage: UsageSent | None = None
    id: str = ""
    model: str = ""

    @property
    def output(self) -> Output:
        texts = [block.text for block in self.content if block.type == "text"]
        calls = [tool_call(b.id, b.name, dumped(b.input or {})) for b in self.content if b.type == "tool_use"]
        return Output("".join(texts) if texts else None, calls or None, finish_reason(self.stop_reason))


class Delta(msgspec.Struct, frozen=True):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class Event(msgspec.Struct, frozen=True):
    """One event of a stream."""

    type: str
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta = Delta()
    usage: UsageSent | None = None
    error: dict[str, Any] | None = None


_decode_message = msgspec.json.Decoder(Message).decode
_decode_event = msgspec.json.Decoder(Event).decode
_encode = msgspec.json.Encoder().encode


def dumped(value: Any) -> str:
    """Compact JSON."""
    return _encode(value).decode()


def tool_call(identity: str, name: str, arguments: str) -> dict[str, Any]:
    """In OpenAI's form."""
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}}


def finish_reason(stop_reason: str | None) -> str | None:
    return FINISH_REASONS.get(stop_reason, stop_reason) if stop_reason is not None else None


def message_of(body: bytes) -> Message:
    """Raises: Unreadable."""
    try:
        message = _decode_message(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("the body is no message") from None
    if message.stop_reason is None:
        raise Unreadable("the answer has no stop reason")
    return message


class Events:
    """A stream's events: what they add up to, for the log. Each kind of stream says what the client gets of them."""

    def __init__(self) -> None:
        self._reader = StreamReader()
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._usage: UsageSent | None = None
        self.message: Message | None = None
        self.stop_reason: str | None = None
        self.done = False
        self.begun = False

    def decoded(self, data: bytes) -> Iterator[tuple[bytes, Event]]:
        """The events that are complete now, pings and errors apart. Raises: Unreadable, also for an error event."""
        for sent in self._reader.feed(data):
            try:
                event = _decode_event(sent)
            except (msgspec.DecodeError, UnicodeDecodeError):
                raise Unreadable("an event of the stream is no event of a message") from None
            if event.type == "error":
                raise Unreadable(f"error: the stream says that it failed ({(event.error or {}).get('type')})")
            self._add(event)
            if event.type != "ping":
                yield sent, event

    def _add(self, event: Event) -> None:
        if event.message is not None:
            self.message = event.message
            self._usage = event.message.usage
        if event.usage is not None:
            self._usage = self._usage.updated(event.usage) if self._usage is not None else event.usage
        if event.type == "content_block_start" and event.content_block is not None:
            self._open(event.index, event.content_block)
        elif event.type == "content_block_delta":
            if event.delta.text:
                self._texts.append(event.delta.text)
            if event.delta.partial_json and event.index in self._calls:
                self._calls[event.index]["function"]["arguments"] += event.delta.partial_json
        elif event.type == "message_delta":
            self.stop_reason = event.delta.stop_reason or self.stop_reason
        elif event.type == "message_stop":
            self.done = True
        # Thinking counts too: a client of this dialect gets it, and no other endpoint could answer after that.
        self.begun = self.begun or bool(self._texts or self._calls) or event.type == "content_block_delta"

    def _open(self, index: int, block: Block) -> None:
        if block.type == "tool_use":
            self._calls[index] = tool_call(block.id, block.name, dumped(block.input) if block.input else "")
        elif block.text:
            self._texts.append(block.text)

    def position(self, index: int) -> int | None:
        """Which of the tool calls the block is; None for another block."""
        return list(self._calls).index(index) if index in self._calls else None

    def has_arguments(self, index: int) -> bool:
        return bool(self._calls[index]["function"]["arguments"])

    @property
    def finish_reason(self) -> str | None:
        return finish_reason(self.stop_reason)

    @property
    def usage(self) -> Usage | None:
        return self._usage.normalised() if self._usage is not None else None

    @property
    def output(self) -> Output:
        for call in self._calls.values():
            # A call without arguments has no delta, and its input is an empty object.
            call["function"]["arguments"] = call["function"]["arguments"] or "{}"
        text = "".join(self._texts) if self._texts else None
        return Output(text, list(self._calls.values()) or None, self.finish_reason)

    def signals(self) -> Signals | None:
        """This protocol has no log-probabilities."""
        return None

    def check(self) -> None:
        """Raises: Unreadable if the stream was cut."""
        if self.stop_reason is None:
            raise Unreadable("cut: the stream ended without a stop reason")
        if not self.done:
            raise Unreadable("cut: the stream ended without message_stop")


class _PassedStream(Events):
    """Events as they came; the last, `message_stop`, is held back."""

    def __init__(self) -> None:
        super().__init__()
        self._last = b""

    def feed(self, data: bytes) -> list[bytes]:
        out = []
        for sent, event in self.decoded(data):
            if event.type == "message_stop":
                self._last = named_event(event.type, sent)
            else:
                out.append(named_event(event.type, sent))
        return out

    def end(self) -> bytes:
        self.check()
        return self._last


# ------------------------------------------------------------------------------ the same dialect on both sides


def path(base_url: str) -> str:
    return "/messages" if base_url.rstrip("/").endswith("/v1") else "/v1/messages"


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    del target
    return {"anthropic-version": VERSION} | request.native_headers | ({"x-api-key": key} if key is not None else {})


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    """The client's body with the endpoint's model, the registry's cap, and without our tags."""
    body: dict[str, Any] = dict(request.native)
    if target.model is not None:
        body["model"] = target.model
    if target.max_tokens is not None and (request.cap is None or request.cap > target.max_tokens):
        body["max_tokens"] = target.max_tokens
    for name in target.endpoint.leave_out:
        body.pop(name, None)
    if "metadata" in body:
        # The API refuses every other key of it.
        tags = msgspec.json.decode(body.pop("metadata")) or {}
        if "user_id" in tags:
            body["metadata"] = {"user_id": tags["user_id"]}
    if not stream:
        body.pop("stream", None)
    return _encode(body)


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    del request, target
    message = message_of(body)
    return Answer(message.output, message.usage.normalised() if message.usage is not None else None, body)


def stream(request: ChatRequest, target: Target) -> _PassedStream:
    del request, target
    return _PassedStream()
