"""The canonical answer, complete or streamed: pieces of a chat completion, used by all parts of the router.

Servers write content, tool calls, reasoning and finish reasons in different ways. This module parses them all, for the
request log and for translation to other protocols.
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
FINISHES = {
    **dict.fromkeys(("stop", "end", "eos", "end_turn", "eos_token"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens", "token_limit"), "length"),
    "model_context_window_exceeded": "length",
    **dict.fromkeys(("content_filter", "content_filtered", "safety", "sensitive", "recitation"), "content_filter"),
    **dict.fromkeys(("prohibited_content", "blocklist", "spii", "image_safety", "refusal"), "content_filter"),
    **dict.fromkeys(("guardrail_intervened", "moderation", "moderation_block"), "content_filter"),
    **dict.fromkeys(("tool_calls", "tool_use", "tool_call", "function_call"), "tool_calls"),
}
"""OpenAI's finish reason by the spellings of other servers (Gemini in capitals, Mistral, Z.ai, ...)."""
_REASONING_TEXTS = ("reasoning_content", "reasoning", "reasoning_text", "thinking")
_REASONING = frozenset({*_REASONING_TEXTS, "reasoning_details", "thinking_blocks"})


class Piece(msgspec.Struct, frozen=True):
    """A piece of an answer, in order of arrival."""

    kind: str
    """`text`, `reasoning`, `refusal`, `tool_call`, `image`, `citation` (of the preceding text), or `block`: what only
    Anthropic has (redacted thinking, server tools and their results)."""
    text: str = ""
    """Additional text or tool-call arguments; for an image its URL."""
    call: ToolCall | None = None
    """The tool call whose arguments `text` continues."""
    signature: str = ""
    """For reasoning: the provider's signature."""
    citation: Citation | None = None
    block: Tree = {}
    """The original block of Anthropic's protocol."""


# ----------------------------------------------------------------------------------- messages and deltas


def content_pieces(content: Any) -> Iterable[Piece]:
    """Pieces of the `content` of a message or delta: a string, or the parts that some servers send."""
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


def reasoning_of(message: Tree) -> Piece | None:
    """Reasoning in a field other than `content`.

    `reasoning_content` (DeepSeek, vLLM, xAI), `reasoning` (OpenRouter, Groq), or LiteLLM's signed `thinking_blocks`.
    """
    if _REASONING.isdisjoint(message):
        return None
    signature = next((s for block in trees(message.get("thinking_blocks")) if (s := text(block.get("signature")))), "")
    for key in _REASONING_TEXTS:
        if text(message.get(key)):
            return Piece("reasoning", message[key], signature=signature)
    details = trees(message.get("reasoning_details"))
    reasoning = "".join(text(item.get("text")) or text(item.get("summary")) for item in details)
    if not reasoning:
        reasoning = "".join(text(block.get("thinking")) for block in trees(message.get("thinking_blocks")))
    return Piece("reasoning", reasoning, signature=signature) if reasoning or signature else None


def _url(picture: Tree) -> str:
    """URL of an image in an answer, in the format of OpenRouter and others for Gemini."""
    stated = picture.get("image_url")
    return text(stated) or text(tree(stated).get("url"))


def _says_anything(part: Tree) -> bool:
    """Whether a tool-call part has content: some servers end every answer with one of empty name and arguments."""
    function = tree(part.get("function")) or tree(part.get("custom"))
    return bool(part.get("id") or function.get("name") or function.get("arguments") or function.get("input"))


def is_content(delta: Tree) -> bool:
    """Whether a delta contains part of the answer; the first one of a stream only opens the message."""
    return any(value for key, value in delta.items() if key != "role")


