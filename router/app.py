"""The HTTP API: chat completions, Anthropic's messages, text completions, embeddings, models, health, metrics.

    app = make_app(Deps(config=..., registry=..., home=..., prices=...))

Model paths are handled by plain ASGI applications, which `router.http_server` calls without ASGI.
"""

from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path

from router import metrics
from router.answers import NOT_AGAIN, Answers, TokenCount
from router.passthrough import METHODS, PassThrough
from router.process import Deps, Router
from router.request import Dialect
from router.request_paths import CanonicalPaths
from router.routing import ALIAS
from router.wire import anthropic_requests
from router.wire.dialects import CLIENTS
from traffic.tiers import Serving

HOT_PATHS: dict[str, Dialect] = {
    "/v1/chat/completions": "openai",
    "/v1/messages": "anthropic",
    "/v1/responses": "responses",
    "/v1/completions": "completions",
    "/v1/embeddings": "embeddings",
}
_OTHER_METHODS = ["GET", "PUT", "PATCH", "DELETE"]
_THIS_MACHINE = r"https?://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?"


def make_app(deps: Deps) -> Starlette:
    """The application. Raises: ConfigError, MissingSecret for a configuration that cannot work."""
    router = Router(deps)

    async def health(request: Request) -> Response:
        status = router.health()
        if router.refusal(dict(request.scope["headers"])) is not None:
            # Load balancers have no key, and names of call sites and adapters are not public.
            status = {"status": status["status"], "ready": status["ready"]}
        return _json(200, status)

    def denied(request: Request) -> Response | None:
        refused = router.refusal(dict(request.scope["headers"]))
        return None if refused is None else Response(refused[1], refused[0], media_type="application/json")

    async def models(request: Request) -> Response:
        return denied(request) or _json(200, _list_of(request, router.models()))

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if (refused := denied(request)) is not None:
            return refused
        if name not in router.models():
            message = f"no model {name!r}; there are: {', '.join(router.models())}"
            return Response(_error(request, 404, message, "invalid_request_error", "model_not_found"), 404)
        return _json(200, _list_of(request, [name])["data"][0])

    async def scrape(request: Request) -> Response:
        return denied(request) or Response(router.exposition(), 200, {"content-type": metrics.CONTENT_TYPE})

    hot = {path: Answers(router, dialect) for path, dialect in HOT_PATHS.items()}
    app = Starlette(
        routes=[
            Path("/", _root),
            *[Path(path, handler, methods=["POST"]) for path, handler in hot.items()],
            *[Path(path, _only_post, methods=_OTHER_METHODS) for path in hot],
            Path("/v1/messages/count_tokens", TokenCount(router), methods=["POST"]),
            Path("/v1/models", models),
            Path("/v1/models/{name:path}", model),
            Path("/health", health),
            Path("/metrics", scrape),
            Path("/v1/{path:path}", PassThrough(router), methods=METHODS),
        ],
        middleware=[_cross_origin(deps.config.serving), Middleware(CanonicalPaths, known=frozenset(hot))],
        exception_handlers={HTTPException: _http_error, 500: _crash},
        lifespan=router.running,
    )
    app.state.router = router
    app.state.hot = {path.encode(): handler for path, handler in hot.items()}
    return app


def _list_of(request: Request, names: list[str]) -> Any:
    """The list of models in the client's dialect."""
    if "anthropic-version" in request.headers:
        return anthropic_requests.models(names)
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": ALIAS} for name in names]
    return {"object": "list", "data": cards}


async def _root(request: Request) -> Response:
    """Clients check here whether the server is up (Claude Code with HEAD)."""
    del request
    return _json(200, {"status": "ok"})


async def _only_post(request: Request) -> Response:
    raise HTTPException(405, headers={"allow": "POST"})


def _cross_origin(serving: Serving) -> Middleware:
    """CORS: all origins if clients need a key, else this machine and the configured origins."""
    with_keys = serving.client_keys_env is not None
    return Middleware(
        CORSMiddleware,
        allow_origins=["*"] if with_keys else serving.allow_origins,
        allow_origin_regex=None if with_keys else _THIS_MACHINE,
        allow_methods=METHODS,
        allow_headers=["*"],
        expose_headers=["*"],
    )


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    posted = "POST /v1/chat/completions, /v1/messages, /v1/responses, /v1/completions, /v1/embeddings"
    served = f"{posted}, GET /v1/models, GET /health, GET /metrics"
    message = f"{request.method} {request.url.path} is not served here; there are: {served}"
    body = _error(request, error.status_code, message, "invalid_request_error", "unsupported")
    return Response(body, error.status_code, error.headers, media_type="application/json")


async def _crash(request: Request, error: Exception) -> Response:
    """Response to an unexpected exception; Starlette raises it again for the server's log."""
    message = f"the router failed: {type(error).__name__}"
    body = _error(request, 500, message, "internal_error")
    headers = {name.decode(): value.decode() for name, value in NOT_AGAIN}
    return Response(body, 500, headers, media_type="application/json")


def _error(request: Request, status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """An error body in the dialect of the path."""
    dialect = "anthropic" if request.url.path.startswith("/v1/messages") else "openai"
    return CLIENTS[dialect].error(status, message, kind, code)


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
