"""HTTP API: OpenAI's chat completions and models, and /health, with an optional key."""

import contextlib
from collections.abc import AsyncIterator

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.classifier_server import protocol
from serving.classifier_server.engine import Engine
from serving.classifier_server.protocol import ChatRequest
from serving.openai_http import error_reply, guarded, json_reply
from traffic.errors import InputError

MAX_BODY_BYTES = 16 * 2**20
CHARACTERS_PER_TOKEN = 4


class Api:
    """Routes of the server."""

    def __init__(self, engine: Engine, *, api_key: str | None = None) -> None:
        self._engine, self._api_key = engine, api_key

    def app(self) -> Starlette:
        """The application."""

        @contextlib.asynccontextmanager
        async def lifespan(_app: Starlette) -> AsyncIterator[None]:
            async with self._engine.running():
                yield

        return Starlette(
            routes=[
                Route("/health", self.health),
                Route("/v1/models", guarded(self.models, self._api_key)),
                Route("/v1/chat/completions", guarded(self.chat, self._api_key), methods=["POST"]),
            ],
            lifespan=lifespan,
        )

    async def health(self, _request: Request) -> Response:
        return Response(status_code=200 if self._engine.healthy else 503)

    async def models(self, _request: Request) -> Response:
        entries = [{"id": name, "object": "model", "owned_by": "fasttier"} for name in self._engine.models]
        return json_reply({"object": "list", "data": entries})

    async def chat(self, request: Request) -> Response:
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                return error_reply(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
        try:
            body = msgspec.json.decode(data, type=ChatRequest)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise InputError(str(error)) from None
        text = body.text
        answer = await self._engine.ask(body.model, text)
        tokens = max(1, len(text) // CHARACTERS_PER_TOKEN)
        if body.stream:
            return Response(protocol.events(body, answer, tokens), media_type="text/event-stream")
        return json_reply(protocol.completion(body, answer, tokens))
