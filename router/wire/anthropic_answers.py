"""Converts chat completions to Anthropic messages, for Anthropic clients of OpenAI endpoints.

Requests are converted when they are parsed (`anthropic_requests`). In a stream one block is open at a time; pieces of
other blocks are queued until it is complete.
"""

import secrets

from router.request import ChatRequest
from router.target import Target
from router.wire import openai, openai_limits
from router.wire.anthropic import PING
from router.wire.call_ids import safe_id, with_signature
from router.wire.chat import TOOL_CALL, Assembly, Piece
from router.wire.media import media_of
from router.wire.openai import ChatStream, Chunk
from router.wire.protocol import Answer
from router.wire.sse import named_event
from router.wire.thinking import UNSIGNED
from traffic.loose_json import Tree, encode, is_object, text, tree, trees
from traffic.record import Output, Usage
from traffic.tool_calls import EMPTY, ToolCall, arguments_tree
from traffic.usage import usage_of

STOP_REASONS = {
    "length": "max_tokens",
    "content_filter": "refusal",
    "stop_sequence": "stop_sequence",
}
"""For other finish reasons the blocks decide: `tool_use` if there is a tool call, else `end_turn`."""

_NO_OUTPUT = Output()

path = openai.path
headers = openai.headers


def payload(request: ChatRequest, target: Target, *, stream: bool) -> bytes:
    return openai.payload(openai_limits.fitted(request, target), target, stream=stream)


def usage_tree(usage: Usage) -> Tree:
    """Token counts in Anthropic's convention, cached tokens not included in the input."""
    stated: Tree = {
        "input_tokens": usage.input_uncached,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
    }
    if usage.web_searches:
        stated["server_tool_use"] = {"web_search_requests": usage.web_searches}
    return stated


def stopped(answer: Assembly) -> Tree:
    """`stop_reason` and `stop_sequence` of an answer."""
    reason = STOP_REASONS.get(answer.finish_reason or "")
    if answer.refused and not answer.tool_calls.calls:
        reason = "refusal"
    if reason is None and answer.tool_calls.calls:
        reason = "tool_use"
    elif reason is None:
        reason = "stop_sequence" if answer.stop_sequence else "end_turn"
    return {"stop_reason": reason, "stop_sequence": answer.stop_sequence if reason == "stop_sequence" else None}