class Assembly:
    """Accumulates the messages or deltas of one choice."""

    def __init__(self, stops: Sequence[str] = ()) -> None:
        """`stops`: stop sequences that were not sent to the server and are applied here."""
        self._cutter = StopCutter(stops) if stops else None
        self._texts: list[str] = []
        self._refusals: list[str] = []
        self._thoughts: list[str] = []
        """Reasoning since the last signature."""
        self.tool_calls = ToolCalls()
        self.finish_reason: str | None = None
        self.stop_sequence: str | None = None
        """The stop sequence that ended the answer, if the server states it."""

    def add(self, delta: Tree, *, whole: bool = False) -> list[Piece]:
        """Add a delta, or (`whole`) a message; returns its pieces in order."""
        pieces: list[Piece] = []
        reasoning = reasoning_of(delta)
        if reasoning is not None:
            pieces.append(self._thought(reasoning))
        hidden = [block for block in trees(delta.get("thinking_blocks")) if block.get("type") == "redacted_thinking"]
        pieces += [Piece("block", block=block) for block in hidden]
        pieces += content_pieces(delta.get("content"))
        if transcript := text(tree(delta.get("audio")).get("transcript")):
            pieces.append(Piece("text", transcript))
        if text(delta.get("refusal")):
            pieces.append(Piece("refusal", delta["refusal"]))
        pieces += [Piece("image", url) for picture in trees(delta.get("images")) if (url := _url(picture))]
        if self._cutter is not None:
            pieces = list(self._cut(pieces, self._cutter))
        pieces += [Piece("citation", citation=source) for source in from_annotations(delta.get("annotations"))]
        for piece in pieces:
            if piece.kind == "text":
                self._texts.append(piece.text)
            elif piece.kind == "refusal":
                self._refusals.append(piece.text)
        if self._cutter is not None and self._cutter.matched is not None:
            return pieces
        calls = trees(delta.get("tool_calls"))
        deprecated = delta.get("function_call")
        if isinstance(deprecated, dict):
            calls.append({"index": 0, "function": deprecated})
        for part in calls if self.tool_calls.calls else filter(_says_anything, calls):
            call, arguments = self.tool_calls.add(part, whole=whole)
            pieces.append(Piece(TOOL_CALL, arguments, call))
        return pieces

    def _thought(self, piece: Piece) -> Piece:
        """Reasoning without text that was already added: the signature arrives with the complete block."""
        if not piece.signature:
            self._thoughts.append(piece.text)
            return piece
        is_repeated = piece.text == "".join(self._thoughts)
        self._thoughts = []
        return Piece("reasoning", "", signature=piece.signature) if is_repeated else piece

    def end(self, choice: Tree) -> None:
        """Set the finish reason, if the choice has one."""
        reason = choice.get("finish_reason")
        if reason not in (None, ""):
            stated = reason if isinstance(reason, str) else str(reason)
            self.finish_reason = FINISHES.get(stated.lower(), stated)
            # vLLM and SGLang state the stop string or token that ended the answer.
            self.stop_sequence = text(choice.get("stop_reason")) or text(choice.get("matched_stop")) or None

    def flush(self) -> list[Piece]:
        """At the end of the answer: text that was held back as a possible beginning of a stop sequence."""
        if self._cutter is None:
            return []
        if self._cutter.matched is not None:
            self.finish_reason, self.stop_sequence = "stop", self._cutter.matched
        remainder = self._cutter.close()
        if not remainder:
            return []
        self._texts.append(remainder)
        return [Piece("text", remainder)]

    @staticmethod
    def _cut(pieces: Iterable[Piece], cutter: StopCutter) -> Iterable[Piece]:
        for piece in pieces:
            if cutter.matched is not None:
                return
            if piece.kind != "text":
                yield piece
            elif visible := cutter.feed(piece.text):
                yield Piece("text", visible)

    @property
    def refused(self) -> bool:
        return bool(self._refusals)

    @property
    def output(self) -> Output:
        answer_text = "".join(self._texts) if self._texts else "".join(self._refusals)
        calls = self.tool_calls.as_trees()
        return Output(answer_text if self._texts or self._refusals else None, calls or None, self.finish_reason)
