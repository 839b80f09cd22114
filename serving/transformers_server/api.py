"""HTTP API: OpenAI's completions and models, and /health, with an optional key."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from jinja2 import TemplateError
from starlette.applications import Starlette
from starlette.requests import Request as HttpRequest
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from serving.openai_http import Message, guarded, json_reply
from serving.transformers_server.answer import Answer
from serving.transformers_server.engine import Engine, Request, Sampling, Step
from serving.transformers_server.protocol import ChatRequest, TextRequest, TokenizeRequest
from traffic.errors import InputError, NotFound

Body = TypeVar("Body", ChatRequest, TextRequest, TokenizeRequest)


class Api:
    """Routes of the server."""

    def __init__(
        self, engine: Engine, *, max_model_len: int, chat_template: str | None = None, api_key: str | None = None
    ) -> None:
        self._engine = engine
        self._max_model_len = max_model_len
        self._template = chat_template
        self._api_key = api_key

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", guarded(self.models, self._api_key)),
                Route("/v1/chat/completions", guarded(self.chat, self._api_key), methods=["POST"]),
                Route("/v1/completions", guarded(self.text, self._api_key), methods=["POST"]),
                Route("/tokenize", guarded(self.tokenize, self._api_key), methods=["POST"]),
            ]
        )

    async def health(self, _request: HttpRequest) -> Response:
        return Response(status_code=200 if self._engine.healthy else 503)

    async def models(self, _request: HttpRequest) -> Response:
        base, *adapters = self._engine.models
        entries: list[dict[str, Any]] = [{"id": base, "root": base, "parent": None}]
        entries += [{"id": name, "root": name, "parent": base} for name in adapters]
        common = {"object": "model", "owned_by": "fasttier", "max_model_len": self._max_model_len}
        return json_reply({"object": "list", "data": [entry | common for entry in entries]})

    async def tokenize(self, request: HttpRequest) -> Response:
        body = await _decoded(request, TokenizeRequest)
        tokens = self._prompt(body.messages) if body.messages is not None else self._ids(body.prompt or "")
        return json_reply({"count": len(tokens), "max_model_len": self._max_model_len, "tokens": tokens})

    async def chat(self, request: HttpRequest) -> Response:
        body = await _decoded(request, ChatRequest)
        prompt = self._prompt(body.messages)
        sampling = body.sampling(self._room(prompt), logprobs=body.alternatives)
        answer, steps = self._ask(body.model, prompt, sampling, body.stops)
        if body.stream:
            usage = body.stream_options is not None and body.stream_options.include_usage
            return StreamingResponse(answer.events(steps, usage=usage), media_type="text/event-stream")
        async for _ in steps:
            pass
        return json_reply(answer.chat(token_ids=body.return_token_ids))

    async def text(self, request: HttpRequest) -> Response:
        body = await _decoded(request, TextRequest)
        if body.stream:
            raise InputError("stream: only chat completions are streamed by this server")
        prompt = self._ids(body.prompt) if isinstance(body.prompt, str) else body.prompt
        sampling = body.sampling(self._room(prompt), logprobs=None, prompt_logprobs=body.prompt_logprobs is not None)
        answer, steps = self._ask(body.model, prompt, sampling, body.stops)
        async for _ in steps:
            pass
        return json_reply(answer.completion(token_ids=body.return_token_ids))

    # --------------------------------------------------------------------------------------------- helpers

    def _ask(
        self, model: str, prompt: list[int], sampling: Sampling, stops: Sequence[str]
    ) -> tuple[Answer, AsyncIterator[Step]]:
        """The answer to be, and its steps: it is complete when they are. Raises: NotFound, InputError."""
        if model not in self._engine.models:
            raise NotFound(f"the model {model!r} does not exist here; there are: {', '.join(self._engine.models)}")
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[Step | BaseException] = asyncio.Queue()

        def emit(step: Step | BaseException) -> None:
            loop.call_soon_threadsafe(arrived.put_nowait, step)

        request = Request(model, prompt, sampling, emit)
        answer = Answer(self._engine.tokenizer, request, end=self._engine.end, stops=stops)
        self._engine.submit(request)

        async def steps() -> AsyncIterator[Step]:
            try:
                while answer.finish_reason is None:
                    step = await arrived.get()
                    if isinstance(step, BaseException):
                        raise step
                    answer.add(step)
                    yield step
            finally:
                # The client disconnected, or a stop text was reached: the rest is not needed.
                request.cancelled = True

        return answer, steps()

    def _prompt(self, messages: list[Message]) -> list[int]:
        rendered = [message.rendered() for message in messages]
        if not rendered:
            raise InputError("messages: must not be empty")
        try:
            ids: list[int] = self._engine.tokenizer.apply_chat_template(
                rendered, chat_template=self._template, add_generation_prompt=True, return_dict=False
            )
        except (TemplateError, TypeError, ValueError) as error:
            raise InputError(f"messages: the chat template refuses them: {error}") from None
        return ids

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._engine.tokenizer(text)["input_ids"]
        return ids

    def _room(self, prompt: Sequence[int]) -> int:
        if not prompt:
            raise InputError("the prompt is empty")
        return self._max_model_len - len(prompt)


def read_template(path: Path | None) -> str | None:
    """The text of a chat template's file."""
    return path.read_text(encoding="utf-8") if path is not None else None


async def _decoded(request: HttpRequest, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as error:
        raise InputError(str(error)) from None
