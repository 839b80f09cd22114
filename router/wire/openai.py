"""OpenAI's chat completions: the request for an endpoint, and what its answer says.

Requests pass through as they were sent: only what routing decides is replaced. Answers are read for the log
and for judging, and forwarded byte for byte, unless log-probabilities that the client never asked for come out.
"""

from typing import Any

import msgspec

from router.request import ChatRequest
from router.request import parse as parse_chat
from router.target import Target
from router.wire.protocol import Answer, Encoder, Unreadable
from router.wire.sse import DONE, StreamReader, event
from traffic.confidence import Signals, from_openai_logprobs
from traffic.record import Output, Usage

parse = parse_chat

TOP_LOGPROBS = 5
"""Rivals of each token; evaluation asks for as many."""


class PromptDetails(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(msgspec.Struct, frozen=True):
    reasoning_tokens: int | None = None


class UsageSent(msgspec.Struct, frozen=True):
    """`usage` of an answer: cached tokens are counted inside the prompt's."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None

    def normalised(self) -> Usage:
        of_prompt, details = self.prompt_tokens_details, self.completion_tokens_details
        cached = (of_prompt and of_prompt.cached_tokens) or 0
        written = (of_prompt and of_prompt.cache_write_tokens) or 0
        return Usage(
            input_uncached=max(self.prompt_tokens - cached - written, 0),
            cache_read=cached,
            cache_write=written,
            output=self.completion_tokens,
            reasoning=(details and details.reasoning_tokens) or 0,
        )


class LogProbs(msgspec.Struct, frozen=True):
    content: list[dict[str, Any]] | None = None


class MessageSent(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None


class Choice(msgspec.Struct, frozen=True):
    message: MessageSent
    index: int = 0
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


class Completion(msgspec.Struct, frozen=True):
    """A chat completion in one piece."""

    choices: list[Choice]
    usage: UsageSent | None = None

    @property
    def output(self) -> Output:
        """Of the first choice."""
        first = self.choices[0]
        return Output(first.message.content, first.message.tool_calls or None, first.finish_reason)

    def signals(self) -> Signals | None:
        logprobs = self.choices[0].logprobs
        return _signals(logprobs.content) if logprobs is not None else None


class CallPart(msgspec.Struct, frozen=True):
    """A piece of a tool call: the first has id and name, the others more of the arguments."""

    index: int = 0
    id: str | None = None
    function: dict[str, Any] | None = None


class Delta(msgspec.Struct, frozen=True):
    content: str | None = None
    tool_calls: list[CallPart] | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    delta: Delta = Delta()
    index: int = 0
    finish_reason: str | None = None
    logprobs: LogProbs | None = None


class Chunk(msgspec.Struct, frozen=True):
    """One event of a stream."""

    choices: list[ChunkChoice] = []
    usage: UsageSent | None = None
    error: Any = None


def _signals(content: list[dict[str, Any]] | None) -> Signals | None:
    """None too where a server of the protocol writes log-probabilities in a form of its own."""
    try:
        return from_openai_logprobs(content)
    except (KeyError, TypeError, ValueError):
        return None


decode_completion = msgspec.json.Decoder(Completion).decode
decode_chunk = msgspec.json.Decoder(Chunk).decode
_encode = msgspec.json.Encoder().encode


def path(base_url: str) -> str:
    del base_url
    return "/chat/completions"


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    del request, target
    return {} if key is None else {"authorization": f"Bearer {key}"}


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    """The body for one endpoint."""
    body: dict[str, Any] = dict(request.tree)
    for name in target.endpoint.leave_out:
        body.pop(name, None)
    if target.model is not None:
        body["model"] = target.model
    # Our tags; OpenAI takes metadata only for completions that it shall store.
    if target.endpoint.own or bytes(body.get("store", b"")) != b"true":
        body.pop("metadata", None)
    prepared = target.prepared
    cap = target.max_tokens
    if prepared is not None:
        cap = min(cap, prepared.max_tokens) if cap is not None else prepared.max_tokens
        body["messages"] = prepared.messages
        body["logprobs"] = True
        body["top_logprobs"] = max(request.body.top_logprobs or 0, TOP_LOGPROBS)
        # Where the client leaves it open, as it was trained and evaluated: greedy.
        body.setdefault("temperature", 0)
    if target.temperature is not None:
        body["temperature"] = target.temperature
    if target.endpoint.own:
        for key in ("user", "store", "service_tier"):
            body.pop(key, None)
    if cap is not None and (request.cap is None or request.cap > cap):
        # OpenAI's newer models refuse `max_tokens`; other servers all know it.
        named = [key for key in ("max_tokens", "max_completion_tokens") if key in body]
        for key in named or ["max_tokens" if target.endpoint.own else "max_completion_tokens"]:
            body[key] = cap
    if stream:
        # Without it a streamed answer has no usage, and its cost would be unknown.
        options = msgspec.json.decode(body["stream_options"]) if "stream_options" in body else None
        body["stream_options"] = (options or {}) | {"include_usage": True}
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    return _encode(body)


def completion_of(body: bytes) -> Completion:
    """Raises: Unreadable."""
    try:
        # What is skipped here is read by the client.
        body.decode()
        completion = decode_completion(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable("the body is no chat completion") from None
    if not completion.choices:
        raise Unreadable("the answer has no choice")
    return completion


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    completion = completion_of(body)
    usage = completion.usage.normalised() if completion.usage is not None else None
    if target.prepared is None:
        return Answer(completion.output, usage, body)
    signals = completion.signals()
    # Log-probabilities that only the router asked for.
    body = body if request.body.logprobs else without_logprobs(body)
    return Answer(completion.output, usage, body, signals)


def stream(request: ChatRequest, target: Target) -> "ChatStream":
    strip = target.prepared is not None and not request.body.logprobs
    return ChatStream(Events(strip=strip), usage=request.wants_usage)


def without_logprobs(data: bytes) -> bytes:
    """A completion or an event's JSON without the log-probabilities."""
    tree = msgspec.json.decode(data)
    for choice in tree.get("choices") or ():
        choice["logprobs"] = None
    return _encode(tree)


class Assembly:
    """What the events of a stream add up to."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._logprobs: list[dict[str, Any]] = []
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.done = False
        """Whether the stream said `[DONE]`."""
        self.begun = False
        """Whether any of the answer itself has arrived: the first event only opens the message."""

    def add(self, chunk: Chunk) -> None:
        if chunk.usage is not None:
            self.usage = chunk.usage.normalised()
        for choice in chunk.choices:
            # Other choices (n > 1) count for billing, in usage; the log keeps the first.
            if choice.index != 0:
                continue
            self.finish_reason = choice.finish_reason or self.finish_reason
            if choice.delta.content:
                self._texts.append(choice.delta.content)
            for call in choice.delta.tool_calls or ():
                self._add_call(call)
            if choice.logprobs is not None and choice.logprobs.content:
                self._logprobs += choice.logprobs.content
        self.begun = self.begun or bool(self._texts or self._calls)

    def _add_call(self, part: CallPart) -> None:
        call = self._calls.setdefault(part.index, {"id": None, "type": "function", "function": {}})
        call["id"] = part.id or call["id"]
        for key, text in (part.function or {}).items():
            if isinstance(text, str):
                call["function"][key] = call["function"].get(key, "") + text

    @property
    def output(self) -> Output:
        calls = [self._calls[index] for index in sorted(self._calls)]
        return Output("".join(self._texts) if self._texts else None, calls or None, self.finish_reason)

    def signals(self) -> Signals | None:
        return _signals(self._logprobs)


class ChatStream:
    """A stream of chat completion chunks on its way to a client."""

    def __init__(self, encoder: Encoder, *, usage: bool) -> None:
        """`usage`: the client wants the chunk that holds only that."""
        self._reader = StreamReader()
        self._assembly = Assembly()
        self._encoder = encoder
        self._wants_usage = usage
        self.signals = self._assembly.signals

    @property
    def begun(self) -> bool:
        return self._assembly.begun

    @property
    def finish_reason(self) -> str | None:
        return self._assembly.finish_reason

    @property
    def done(self) -> bool:
        return self._assembly.done

    @property
    def usage(self) -> Usage | None:
        return self._assembly.usage

    @property
    def output(self) -> Output:
        return self._assembly.output

    def decode(self, sent: bytes) -> Chunk:
        return decode_chunk(sent)

    def feed(self, data: bytes) -> list[bytes]:
        return [self._encoder.take(sent) for sent in self._reader.feed(data) if self._take(sent)]

    def _take(self, sent: bytes) -> bool:
        """Add an event; whether the client gets to see it now."""
        if sent == b"[DONE]":
            self._assembly.done = True
            return False
        try:
            chunk = self.decode(sent)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Unreadable("an event of the stream is no chat completion chunk") from None
        if chunk.error is not None:
            raise Unreadable("error: the stream says that it failed")
        self._assembly.add(chunk)
        return bool(chunk.choices) or chunk.usage is None or self._wants_usage

    def end(self) -> bytes:
        if self._assembly.finish_reason is None:
            raise Unreadable("cut: the stream ended without a finish reason")
        return self._encoder.end(self._assembly.usage)


class Events:
    """Chunks as they came; the last event, `DONE`, is held back."""

    def __init__(self, *, strip: bool) -> None:
        """`strip`: log-probabilities come out."""
        self._strip = strip

    def take(self, data: bytes) -> bytes:
        return event(without_logprobs(data) if self._strip else data)

    def end(self, usage: Usage | None) -> bytes:
        del usage
        return DONE


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """A whole completion as the events of a stream."""
    tree = msgspec.json.decode(body)
    head = {key: tree.get(key) for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    events: list[dict[str, Any]] = []
    for choice in tree["choices"]:
        message = choice["message"]
        delta = {key: value for key, value in message.items() if value is not None and key != "tool_calls"}
        if message.get("tool_calls"):
            delta["tool_calls"] = [{"index": n} | call for n, call in enumerate(message["tool_calls"])]
        at = {"index": choice.get("index", 0)}
        events.append(
            head | {"choices": [at | {"delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}]}
        )
        events.append(head | {"choices": [at | {"delta": {}, "finish_reason": choice.get("finish_reason")}]})
    if usage and tree.get("usage") is not None:
        events.append(head | {"choices": [], "usage": tree["usage"]})
    return b"".join(event(_encode(part)) for part in events) + DONE


def error(status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """In this protocol the status stands only in the status line."""
    del status
    return _encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def error_of(status: int, body: bytes) -> bytes | None:
    """An endpoint's error as this dialect's clients read it; as it came where it is one already."""
    try:
        tree = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    said = tree.get("error")
    if not isinstance(said, dict):
        return None
    if tree.get("type") == "error":
        return error(status, str(said.get("message")), str(said.get("type")))
    return body


def error_event(body: bytes) -> bytes:
    return event(body)
