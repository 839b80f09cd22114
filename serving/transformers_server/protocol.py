"""The supported requests of OpenAI's API, with vLLM's extensions.

Unknown fields are ignored, as in vLLM. Unsupported fields that would change the answer are refused by name.
"""

import json
from typing import Any

import msgspec

from serving.openai_http import Message, StreamOptions, check_logprobs
from serving.transformers_server.engine import Sampling
from serving.transformers_server.grammar import Constraint
from traffic.errors import InputError


class JsonSchema(msgspec.Struct):
    """`response_format.json_schema`."""

    schema: dict[str, Any] = {}


class ResponseFormat(msgspec.Struct):
    """`response_format`."""

    type: str = "text"
    json_schema: JsonSchema | None = None


class StructuredOutputs(msgspec.Struct):
    """vLLM's `structured_outputs`."""

    choice: list[str] | None = None
    json: dict[str, Any] | str | None = None
    json_object: bool | None = None
    regex: str | None = None
    grammar: str | None = None


class CommonRequest(msgspec.Struct, kw_only=True):
    """Fields of both kinds of completions."""

    model: str
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    n: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    ignore_eos: bool = False
    response_format: ResponseFormat | None = None
    structured_outputs: StructuredOutputs | None = None
    return_token_ids: bool = False
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end the answer and are not part of it."""
        stops = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(text for text in stops if text)

    def refuse(self) -> None:
        """Raises: InputError for unsupported parameters."""
        if (self.n or 1) != 1:
            raise InputError("n: this server gives one answer per request")
        for name in ("presence_penalty", "frequency_penalty", "logit_bias"):
            if getattr(self, name):
                raise InputError(f"{name}: not supported by this server")
        if self.repetition_penalty not in (None, 1.0):
            raise InputError("repetition_penalty: not supported by this server")
        if self.temperature is not None and self.temperature < 0:
            raise InputError(f"temperature: must be at least 0, not {self.temperature:g}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise InputError(f"top_p: must be in (0, 1], not {self.top_p:g}")

    def sampling(self, room: int, *, logprobs: int | None, prompt_logprobs: bool = False) -> Sampling:
        """Sampling parameters. `room`: context size minus prompt tokens. Raises: InputError."""
        self.refuse()
        max_tokens = self.max_tokens if self.max_tokens is not None else room
        if room < 1 or max_tokens > room:
            raise InputError(f"max_tokens: {max_tokens}, but the prompt leaves room for {max(0, room)} tokens")
        if max_tokens < 1:
            raise InputError(f"max_tokens: must be at least 1, not {max_tokens}")
        check_logprobs(logprobs)
        return Sampling(
            max_tokens=max_tokens,
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=1.0 if self.top_p is None else self.top_p,
            # vLLM's -1 and 0 both mean all.
            top_k=max(0, self.top_k or 0),
            seed=self.seed,
            ignore_eos=self.ignore_eos,
            constraint=self.constraint(),
            logprobs=logprobs,
            prompt_logprobs=prompt_logprobs,
        )

    def constraint(self) -> Constraint | None:
        """Constraint on the form of the answer. Raises: InputError."""
        structured = self.structured_outputs
        if structured is not None:
            if structured.choice is not None:
                if not structured.choice:
                    raise InputError("structured_outputs.choice: must not be empty")
                return "choice", json.dumps(structured.choice)
            if structured.json is not None:
                return "json_schema", structured.json if isinstance(structured.json, str) else json.dumps(
                    structured.json
                )
            if structured.regex is not None:
                return "regex", structured.regex
            if structured.grammar is not None:
                return "grammar", structured.grammar
            if structured.json_object:
                return "json_object", ""
        answer = self.response_format
        if answer is None or answer.type == "text":
            return None
        if answer.type == "json_object":
            return "json_object", ""
        if answer.type == "json_schema" and answer.json_schema is not None:
            return "json_schema", json.dumps(answer.json_schema.schema)
        raise InputError(f"response_format: {answer.type!r} is not supported by this server")


class ChatRequest(CommonRequest, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: list[Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[Any] | None = None

    def __post_init__(self) -> None:
        if self.max_completion_tokens is not None:
            self.max_tokens = self.max_completion_tokens

    def refuse(self) -> None:
        """Raises: InputError for unsupported parameters."""
        super().refuse()
        if self.tools:
            raise InputError("tools: not supported by this server")

    @property
    def alternatives(self) -> int | None:
        """Number of alternatives per token; None: no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


class TextRequest(CommonRequest, kw_only=True):
    """`POST /v1/completions`."""

    prompt: str | list[int]
    prompt_logprobs: int | None = None


class TokenizeRequest(msgspec.Struct, kw_only=True):
    """`POST /tokenize` of vLLM."""

    model: str | None = None
    messages: list[Message] | None = None
    prompt: str | None = None
