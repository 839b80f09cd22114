"""OpenAI's chat completions: builds the request for an endpoint, and parses its answer.

Requests are forwarded unchanged except for fields that routing sets. Answers are parsed for the log and for checks, and
forwarded unchanged, except that log-probabilities which the client did not request are removed.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from router.deployed import Prepared
from router.request import ChatRequest
from router.request import parse as parse_chat
from router.target import Target
from router.wire import plain_completion
from router.wire.chat import Assembly, Piece, is_content
from router.wire.chat_tools import is_flat, nested, nested_choice
from router.wire.errors import error_in, error_text
from router.wire.history import fitted_messages
from router.wire.protocol import Answer, StatedError, Unreadable
from router.wire.sse import DONE, KEEP_ALIVE, Event, StreamReader, event, is_events, taken_at_end
from traffic.confidence import Signals, from_openai_logprobs
from traffic.loose_json import NotJson, Tree, encode, index, json_or, read_json, tree, trees
from traffic.record import Output, Usage
from traffic.usage import UsageCounter, usage_of

parse = parse_chat

TOP_LOGPROBS = 2
"""The greedily chosen token and its best rival; no signal uses others."""

SAMPLING = frozenset(
    {"temperature", "top_p", "top_k", "min_p", "typical_p", "frequency_penalty", "presence_penalty"}
    | {"repetition_penalty", "length_penalty", "logit_bias", "min_tokens", "use_beam_search", "best_of"}
)
"""Parameters that affect sampling. An adapter was calibrated without them: its confidence holds for greedy decoding
only."""

OPTIONAL = SAMPLING | {"logprobs", "top_logprobs", "seed"}
"""Parameters that models of one provider do not have in common, and that an answer can do without."""


def signals_of(content: Any) -> Signals | None:
    """Signals from `logprobs.content`; None also for an unknown format."""
    try:
        return from_openai_logprobs(content) if isinstance(content, list) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def path(base_url: str) -> str:
    del base_url
    return "/chat/completions"


def headers(key: str | None, request: ChatRequest, target: Target) -> dict[str, str]:
    del request, target
    return {} if key is None else {"authorization": f"Bearer {key}"}


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    """The body for one endpoint."""
    body: dict[str, Any] = dict(request.tree)
    endpoint = target.endpoint
    if target.model is not None:
        body["model"] = target.model
    # The router's tags; OpenAI accepts metadata only for completions that it stores.
    if endpoint.own or bytes(body.get("store", b"")) != b"true":
        body.pop("metadata", None)
    if target.prepared is not None:
        _as_calibrated(body, request, target.prepared)
    if target.temperature is not None:
        body["temperature"] = target.temperature
    if endpoint.own:
        for key in ("user", "store", "service_tier"):
            body.pop(key, None)
    if any(map(is_flat, request.body.tools or ())):
        body["tools"] = [nested(tool) for tool in request.body.tools or ()]
        if "tool_choice" in body:
            body["tool_choice"] = nested_choice(msgspec.json.decode(body["tool_choice"]))
    fitted_messages(body, request, target)
    _cap(body, request, target)
    if stream:
        # Without it a streamed answer has no usage, and its cost is unknown.
        body["stream_options"] = tree(request.value("stream_options")) | {"include_usage": True}
    else:
        body.pop("stream", None)
        body.pop("stream_options", None)
    return encode(body)


def _as_calibrated(body: dict[str, Any], request: ChatRequest, prepared: Prepared) -> None:
    """Set the sampling that the adapter was calibrated with, in place of the client's."""
    for name in SAMPLING.intersection(body):
        del body[name]
    body["messages"] = prepared.messages
    body["temperature"] = 0
    body["logprobs"] = True
    body["top_logprobs"] = max(request.body.top_logprobs or 0, TOP_LOGPROBS)


