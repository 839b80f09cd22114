"""Converts Anthropic messages to chat completions, for OpenAI clients of Anthropic endpoints.

Thinking becomes `reasoning_content`, and `thinking_blocks` with the signatures that Anthropic requires in later turns.
"""

import time
from collections.abc import Iterable, Sequence

from router.request import ChatRequest
from router.target import Target
from router.wire import anthropic, chat_requests, custom_tools
from router.wire.anthropic import MessageStream, Read, message_of, output_of, pieces_of
from router.wire.chat import Piece
from router.wire.endpoint_limits import StopCutter
from router.wire.protocol import Answer
from router.wire.sse import DONE, KEEP_ALIVE
from router.wire.sse import event as chunk_event
from traffic.loose_json import Tree, encode, text, tree
from traffic.record import Output, Usage
from traffic.usage import usage_of

path = anthropic.path
payload = chat_requests.payload
headers = chat_requests.headers


def usage_tree(usage: Usage) -> Tree:
    """Token counts in OpenAI's convention: cached tokens are part of the prompt."""
    prompt = usage.input_total
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output,
        "total_tokens": prompt + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }


def _head(message: Tree, kind: str) -> Tree:
    return {
        "id": str(message.get("id") or ""),
        "object": kind,
        "created": int(time.time()),
        "model": message.get("model"),
    }


_OWN_WORDS = frozenset({"end_turn", "stop_sequence", "max_tokens", "tool_use", "refusal"})
"""Stop reasons that have an exact equivalent among OpenAI's finish reasons."""


def _native(stop_reason: object) -> Tree:
    """Fields with the original stop reason, if it is more specific than the finish reason."""
    if not isinstance(stop_reason, str) or stop_reason in _OWN_WORDS:
        return {}
    return {"native_finish_reason": stop_reason}


def _thinking_block(piece: Piece) -> Tree | None:
    """A thinking block as Anthropic requires it in later turns; None for other pieces."""
    if piece.kind == "reasoning":
        return {"type": "thinking", "thinking": piece.text, "signature": piece.signature}
    return piece.block if piece.block.get("type") == "redacted_thinking" else None


def _sources(pieces: Iterable[Piece]) -> Tree:
    """Sources of a text: OpenAI's `annotations`, and the original blocks in LiteLLM's field."""
    annotations, citations, blocks = list[Tree](), list[Tree](), list[Tree]()
    for piece in pieces:
        if piece.citation is not None:
            citations.append(piece.citation.as_citation())
            annotation = piece.citation.as_annotation()
            annotations += [] if annotation is None else [annotation]
        elif piece.block.get("type") != "redacted_thinking":
            blocks.append(piece.block)
    specific_fields = {key: value for key, value in (("citations", citations), ("server_tool_blocks", blocks)) if value}
    fields: Tree = {"annotations": annotations} if annotations else {}
    return fields | ({"provider_specific_fields": specific_fields} if specific_fields else {})


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    """Raises: Unreadable."""
    message, _ = message_of(body)
    names, stops = chat_requests.names_and_stops(request)
    pieces, matched = _cut(pieces_of(message), stops)
    output = output_of(pieces, "stop_sequence" if matched else message.get("stop_reason"))
    output = Output(output.text, _renamed(output.tool_calls, names), output.finish_reason)
    refusal = "".join(piece.text for piece in pieces if piece.kind == "refusal") or None
    reply: Tree = {"role": "assistant", "content": output.text, "refusal": refusal}
    reasoning = [piece.text for piece in pieces if piece.kind == "reasoning"]
    if reasoning:
        reply["reasoning_content"] = "".join(reasoning)
    thoughts = [block for piece in pieces if (block := _thinking_block(piece)) is not None]
    if thoughts:
        reply["thinking_blocks"] = thoughts
    reply |= _sources(piece for piece in pieces if piece.citation is not None or piece.kind == "block")
    finish_reason = output.finish_reason or "stop"
    if output.tool_calls and _uses_functions(request):
        reply["function_call"], finish_reason = output.tool_calls[0]["function"], "function_call"
    elif output.tool_calls:
        reply["tool_calls"] = _as_client_calls(output.tool_calls, _customs(request))
    choice = {"index": 0, "message": reply, "logprobs": None, "finish_reason": finish_reason}
    choice |= _native(message.get("stop_reason"))
    completion = _head(message, "chat.completion") | {"choices": [choice]}
    usage = usage_of(message.get("usage"))
    if usage is not None:
        completion["usage"] = usage_tree(usage)
    return Answer(output, usage, encode(completion))


def _uses_functions(request: ChatRequest) -> bool:
    """Whether the client uses the deprecated `functions` and expects no tool calls."""
    return bool(request.body.functions) and not request.body.tools


def _customs(request: ChatRequest) -> frozenset[str]:
    """Names of the client's custom tools, which were sent to the endpoint as functions."""
    return frozenset(filter(None, map(custom_tools.name_of, request.tools or ())))


def _as_client_calls(calls: list[Tree], customs: frozenset[str]) -> list[Tree]:
    return [custom_tools.as_custom_call(call) if call["function"]["name"] in customs else call for call in calls]


def _cut(pieces: list[Piece], stops: Sequence[str]) -> tuple[list[Piece], bool]:
    """The pieces up to a stop sequence that was not sent to the endpoint."""
    if not stops:
        return pieces, False
    cutter = StopCutter(stops)
    kept = [
        Piece("text", cutter.feed(piece.text)) if piece.kind == "text" else piece
        for piece in pieces
        if cutter.matched is None
    ]
    if remainder := cutter.close():
        kept.append(Piece("text", remainder))
    return kept, cutter.matched is not None


