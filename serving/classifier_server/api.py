"""The HTTP side: OpenAI's chat completions and models, /health, and a key where one is set."""

import contextlib
import hmac
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from serving.classifier_server import protocol
from serving.classifier_server.engine import Busy, Engine
from serving.classifier_server.protocol import ChatRequest
from traffic.errors import FastTierError, InputError, NotFound

MAX_BODY_BYTES = 16 * 2**20
CHARACTERS_PER_TOKEN = 4
_TYPES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    413: "BadRequestError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}


class Api:
    """Answers requests by an engine."""

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
                Route("/v1/models", self._guarded(self.models)),
                Route("/v1/chat/completions", self._guarded(self.chat), methods=["POST"]),
            ],
            lifespan=lifespan,
        )

    async def health(self, _request: Request) -> Response:
        return Response(status_code=200 if self._engine.healthy else 503)

    async def models(self, _request: Request) -> Response:
        entries = [{"id": name, "object": "model", "owned_by": "fasttier"} for name in self._engine.models]
        return _json({"object": "list", "data": entries})

    async def chat(self, request: Request) -> Response:
        data = b""
        async for chunk in request.stream():
            data += chunk
            if len(data) > MAX_BODY_BYTES:
                return _error(413, f"the body is larger than {MAX_BODY_BYTES:,} bytes")
        try:
            body = msgspec.json.decode(data, type=ChatRequest)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise InputError(str(error)) from None
        text = body.text
        answer = await self._engine.ask(body.model, text)
        tokens = max(1, len(text) // CHARACTERS_PER_TOKEN)
        if body.stream:
            return Response(protocol.events(body, answer, tokens), media_type="text/event-stream")
        return _json(protocol.completion(body, answer, tokens))

    def _guarded(self, handler: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            if self._api_key is not None:
                given = request.headers.get("authorization", "").removeprefix("Bearer ")
                if not hmac.compare_digest(given.encode(), self._api_key.encode()):
                    return _error(401, "the key is missing or wrong")
            try:
                response: Response = await handler(request)
            except NotFound as error:
                return _error(404, str(error))
            except InputError as error:
                return _error(400, str(error))
            except Busy:
                return _error(503, "too many requests are waiting", {"Retry-After": "1"})
            except (FastTierError, RuntimeError) as error:
                return _error(500, str(error))
            return response

        return guarded


def _json(body: Any) -> Response:
    return Response(msgspec.json.encode(body), media_type="application/json")


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> Response:
    body = {"error": {"message": message, "type": _TYPES[status], "param": None, "code": status}}
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json", headers=headers)