def _message(request: ChatRequest, model: str) -> Tree:
    return {
        "id": f"msg_{secrets.token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model or request.body.model or "",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def read(body: bytes, request: ChatRequest, target: Target) -> Answer:
    """Raises: Unreadable."""
    answer = openai.read(body, request, target)
    completion, _ = openai.completion_of(body)
    choice = trees(completion["choices"])[0]
    assembly = Assembly(openai_limits.applied_stops(request, target))
    pieces = assembly.add(tree(choice.get("message")) or tree(choice.get("delta")), whole=True)
    assembly.end(choice)
    pieces += assembly.flush()
    names = openai_limits.original_names(request, target)
    content = _content(pieces, names)
    message = _message(request, text(completion.get("model"))) | {"content": content} | stopped(assembly)
    message["usage"] = usage_tree(usage_of(completion.get("usage")) or request.estimated_usage(assembly.output))
    return Answer(assembly.output, answer.usage, encode(message), answer.signals)


def _content(pieces: list[Piece], names: dict[str, str]) -> list[Tree]:
    """Blocks in Anthropic's order; a citation is attached to the text before it."""
    content: list[Tree] = []
    for piece in sorted(pieces, key=_in_order):
        if piece.citation is None:
            content.append(_block(piece, names))
        elif content and content[-1]["type"] == "text":
            content[-1].setdefault("citations", []).append(piece.citation.as_citation())
    return content


def _in_order(piece: Piece) -> int:
    """Sort key: thinking first, tool calls last."""
    return {"reasoning": 0, "block": 0, TOOL_CALL: 2}.get(piece.kind, 1)


def _block(piece: Piece, names: dict[str, str]) -> Tree:
    if piece.call is not None:
        return _tool_use(piece.call, names) | {"input": arguments_tree(piece.call.arguments)}
    if piece.kind == "block":
        return piece.block
    if piece.kind == "image":
        return _image(piece.text)
    if piece.kind == "reasoning":
        return {"type": "thinking", "thinking": piece.text, "signature": piece.signature or UNSIGNED}
    return {"type": "text", "text": piece.text}


def _image(url: str) -> Tree:
    """An image block as in requests, since Anthropic's own answers contain no images."""
    media = media_of(url)
    if media is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    return {"type": "image", "source": {"type": "base64", "media_type": media.kind, "data": media.data}}


def _tool_use(call: ToolCall, names: dict[str, str]) -> Tree:
    identity = safe_id(with_signature(call))
    return {"type": "tool_use", "id": identity, "name": names.get(call.name, call.name), "input": {}}


class _Block:
    """A block of the stream, queued or open."""

    def __init__(self, kind: str, call: ToolCall | None) -> None:
        self.kind = kind
        self.call = call
        self.opened = False
        self.waiting: list[Piece] = []
        self.signature = ""
        self.arguments = ""
        """Arguments of the call up to now: the call itself may already have those of later pieces."""
        self._checked = 0, False
        """Length of the arguments when they were last checked, and whether they were complete."""

    @property
    def complete(self) -> bool:
        """Whether the block can be closed: a tool call is complete when its arguments are complete JSON."""
        if self.call is None or self.is_held_back:
            return True
        if self._checked[0] != len(self.arguments):
            self._checked = len(self.arguments), is_object(self.arguments)
        return self._checked[1]

    @property
    def is_held_back(self) -> bool:
        """Whether the arguments up to now are an empty object that was not sent."""
        return self.call is not None and self.call.held_back and not self.arguments


class Events:
    """Encodes chat completion chunks as events of a message; holds back the last events, which contain the usage."""

    keep_alive = PING

    def __init__(self, request: ChatRequest, names: dict[str, str]) -> None:
        """`names`: the client's tool names by the names sent to the endpoint."""
        self._request = request
        self._names = names
        self._begun = False
        self._index = -1
        """Index of the open block."""
        self._calls: dict[int, _Block] = {}
        """Blocks of tool calls that are not closed, by the call's position."""
        self._blocks: list[_Block] = []
        """The open block, then the queued ones."""

    def take(self, chunk: Chunk) -> bytes:
        events: list[Tree] = []
        if not self._begun:
            events.append(self._start(text(chunk.tree.get("model"))))
        for piece in chunk.pieces:
            events += self._add(piece)
        return _joined(events)

    def end(self, stream: ChatStream) -> bytes:
        events = [] if self._begun else [self._start("")]
        while self._blocks:
            events += self._close()
        usage = usage_tree(stream.usage or self._request.estimated_usage(stream.output))
        events.append({"type": "message_delta", "delta": stopped(stream.assembly), "usage": usage})
        return _joined([*events, {"type": "message_stop"}])

    def _start(self, model: str) -> Tree:
        self._begun = True
        # The endpoint states the real numbers at the end.
        usage = usage_tree(self._request.estimated_usage(_NO_OUTPUT)) | {"output_tokens": 1}
        return {"type": "message_start", "message": _message(self._request, model) | {"usage": usage}}

    def _add(self, piece: Piece) -> list[Tree]:
        kind = "text" if piece.kind in ("refusal", "citation") else piece.kind
        block = self._calls.get(piece.call.position) if piece.call is not None else None
        if (
            block is None
            and piece.call is None
            and kind not in _COMPLETE_KINDS
            and self._blocks
            and self._blocks[-1].kind == kind
        ):
            block = self._blocks[-1]
        if block is None:
            block = _Block(kind, piece.call)
            self._blocks.append(block)
            if piece.call is not None:
                self._calls[piece.call.position] = block
        block.signature = piece.signature or block.signature
        block.waiting.append(piece)
        if piece.call is not None:
            block.arguments += piece.text
        events: list[Tree] = []
        while len(self._blocks) > 1 and self._blocks[0].complete:
            events += self._close()
        # The name of a tool call may arrive after its id.
        if self._blocks[0].opened or self._blocks[0].call is None or self._blocks[0].call.name:
            events += self._written()
        return events

    def _written(self) -> list[Tree]:
        """Events for the first block's new content; opens the block if necessary."""
        block, events = self._blocks[0], []
        if not block.opened:
            block.opened = True
            self._index += 1
            opened: Tree = {"type": "text", "text": ""}
            if block.call is not None:
                opened = _tool_use(block.call, self._names)
            elif block.kind in _COMPLETE_KINDS:
                opened = _block(block.waiting[0], self._names)
            elif block.kind == "reasoning":
                opened = {"type": "thinking", "thinking": "", "signature": ""}
            events.append({"type": "content_block_start", "index": self._index, "content_block": opened})
        kind, key = _DELTAS.get(block.kind, ("", ""))
        for piece in block.waiting:
            if piece.citation is not None:
                events.append(self._delta({"type": "citations_delta", "citation": piece.citation.as_citation()}))
            elif piece.text and kind:
                events.append(self._delta({"type": kind, key: piece.text}))
        block.waiting = []
        return events

    def _close(self) -> list[Tree]:
        """Close the first block."""
        events = self._written()
        block = self._blocks.pop(0)
        if block.call is not None:
            del self._calls[block.call.position]
        if block.is_held_back:
            events.append(self._delta({"type": "input_json_delta", "partial_json": EMPTY}))
        if block.kind == "reasoning":
            events.append(self._delta({"type": "signature_delta", "signature": block.signature or UNSIGNED}))
        return [*events, {"type": "content_block_stop", "index": self._index}]

    def _delta(self, delta: Tree) -> Tree:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}


_COMPLETE_KINDS = ("block", "image")
"""Piece kinds that form one block each."""
_DELTAS = {
    "text": ("text_delta", "text"),
    "reasoning": ("thinking_delta", "thinking"),
    TOOL_CALL: ("input_json_delta", "partial_json"),
}


def _joined(events: list[Tree]) -> bytes:
    return b"".join(named_event(event["type"], encode(event)) for event in events)


def stream(request: ChatRequest, target: Target) -> ChatStream:
    names, stops = openai_limits.original_names(request, target), openai_limits.applied_stops(request, target)
    return ChatStream(Events(request, names), stops)
