"""OpenAI's chat completions for classifiers.

An answer is one token whose alternatives are the other labels, so that confidence is computed as for other models.
Sampling parameters have no effect; parameters that would need another kind of answer are refused by name.
"""

import math
import time
import uuid
from typing import Any

import msgspec

from serving.openai_http import Message, StreamOptions, check_logprobs
from traffic import classifiers
from traffic.classifier_model import Answer
from traffic.errors import InputError

MAX_CHARACTERS = 200_000


class ChatRequest(msgspec.Struct, kw_only=True):
    """`POST /v1/chat/completions`."""

    model: str
    messages: list[Message]
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Any] | None = None

    @property
    def text(self) -> str:
        """The text to classify. Raises: InputError."""
        if (self.n or 1) != 1:
            raise InputError("n: a classifier gives one answer per request")
        if self.tools:
            raise InputError("tools: not supported by a classifier")
        if not self.messages:
            raise InputError("messages: must not be empty")
        check_logprobs(self.top_logprobs)
        text = classifiers.text_of(message.rendered() for message in self.messages)
        if len(text) > MAX_CHARACTERS:
            raise InputError(f"messages: {len(text):,} characters; a classifier takes {MAX_CHARACTERS:,}")
        return text


def completion(request: ChatRequest, answer: Answer, tokens: int) -> dict[str, Any]:
    """The body of a chat completion. `tokens`: estimated for the text."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text},
        "logprobs": _logprobs(request, answer),
        "finish_reason": "stop",
    }
    return _head("chat.completion", request.model) | {
        "choices": [choice],
        "usage": _usage(tokens),
        "fasttier": _extension(answer),
    }


def events(request: ChatRequest, answer: Answer, tokens: int) -> bytes:
    """A chat completion as server-sent events."""
    head = _head("chat.completion.chunk", request.model)
    delta = {"role": "assistant", "content": answer.text}
    first = {"index": 0, "delta": delta, "logprobs": _logprobs(request, answer), "finish_reason": None}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks: list[dict[str, Any]] = [
        head | {"choices": [first], "fasttier": _extension(answer)},
        head | {"choices": [last]},
    ]
    if request.stream_options is not None and request.stream_options.include_usage:
        chunks.append(head | {"choices": [], "usage": _usage(tokens)})
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


def _head(kind: str, model: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": tokens, "completion_tokens": 1, "total_tokens": tokens + 1}


def _extension(answer: Answer) -> dict[str, Any]:
    distance = None if answer.distance is None else round(answer.distance, 6)
    return {"unlike_training": answer.unlike_training, "distance": distance}


def _logprobs(request: ChatRequest, answer: Answer) -> dict[str, Any] | None:
    if not request.logprobs:
        return None
    every = [_token(answer.text, answer.logprob), *(_token(rival.text, rival.logprob) for rival in answer.rivals)]
    return {"content": [every[0] | {"top_logprobs": every[: request.top_logprobs or 0]}]}


def _token(text: str, logprob: float) -> dict[str, Any]:
    # Rounded down, so that the probability does not exceed 1.
    return {"token": text, "logprob": min(0.0, math.floor(logprob * 1e9) / 1e9), "bytes": list(text.encode())}