def _renamed(calls: list[Tree] | None, names: dict[str, str]) -> list[Tree] | None:
    """Tool calls with the client's tool names."""
    if not calls or not names:
        return calls
    functions = [tree(call.get("function")) for call in calls]
    return [
        call | {"function": function | {"name": names.get(text(function.get("name")), function.get("name"))}}
        for call, function in zip(calls, functions, strict=True)
    ]


class ChunkStream(MessageStream):
    """Encodes the events of a message as chat completion chunks."""

    keep_alive = KEEP_ALIVE

    def __init__(
        self,
        *,
        usage: bool,
        names: dict[str, str] | None = None,
        stops: Sequence[str] = (),
        function_call: bool = False,
        customs: frozenset[str] = frozenset(),
    ) -> None:
        """`function_call`: the client uses the deprecated `functions`."""
        super().__init__()
        self._function_call = function_call
        self._wants_usage = usage
        self._names = names or {}
        self._customs = customs
        self._cutter = StopCutter(stops) if stops else None
        self._kept: list[str] = []
        """The text before a stop sequence."""
        self._head: Tree = _head({}, "chat.completion.chunk")
        self._started: set[int] = set()
        self._thought: list[str] = []
        self._finished = False

    def encode(self, event: Read) -> bytes:
        deltas: list[Tree] = []
        if event.kind == "message_start":
            self._head = _head(tree(event.tree.get("message")), "chat.completion.chunk")
            deltas.append({"role": "assistant", "content": ""})
        deltas += [delta for piece in event.pieces for delta in self._deltas(piece)]
        sent = b"".join(self._chunk(delta) for delta in deltas)
        if event.kind == "message_delta" and self.stop_reason is not None and not self._finished:
            sent += self._finish()
        return sent

    def _deltas(self, piece: Piece) -> list[Tree]:
        if self._cutter is not None:
            if self._cutter.matched is not None:
                return []
            if piece.kind == "text":
                piece = Piece("text", self._cutter.feed(piece.text))
                self._kept.append(piece.text)
        if piece.call is not None:
            # The input of a custom tool can be decoded only when its call is complete.
            custom = self._names.get(piece.call.name, piece.call.name) in self._customs
            return [] if custom else [self._call(piece)]
        if piece.kind == "text":
            return [{"content": piece.text}] if piece.text else []
        if piece.kind == "refusal":
            return [{"refusal": piece.text}]
        if piece.kind in ("citation", "block"):
            thought = _thinking_block(piece)
            return [_sources([piece]) if thought is None else {"thinking_blocks": [thought]}]
        self._thought.append(piece.text)
        if piece.signature:
            block = {"type": "thinking", "thinking": "".join(self._thought), "signature": piece.signature}
            self._thought = []
            return [{"thinking_blocks": [block]}]
        return [{"reasoning_content": piece.text}]

    def _call(self, piece: Piece) -> Tree:
        call = piece.call
        assert call is not None
        part: Tree = {"index": call.position, "function": {"arguments": piece.text}}
        if call.position not in self._started:
            self._started.add(call.position)
            name = self._names.get(call.name, call.name)
            part |= {"id": call.id, "type": "function", "function": {"name": name, "arguments": piece.text}}
        if self._function_call:
            return {"function_call": part["function"]}
        return {"tool_calls": [part]}

    def _finish(self) -> bytes:
        """The text that was held back, and the finish reason."""
        self._finished = True
        remainder = self._cutter.close() if self._cutter is not None else ""
        if remainder:
            self._kept.append(remainder)
        reason = "stop" if self._cutter is not None and self._cutter.matched is not None else self.finish_reason
        if self._function_call and reason == "tool_calls":
            reason = "function_call"
        calls = self._custom_calls()
        sent = (self._chunk({"content": remainder}) if remainder else b"") + (
            self._chunk({"tool_calls": calls}) if calls else b""
        )
        return sent + self._chunk({}, reason or "stop")

    def _custom_calls(self) -> list[Tree]:
        if not self._customs:
            return []
        calls = enumerate(_as_client_calls(self.output.tool_calls or [], self._customs))
        return [{"index": position} | call for position, call in calls if call["type"] == "custom"]

    def _chunk(self, delta: Tree, reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        if reason is not None:
            choice |= _native(self.stop_reason)
        return chunk_event(encode(self._head | {"choices": [choice]}))

    @property
    def output(self) -> Output:
        base_output = super().output
        calls = _renamed(base_output.tool_calls, self._names)
        if self._cutter is None:
            return Output(base_output.text, calls, base_output.finish_reason)
        matched = self._cutter.matched is not None
        text = "".join(self._kept) or None
        return Output(text, None if matched else calls, "stop" if matched else base_output.finish_reason)

    def end(self) -> bytes:
        data = self.flush()
        if not self._finished:
            data += self._finish()
        if self._wants_usage and self.usage is not None:
            data += chunk_event(encode(self._head | {"choices": [], "usage": usage_tree(self.usage)}))
        return data + DONE


def stream(request: ChatRequest, target: Target) -> ChunkStream:
    names, stops = chat_requests.names_and_stops(request)
    old = _uses_functions(request)
    customs = _customs(request)
    return ChunkStream(usage=request.wants_usage, names=names, stops=stops, function_call=old, customs=customs)
