"""The canonical answer: a chat completion, in one piece or as a stream, as all parts of the router see it.

Servers differ in how they write content, tool calls, reasoning and ends; here each of these is read once, for the
request log and for translation into other protocols.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from router.wire.citations import Citation, from_annotations
from router.wire.endpoint_limits import StopCutter
from traffic.loose_json import Tree, text, tree, trees
from traffic.record import Output
from traffic.tool_calls import ToolCall, ToolCalls

TOOL_CALL = "tool_call"
_FINISHES = {
    **dict.fromkeys(("stop", "end", "eos", "end_turn", "eos_token"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens", "token_limit"), "length"),
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "sensitive", "recitation"), "content_filter"),
    **dict.fromkeys(("prohibited_content", "blocklist", "spii", "image_safety", "refusal"), "content_filter"),
    **dict.fromkeys(("guardrail_intervened", "moderation", "moderation_block"), "content_filter"),
    **dict.fromkeys(("tool_calls", "tool_use", "tool_call", "function_call"), "tool_calls"),
}
"""Finish reasons as servers of this protocol write them (Gemini in capitals, Mistral, Z.ai, ...), in OpenAI's words."""
_REASONING = frozenset({"reasoning_content", "reasoning", "reasoning_text", "reasoning_details", "thinking_blocks"})


class Piece(msgspec.Struct, frozen=True):
    """A piece of an answer, in the order in which it arrived."""

    kind: str
    """`text`, `reasoning`, `refusal`, `tool_call`, `image`, `citation` (of the text before it), or `block`: what only
    Anthropic has a word for (redacted thinking, server tools and their results)."""
    text: str = ""
    """More of the text, or of a tool call's arguments; an image's URL."""
    call: ToolCall | None = None
    """The tool call that the text belongs to."""
    signature: str = ""
    """Of reasoning: the provider's proof that it wrote it."""
    citation: Citation | None = None
    block: Tree = {}
    """As Anthropic wrote it."""


# ----------------------------------------------------------------------------------- messages and deltas


def content_pieces(content: Any) -> Iterable[Piece]:
    """`content` of a message or a delta: a text, or parts as some servers send them."""
    if isinstance(content, str):
        if content:
            yield Piece("text", content)
        return
    for part in trees(content):
        kind = part.get("type")
        if kind in ("thinking", "reasoning"):
            # Mistral's thinking is a list of texts.
            thinking = part.get("thinking", part.get("text"))
            if not isinstance(thinking, str):
                thinking = "".join(text(item.get("text")) for item in trees(thinking))
            if thinking:
                yield Piece("reasoning", thinking, signature=text(part.get("signature")))
        elif kind == "refusal":
            yield Piece("refusal", text(part.get("refusal")))
        elif text(part.get("text")):
            yield Piece("text", part["text"])


def reasoning_of(said: Tree) -> Piece | None:
    """Reasoning beside the content.

    `reasoning_content` (DeepSeek, vLLM, xAI), `reasoning` (OpenRouter, Groq), or LiteLLM's signed `thinking_blocks`.
    """
    if _REASONING.isdisjoint(said):
        return None
    signature = next((s for block in trees(said.get("thinking_blocks")) if (s := text(block.get("signature")))), "")
    for key in ("reasoning_content", "reasoning", "reasoning_text"):
        if text(said.get(key)):
            return Piece("reasoning", said[key], signature=signature)
    details = trees(said.get("reasoning_details"))
    found = "".join(text(item.get("text")) or text(item.get("summary")) for item in details)
    if not found:
        found = "".join(text(block.get("thinking")) for block in trees(said.get("thinking_blocks")))
    return Piece("reasoning", found, signature=signature) if found or signature else None


def _url(picture: Tree) -> str:
    """Of an image in an answer, as OpenRouter and others give Gemini's."""
    stated = picture.get("image_url")
    return text(stated) or text(tree(stated).get("url"))


def _says_anything(part: Tree) -> bool:
    """Some servers end every answer with what is left of a call: an empty name and no arguments."""
    function = tree(part.get("function")) or tree(part.get("custom"))
    return bool(part.get("id") or function.get("name") or function.get("arguments") or function.get("input"))