def _cap(body: dict[str, Any], request: ChatRequest, target: Target) -> None:
    """Lower the client's cap on output tokens to the registry's and the adapter's."""
    cap = target.max_tokens
    if target.prepared is not None:
        cap = min(cap, target.prepared.max_tokens) if cap is not None else target.prepared.max_tokens
    if cap is None or (request.cap is not None and request.cap <= cap):
        return
    # OpenAI's newer models reject `max_tokens`; all other servers know it.
    capped = False
    for key in ("max_tokens", "max_completion_tokens"):
        if key in body and key not in target.endpoint.leave_out:
            body[key], capped = cap, True
    if not capped:
        body["max_tokens" if target.endpoint.own else "max_completion_tokens"] = cap


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    """Raises: Unreadable."""
    plain = plain_completion.read(body)
    if plain is not None:
        if target.prepared is None:
            return Answer(plain.output, plain.counted, body)
        signals_and_body = plain_completion.judged(plain, body) if target.endpoint.kind != "classifier" else None
        if signals_and_body is not None:
            signals, stripped = signals_and_body
            return Answer(plain.output, plain.counted, body if request.body.logprobs else stripped, signals)
    completion, body = completion_of(body)
    first = trees(completion["choices"])[0]
    assembly = Assembly()
    assembly.add(tree(first.get("message")) or tree(first.get("delta")), whole=True)
    assembly.end(first)
    usage = usage_of(completion.get("usage"))
    if target.prepared is None:
        return Answer(assembly.output, usage, body)
    signals = signals_of(tree(first.get("logprobs")).get("content"))
    # Log-probabilities that only the router requested.
    body = body if request.body.logprobs else without_logprobs(completion)
    unlike = target.endpoint.kind == "classifier" and tree(completion.get("fasttier")).get("unlike_training") is True
    return Answer(assembly.output, usage, body, signals, unlike)


def completion_of(body: bytes) -> tuple[Tree, bytes]:
    """The parsed completion and the bytes to send to a client. Raises: Unreadable, also without a choice."""
    try:
        completion, body = read_json(body)
    except NotJson:
        if not is_events(body):
            raise Unreadable("the body is not JSON") from None
        completion = _collected(body)
        body = encode(completion)
    failure = error_in(completion)
    if failure is not None:
        raise StatedError(failure, completion)
    if not isinstance(completion, dict) or not trees(completion.get("choices")):
        if isinstance(completion, dict) and (stated := error_text(body)):
            raise StatedError(stated, completion)
        raise Unreadable("the answer has no choice")
    # The first one is logged.
    completion["choices"] = sorted(trees(completion["choices"]), key=lambda choice: index(choice.get("index")) or 0)
    return completion, body


def _collected(events: bytes) -> Tree:
    """The completion of a stream that the server sent although none was requested. Raises: Unreadable."""
    collector = _Collector()
    reading = ChatStream(collector)
    reading.feed(events)
    reading.end()
    output = reading.output
    message: Tree = {"role": "assistant", "content": output.text}
    if collector.reasoning:
        message["reasoning_content"] = "".join(collector.reasoning)
    if output.tool_calls:
        message["tool_calls"] = output.tool_calls
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": output.finish_reason}
    return collector.head | {"object": "chat.completion", "choices": [choice], "usage": reading.usage_counts}


def stream(request: ChatRequest, target: Target) -> "ChatStream":
    strip = target.prepared is not None and not request.body.logprobs
    return ChatStream(Events(strip=strip, usage=request.wants_usage))


def without_logprobs(completion: Tree) -> bytes:
    """A completion or chunk without log-probabilities."""
    choices = [choice | {"logprobs": None} for choice in trees(completion.get("choices"))]
    return encode(completion | {"choices": choices})


class Chunk(msgspec.Struct, frozen=True):
    """One parsed event of a stream."""

    data: bytes
    """The event's bytes for clients of this protocol."""
    tree: Tree
    choices: list[Tree]
    pieces: list[Piece]
    """Pieces added to the first choice."""


