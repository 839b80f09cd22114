"""OpenAI's text completions and embeddings: forwarded unchanged between clients and endpoints of that protocol.

For rules and log, the prompt (or the input of an embedding) is a user message; lists of token ids are kept as JSON.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from router.request import BadRequest, Body, ChatRequest, chat_request, decode_tree
from router.target import Target
from router.wire import openai
from router.wire.chat import Assembly
from router.wire.errors import error_in
from router.wire.openai import ChatStream
from router.wire.protocol import Answer, Unreadable
from router.wire.sse import DONE, event
from traffic.loose_json import NotJson, Tree, read_json, tree, trees
from traffic.record import Output
from traffic.usage import usage_of

_INPUTS = {"completions": "prompt", "embeddings": "input"}
_BODY_KEYS = frozenset({"model", "max_tokens", "temperature", "stream", "stream_options", "n", "metadata", "user"})


class Passed:
    """One of the two protocols, for clients and for endpoints."""

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
        input_key = _INPUTS[self._dialect]
        try:
            native = decode_tree(data)
            fields = {key: msgspec.json.decode(native[key]) for key in _BODY_KEYS & native.keys()}
            value = msgspec.json.decode(native[input_key])
            body = msgspec.convert({"messages": _messages(value), **fields}, Body)
        except KeyError:
            raise BadRequest(f"`{input_key}` is missing") from None
        except msgspec.ValidationError as error:
            raise BadRequest(f"not a request for {self._dialect}: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"the body is not valid JSON: {error}") from None
        if not body.messages:
            raise BadRequest(f"`{input_key}` is empty")
        tree = {"messages": msgspec.Raw(msgspec.json.encode(_messages(value)))} | native
        del tree[input_key]
        request = chat_request(body, tree, body.metadata or {}, headers)
        return msgspec.structs.replace(request, dialect=self._dialect, native=native)

    def payload(self, request: ChatRequest, target: Target, *, stream: bool) -> bytes:
        body: dict[str, Any] = dict(request.native)
        if target.model is not None:
            body["model"] = target.model
        # The router's tags; neither protocol has metadata.
        body.pop("metadata", None)
        cap = target.max_tokens
        if self._dialect == "completions" and cap is not None and (request.cap is None or request.cap > cap):
            body["max_tokens"] = cap
        if stream:
            body["stream_options"] = tree(request.value("stream_options")) | {"include_usage": True}
        return msgspec.json.encode(body)

    def read(self, body: bytes, request: ChatRequest, target: Target) -> Answer:
        """Raises: Unreadable."""
        del request, target
        if self._dialect == "completions":
            completion, body = openai.completion_of(body)
            first = trees(completion["choices"])[0]
            assembly = Assembly()
            assembly.add({"content": first.get("text")})
            assembly.end(first)
            return Answer(assembly.output, usage_of(completion.get("usage")), body)
        try:
            answer, body = read_json(body)
        except NotJson:
            raise Unreadable("the body is not JSON") from None
        failure = error_in(answer)
        if failure is not None:
            raise Unreadable(f"error: {failure}")
        if not isinstance(answer, dict) or not answer.get("data"):
            raise Unreadable("the answer has no embeddings")
        return Answer(Output(finish_reason="stop"), usage_of(answer.get("usage")), body)

    def stream(self, request: ChatRequest, target: Target) -> ChatStream:
        del target
        return _TextStream(openai.Events(strip=False, usage=request.wants_usage))

    def as_stream(self, body: bytes, *, usage: bool) -> bytes:
        """A complete text completion has the form of a chunk."""
        del usage
        return event(body) + DONE


class _TextStream(ChatStream):
    def delta(self, choice: Tree) -> Tree:
        return {"content": choice.get("text")}


def _messages(value: Any) -> list[dict[str, str]]:
    """Texts as user messages; lists of token ids become one message of JSON."""
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return [{"role": "user", "content": text} for text in value]
    if not value:
        return []
    return [{"role": "user", "content": value if isinstance(value, str) else msgspec.json.encode(value).decode()}]


COMPLETIONS = Passed("completions")
EMBEDDINGS = Passed("embeddings")
