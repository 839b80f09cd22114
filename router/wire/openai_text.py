"""OpenAI's text completions and embeddings: passed as they are between clients and endpoints of that protocol.

For the rules and the log the prompt, or what is to be embedded, is a user message; lists of token ids stay JSON.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from router.request import BadRequest, Body, ChatRequest, decode_tree, made
from router.target import Target
from router.wire import openai
from router.wire.openai import ChatStream, Chunk, ChunkChoice, Delta, UsageSent
from router.wire.protocol import Answer, Unreadable
from traffic.record import Output

_INPUTS = {"completions": "prompt", "embeddings": "input"}
_BODY_KEYS = frozenset({"model", "max_tokens", "temperature", "stream", "stream_options", "n", "metadata", "user"})


class TextChoice(msgspec.Struct, frozen=True):
    text: str = ""
    index: int = 0
    finish_reason: str | None = None


class TextCompletion(msgspec.Struct, frozen=True):
    """A text completion in one piece, or a chunk of one."""

    choices: list[TextChoice]
    usage: UsageSent | None = None
    error: Any = None


class Embeddings(msgspec.Struct, frozen=True):
    data: msgspec.Raw
    usage: UsageSent | None = None


_decode_text = msgspec.json.Decoder(TextCompletion).decode
_decode_embeddings = msgspec.json.Decoder(Embeddings).decode


class Passed:
    """One of the two, for clients and for endpoints."""

    def __init__(self, dialect: Literal["completions", "embeddings"]) -> None:
        self._dialect = dialect
        self.headers = openai.headers
        self.error = openai.error
        self.error_of = openai.error_of
        self.error_event = openai.error_event

    def path(self, base_url: str) -> str:
        del base_url
        return f"/{self._dialect}"

    def parse(self, data: bytes, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """Raises: BadRequest."""
        asked = _INPUTS[self._dialect]
        try:
            native = decode_tree(data)
            fields = {key: msgspec.json.decode(native[key]) for key in _BODY_KEYS & native.keys()}
            given = msgspec.json.decode(native[asked])
            body = msgspec.convert({"messages": _messages(given), **fields}, Body)
        except KeyError:
            raise BadRequest(f"`{asked}` is missing") from None
        except msgspec.ValidationError as error:
            raise BadRequest(f"not a request for {self._dialect}: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None
        if not body.messages:
            raise BadRequest(f"`{asked}` is empty")
        tree = {"messages": msgspec.Raw(msgspec.json.encode(_messages(given)))} | native
        del tree[asked]
        return made(body, tree, body.metadata or {}, headers, dialect=self._dialect, native=native)

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        body: dict[str, Any] = dict(request.native)
        if target.model is not None:
            body["model"] = target.model
        # Our tags; neither of the two has metadata.
        body.pop("metadata", None)
        for name in target.endpoint.leave_out:
            body.pop(name, None)
        cap = target.max_tokens
        if self._dialect == "completions" and cap is not None and (request.cap is None or request.cap > cap):
            body["max_tokens"] = cap
        if stream:
            options = msgspec.json.decode(body["stream_options"]) if "stream_options" in body else None
            body["stream_options"] = (options or {}) | {"include_usage": True}
        return msgspec.json.encode(body)

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        del request, target
        usage: UsageSent | None
        try:
            if self._dialect == "embeddings":
                usage, output = _decode_embeddings(body).usage, Output(finish_reason="stop")
            else:
                text = _decode_text(body)
                usage, output = text.usage, Output(text.choices[0].text, None, text.choices[0].finish_reason)
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
            raise Unreadable(f"the body is no answer of {self._dialect}") from None
        return Answer(output, usage.normalised() if usage is not None else None, body)

    def stream(self, request: ChatRequest, target: Target) -> ChatStream:
        del target
        return _TextStream(openai.Events(strip=False), usage=request.wants_usage)

    def as_stream(self, body: bytes, *, usage: bool) -> bytes:
        """A whole answer is never judged here, and so never streamed afterwards."""
        raise NotImplementedError


class _TextStream(ChatStream):
    def decode(self, sent: bytes) -> Chunk:
        text = _decode_text(sent)
        choices = [ChunkChoice(Delta(choice.text), choice.index, choice.finish_reason) for choice in text.choices]
        return Chunk(choices, text.usage, text.error)


def _messages(given: Any) -> list[dict[str, str]]:
    """Texts as user messages; a list of token ids, or of lists of them, is one."""
    if isinstance(given, list) and given and all(isinstance(text, str) for text in given):
        return [{"role": "user", "content": text} for text in given]
    if not given:
        return []
    return [{"role": "user", "content": given if isinstance(given, str) else msgspec.json.encode(given).decode()}]


COMPLETIONS = Passed("completions")
EMBEDDINGS = Passed("embeddings")