class Encoder(Protocol):
    """Encodes a stream of chat completion chunks in a client's protocol."""

    keep_alive: bytes

    def take(self, chunk: Chunk) -> bytes:
        """The events for one chunk; may be empty."""
        ...

    def end(self, stream: "ChatStream") -> bytes:
        """The last events of the stream."""
        ...


class ChatStream:
    """Parses a stream of chat completion chunks, and encodes it for the client."""

    def __init__(self, encoder: Encoder, stops: Sequence[str] = ()) -> None:
        """`stops`: stop sequences that were not sent to the endpoint and are applied here."""
        self._reader = StreamReader()
        self._encoder = encoder
        self._usage = UsageCounter()
        self._logprobs: list[Any] = []
        self._odd: Tree = {}
        """The last event without a choice, which may be an error in a form of its own."""
        self.assembly = Assembly(stops)
        self.done = False
        """Whether `[DONE]` was received."""
        self.begun = False
        """Whether part of the answer, of any choice, has arrived; the first event only opens the message."""

    @property
    def finish_reason(self) -> str | None:
        return self.assembly.finish_reason

    @property
    def usage(self) -> Usage | None:
        return self._usage.usage

    @property
    def output(self) -> Output:
        return self.assembly.output

    @property
    def usage_counts(self) -> Tree | None:
        """Usage as the server sent it."""
        return self._usage.counts

    def signals(self) -> Signals | None:
        return signals_of(self._logprobs)

    def feed(self, data: bytes) -> list[bytes]:
        return [sent for event in self._reader.events(data) if (sent := self._take(event))]

    def end(self) -> bytes:
        last = b"".join(taken_at_end(self._take, self._reader.close()))
        # Audio servers and some others send only `[DONE]`.
        if self.assembly.finish_reason is None and not (self.done and self.begun):
            if (stated := error_text(encode(self._odd))) and not self.begun:
                raise StatedError(stated, self._odd)
            raise Unreadable("cut: the stream ended without a finish reason")
        remainder = self.assembly.flush()
        if remainder:
            last += self._encoder.take(Chunk(b"", {}, [], remainder))
        return last + self._encoder.end(self)

    def delta(self, choice: Tree) -> Tree:
        """The delta of a choice."""
        return tree(choice.get("delta")) or tree(choice.get("message"))

    def _take(self, event: Event) -> bytes:
        """Add an event; returns the client's events for it."""
        if event.data == b"[DONE]" or self.done:
            self.done = True
            return b""
        chunk = self._read(event)
        return self._encoder.take(chunk) if chunk is not None else self._encoder.keep_alive if self.begun else b""

    def _read(self, event: Event) -> Chunk | None:
        """None for pings, comments and others that are not chunks. Raises: Unreadable, also for an error event."""
        sent, data = _json_event(event)
        failure = error_in(sent, named=event.name == b"error")
        if failure is not None:
            raise StatedError(failure, sent)
        if not isinstance(sent, dict) or not ("choices" in sent or "usage" in sent):
            self._odd = tree(sent) or self._odd
            return None
        self._usage.add(sent.get("usage") or tree(sent.get("x_groq")).get("usage"))
        choices, pieces = trees(sent.get("choices")), []
        if not choices:
            self._odd = sent
        for choice in choices:
            delta = self.delta(choice)
            self.begun = self.begun or is_content(delta)
            # Moonshot counts the tokens of a stream in its last choice.
            self._usage.add(choice.get("usage"))
            # Other choices (n > 1) are billed in usage; the log keeps only the first.
            if not index(choice.get("index")):
                pieces += self.assembly.add(delta)
                self.assembly.end(choice)
                logprobs = tree(choice.get("logprobs")).get("content")
                if isinstance(logprobs, list):
                    self._logprobs += logprobs
        return Chunk(data, sent, choices, pieces)


