"""Bodies of OpenAI's chat completions, which LiteLLM logs too: request parameters, answer, usage."""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.formats.format import Unreadable
from pipeline.ingest.values import Count
from traffic.record import Output, Params, Usage


class _PromptDetails(msgspec.Struct):
    cached_tokens: Count | None = None
    cache_creation_tokens: Count | None = None


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: Count | None = None


class ChatUsage(msgspec.Struct):
    """`usage` as OpenAI defines it, with the two counts that Anthropic's models add behind a gateway."""

    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    cache_read_input_tokens: Count | None = None
    cache_creation_input_tokens: Count | None = None

    def counted_once(self) -> Usage | None:
        """`prompt_tokens` holds the cached ones; the record counts each token once. None without counts."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        prompt, details = self.prompt_tokens or 0, self.prompt_tokens_details or _PromptDetails()
        read = min(prompt, details.cached_tokens or self.cache_read_input_tokens or 0)
        write = min(prompt - read, details.cache_creation_tokens or self.cache_creation_input_tokens or 0)
        return Usage(
            input_uncached=prompt - read - write,
            cache_read=read,
            cache_write=write,
            output=self.completion_tokens or 0,
            reasoning=(self.completion_tokens_details or _CompletionDetails()).reasoning_tokens or 0,
        )


class _Message(msgspec.Struct):
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    refusal: str | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class ChatResponse(msgspec.Struct):
    """A chat completion, or the error that came instead."""

    id: str | None = None
    model: str | None = None
    choices: list[_Choice] = []
    usage: ChatUsage | None = None
    error: _Error | str | None = None

    def output(self) -> Output:
        """The first choice; further ones (`n` > 1) are not read."""
        if not self.choices:
            return Output()
        choice = self.choices[0]
        message = choice.message or _Message()
        content = message.content if message.content is not None else message.refusal
        if isinstance(content, list):
            content = "".join(str(part.get("text") or "") for part in content)
        return Output(text=content, tool_calls=message.tool_calls or None, finish_reason=choice.finish_reason)

    def error_text(self) -> str | None:
        """`type: message` of an error body."""
        if self.error is None or isinstance(self.error, str):
            return self.error
        return ": ".join(part for part in (self.error.type, self.error.message) if part) or "error"


_decode_response = msgspec.json.Decoder(ChatResponse | None).decode
_decode_messages = msgspec.json.Decoder(list[msgspec.Raw]).decode

_TAKEN = frozenset({"max_tokens", "max_completion_tokens", "temperature", "stream", "tools", "response_format"})


class _Typed(msgspec.Struct):
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    temperature: float | None = None
    stream: bool | None = None
    tools: list[dict[str, Any]] | None = None
    response_format: dict[str, Any] | None = None


class RequestParts(msgspec.Struct):
    """Parameters of a request, sorted into where the record keeps them."""

    params: Params
    tools: list[dict[str, Any]] | None
    response_format: dict[str, Any] | None


def request_parts(parameters: Mapping[str, Any], *, stream: bool | None = None) -> RequestParts:
    """From a decoded parameter object. Raises: msgspec.ValidationError."""
    typed = msgspec.convert({key: value for key, value in parameters.items() if key in _TAKEN}, _Typed)
    other = {key: value for key, value in parameters.items() if key not in _TAKEN and value is not None}
    cap = typed.max_completion_tokens if typed.max_tokens is None else typed.max_tokens
    streams = bool(typed.stream if stream is None else stream)
    params = Params(max_tokens=cap, temperature=typed.temperature, stream=streams, other=other)
    return RequestParts(params, typed.tools or None, typed.response_format)


def response(raw: msgspec.Raw) -> ChatResponse | None:
    """The answer's body; None for null. Raises: msgspec.ValidationError, msgspec.DecodeError."""
    answer: ChatResponse | None = _decode_response(raw)
    return answer


def check_messages(raw: msgspec.Raw) -> msgspec.Raw:
    """A copy that does not keep the whole line alive. Raises: Unreadable if it is no list with something in it."""
    try:
        if not _decode_messages(raw):
            raise Unreadable("not_chat", "the list of messages is empty")
    except msgspec.ValidationError as error:
        raise Unreadable("wrong_types", f"messages: {error}") from None
    return msgspec.Raw(bytes(raw))


def id_of(line: bytes) -> str:
    """An id for a line that has none: the same line gives the same id, so that it is not read in twice."""
    return f"line-{hashlib.blake2b(line.strip(), digest_size=16).hexdigest()}"