def is_content(delta: Tree) -> bool:
    """Whether a delta has any of the answer itself: the first one of a stream only opens the message."""
    return any(value for key, value in delta.items() if key != "role")


class Assembly:
    """What messages or deltas of one choice add up to."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """`stops`: sequences that end the answer and that its server was not told of."""
        self._cutter = StopCutter(stops) if stops else None
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        """Reasoning since the last signature."""
        self.tool_calls = ToolCalls()
        self.finish_reason: str | None = None
        self.stop_sequence: str | None = None
        """The stop sequence that ended the answer, where the server says which."""

    def add(self, said: Tree, *, whole: bool = False) -> list[Piece]:
        """A delta, or (`whole`) a message: its pieces in order."""
        pieces: list[Piece] = []
        reasoning = reasoning_of(said)
        if reasoning is not None:
            pieces.append(self._thought(reasoning))
        hidden = [block for block in trees(said.get("thinking_blocks")) if block.get("type") == "redacted_thinking"]
        pieces += [Piece("block", block=block) for block in hidden]
        pieces += content_pieces(said.get("content"))
        if spoken := text(tree(said.get("audio")).get("transcript")):
            pieces.append(Piece("text", spoken))
        if text(said.get("refusal")):
            pieces.append(Piece("refusal", said["refusal"]))
        pieces += [Piece("image", url) for picture in trees(said.get("images")) if (url := _url(picture))]
        if self._cutter is not None:
            pieces = list(self._cut(pieces, self._cutter))
        pieces += [Piece("citation", citation=found) for found in from_annotations(said.get("annotations"))]
        for piece in pieces:
            if piece.kind == "text":
                self._texts.append(piece.text)
            elif piece.kind == "refusal":
                self._refusals.append(piece.text)
        if self._cutter is not None and self._cutter.matched is not None:
            return pieces
        calls = trees(said.get("tool_calls"))
        deprecated = said.get("function_call")
        if isinstance(deprecated, dict):
            calls.append({"index": 0, "function": deprecated})
        for part in calls if self.tool_calls.calls else filter(_says_anything, calls):
            call, more = self.tool_calls.add(part, whole=whole)
            pieces.append(Piece(TOOL_CALL, more, call))
        return pieces

    def _thought(self, piece: Piece) -> Piece:
        """Reasoning without what was already said: its signature comes with the whole block."""
        if not piece.signature:
            self._thoughts.append(piece.text)
            return piece
        known = piece.text == "".join(self._thoughts)
        self._thoughts = []
        return Piece("reasoning", "", signature=piece.signature) if known else piece

    def end(self, choice: Tree) -> None:
        """Take the finish reason of a choice, where it has one."""
        reason = choice.get("finish_reason")
        if reason not in (None, ""):
            stated = reason if isinstance(reason, str) else str(reason)
            self.finish_reason = _FINISHES.get(stated.lower(), stated)
            # vLLM says here which stop string or token ended the answer.
            self.stop_sequence = text(choice.get("stop_reason")) or None

    def flush(self) -> list[Piece]:
        """What was held back as the possible beginning of a stop sequence, at the end of the answer."""
        if self._cutter is None:
            return []
        if self._cutter.matched is not None:
            self.finish_reason, self.stop_sequence = "stop", self._cutter.matched
        held = self._cutter.close()
        if not held:
            return []
        self._texts.append(held)
        return [Piece("text", held)]

    @staticmethod
    def _cut(pieces: Iterable[Piece], cutter: StopCutter) -> Iterable[Piece]:
        for piece in pieces:
            if cutter.matched is not None:
                return
            if piece.kind != "text":
                yield piece
            elif kept := cutter.feed(piece.text):
                yield Piece("text", kept)

    @property
    def refused(self) -> bool:
        return bool(self._refusals)

    @property
    def output(self) -> Output:
        said = "".join(self._texts) if self._texts else "".join(self._refusals)
        calls = self.tool_calls.as_trees()
        return Output(said if self._texts or self._refusals else None, calls or None, self.finish_reason)