def _json_event(event: Event) -> tuple[Any, bytes]:
    """Decoded data of an event; None, or an error's message, for data that does not look like JSON."""
    if not event.data:
        return None, b""
    try:
        return read_json(event.data)
    except NotJson:
        if event.name == b"error":
            return event.data.decode("utf-8", "replace"), b""
        if event.data[:1] in b"{[":
            raise Unreadable("an event of the stream is not JSON") from None
        return None, b""


class Events:
    """Forwards chunks unchanged, and holds back the last event, `DONE`."""

    keep_alive = KEEP_ALIVE

    def __init__(self, *, strip: bool, usage: bool) -> None:
        """`strip`: remove log-probabilities; `usage`: the client requested the chunk with usage."""
        self._strip = strip
        self._usage = usage
        self._last: Tree = {}

    def take(self, chunk: Chunk) -> bytes:
        self._last = chunk.tree
        if not chunk.choices:
            if chunk.tree.get("usage") is not None and not self._usage:
                return b""
            if chunk.tree.get("choices") is None:
                # Clients iterate over the list, so it stays.
                return event(encode(chunk.tree | {"choices": []}))
        return event(without_logprobs(chunk.tree) if self._strip else chunk.data)

    def end(self, stream: ChatStream) -> bytes:
        if stream.finish_reason is not None:
            return DONE
        # Clients wait for the reason, which some servers forget.
        reason = "tool_calls" if stream.assembly.tool_calls.calls else "stop"
        choice = {"index": 0, "delta": {}, "finish_reason": reason}
        head = {key: self._last.get(key) for key in ("id", "object", "created", "model")}
        return event(encode(head | {"choices": [choice]})) + DONE


class _Collector:
    """Collects the fields of a completion that an assembly does not have."""

    keep_alive = b""

    def __init__(self) -> None:
        self.head: Tree = {}
        self.reasoning: list[str] = []

    def take(self, chunk: Chunk) -> bytes:
        self.head = self.head or {key: chunk.tree.get(key) for key in ("id", "created", "model")}
        self.reasoning += [piece.text for piece in chunk.pieces if piece.kind == "reasoning"]
        return b""

    def end(self, stream: ChatStream) -> bytes:
        del stream
        return b""


def chunks_of(body: bytes, *, usage: bool) -> list[Tree]:
    """The chunks of a complete answer. `usage`: with a last one that states it."""
    completion, _ = completion_of(body)
    head = {key: completion.get(key) for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    chunks: list[Tree] = []
    for choice in trees(completion["choices"]):
        message = tree(choice.get("message"))
        delta = {key: value for key, value in message.items() if value is not None and key != "tool_calls"}
        if trees(message.get("tool_calls")):
            delta["tool_calls"] = [{"index": n} | call for n, call in enumerate(trees(message["tool_calls"]))]
        position = {"index": choice.get("index", 0)}
        chunks.append(
            head | {"choices": [position | {"delta": delta, "logprobs": choice.get("logprobs"), "finish_reason": None}]}
        )
        chunks.append(head | {"choices": [position | {"delta": {}, "finish_reason": choice.get("finish_reason")}]})
    if usage and completion.get("usage") is not None:
        chunks.append(head | {"choices": [], "usage": completion["usage"]})
    return chunks


def as_stream(body: bytes, *, usage: bool) -> bytes:
    """A complete answer as the events of a stream."""
    return b"".join(event(encode(chunk)) for chunk in chunks_of(body, usage=usage)) + DONE


def error(status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """The error body; the status is in the status line only."""
    del status
    return encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def error_of(status: int, body: bytes, code: str | None = None) -> bytes | None:
    """An endpoint's error in this protocol; if it is in this protocol already, only a known code replaces its own."""
    tree = json_or(body)
    stated = tree.get("error") if isinstance(tree, dict) else None
    if not isinstance(stated, dict):
        return None
    if tree.get("type") == "error":
        return error(status, str(stated.get("message")), str(stated.get("type")), code)
    return body if code is None else encode(tree | {"error": stated | {"code": code}})


def error_event(body: bytes, request: ChatRequest) -> bytes:
    del request
    return event(body)
