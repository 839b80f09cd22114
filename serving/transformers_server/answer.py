"""An answer during generation: its text so far, its end, and its form in OpenAI's protocol."""

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from serving.transformers_server.engine import Request, Step

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"
"""The tokenizer's output for an incomplete character."""


class Answer:
    """Collects the steps of a request; complete when `finish_reason` is set."""

    def __init__(self, tokenizer: Any, request: Request, *, end: int, stops: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._request = request
        self._end = end
        self._stops = stops
        self._steps: list[Step] = []
        self.text = ""
        self.finish_reason: str | None = None
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": request.model}

    def add(self, step: Step) -> None:
        """Append a token."""
        self._steps.append(step)
        ids = [step.token for step in self._steps]
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        cut = min((at for stop in self._stops if (at := text.find(stop)) >= 0), default=None)
        if cut is not None:
            self.text, self.finish_reason = text[:cut], "stop"
            return
        if step.last:
            ended = step.token == self._end or (self._request.matcher is not None and self._request.matcher.ended)
            self.finish_reason = "stop" if ended else "length"
        # Hold back a possible beginning of a stop text, and an incomplete last character.
        held_back = 0 if step.last else max((len(stop) - 1 for stop in self._stops), default=0)
        complete = text if step.last else text.rstrip(INCOMPLETE)
        self.text = complete[: len(complete) - held_back] if held_back else complete

    def chat(self, *, token_ids: bool = False) -> dict[str, Any]:
        """The body of a chat completion."""
        choice: dict[str, Any] = {
            "index": 0,
            "message": {"role": "assistant", "content": self.text},
            "logprobs": self._logprobs(self._steps),
            "finish_reason": self.finish_reason,
        }
        return self._body("chat.completion", choice | self._ids(token_ids))

    def completion(self, *, token_ids: bool = False) -> dict[str, Any]:
        """The body of a text completion."""
        choice: dict[str, Any] = {"index": 0, "text": self.text, "logprobs": None, "finish_reason": self.finish_reason}
        if self._request.sampling.prompt_logprobs:
            prompt_tokens = zip(self._request.prompt[1:], self._request.prompt_logprobs, strict=True)
            choice["prompt_logprobs"] = [None, *({str(token): {"logprob": value}} for token, value in prompt_tokens)]
        return self._body("text_completion", choice | self._ids(token_ids))

    async def events(self, steps: AsyncIterator[Step], *, usage: bool) -> AsyncIterator[bytes]:
        """A streamed chat completion, as server-sent events."""
        yield self._event({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None})
        sent = 0
        pending: list[Step] = []
        async for step in steps:
            pending.append(step)
            if len(self.text) > sent or self.finish_reason:
                delta = {"content": self.text[sent:]}
                logprobs = self._logprobs(pending)
                sent, pending = max(sent, len(self.text)), []
                yield self._event(
                    {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": self.finish_reason}
                )
        if usage:
            yield self._event(None, self._usage())
        yield b"data: [DONE]\n\n"

    def _event(self, choice: dict[str, Any] | None, usage: dict[str, int] | None = None) -> bytes:
        body = self._head | {"object": "chat.completion.chunk", "choices": [] if choice is None else [choice]}
        if usage is not None:
            body["usage"] = usage
        return b"data: " + msgspec.json.encode(body) + b"\n\n"

    def _body(self, kind: str, choice: dict[str, Any]) -> dict[str, Any]:
        return self._head | {"object": kind, "choices": [choice], "usage": self._usage()}

    def _usage(self) -> dict[str, int]:
        prompt, generated = len(self._request.prompt), len(self._steps)
        return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}

    def _ids(self, include: bool) -> dict[str, Any]:
        return {"token_ids": [step.token for step in self._steps]} if include else {}

    def _logprobs(self, steps: Sequence[Step]) -> dict[str, Any] | None:
        if self._request.sampling.logprobs is None:
            return None
        content = []
        for step in steps:
            top = [self._entry(token, logprob) for token, logprob in step.top]
            content.append(self._entry(step.token, step.logprob) | {"top_logprobs": top})
        return {"content": content}

    def _entry(self, token: int, logprob: float) -> dict[str, Any]:
        text: str = self._tokenizer.decode([token])
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}
