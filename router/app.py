"""The HTTP API: `/v1/chat/completions` (plain and streaming), `/v1/models`, `/health`.

    app = make_app(Deps(config=..., registry=..., home=..., prices=...))

The chat endpoint is a bare ASGI application: a response object per request would cost more than the rules do.
"""

import asyncio
import contextlib
import hmac
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path
from starlette.types import Receive, Scope, Send

from router.client import Client, ClientLeft, TooLarge, error_body
from router.deployed import Watcher
from router.exchange import Exchange, Services
from router.request import BadRequest, parse
from router.request_log import RequestLog
from router.routing import Routes
from router.upstream import Upstream
from traffic.callsites import Registry
from traffic.errors import MissingSecret, UnknownPrice
from traffic.home import Home
from traffic.prices import PriceTable
from traffic.tiers import RoutingConfig

ALIAS = "fasttier"
"""The model that clients may name; any other name is routed in the same way."""


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What the application stands on."""

    config: RoutingConfig
    registry: Registry
    home: Home
    prices: PriceTable
    environ: Mapping[str, str] = os.environ


class Router:
    """The state of one process."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.routes = Routes(deps.config, deps.registry, deps.environ)
        self.watcher = Watcher(deps.home)
        self.log = RequestLog(deps.home.log)
        self.counts: Counter[str] = Counter()
        self.keys = client_keys(deps.config.serving.client_keys_env, deps.environ)
        self.services: Services | None = None
        self.warnings = [*self.routes.warnings, *_unpriced(deps)]

    @contextlib.asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """From start-up to shutdown."""
        del app
        await asyncio.to_thread(self.watcher.look)
        upstream = Upstream(self.deps.environ)
        self.services = Services(upstream, self.log, self.deps.prices, self.deps.config.serving, self.counts)
        work = [asyncio.create_task(self.watcher.watch()), asyncio.create_task(self.log.keep_flushing())]
        try:
            yield
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await upstream.close()
            self.log.close()

    def refusal(self, headers: Mapping[bytes, bytes]) -> tuple[int, bytes] | None:
        """Why a client may not ask: status and body."""
        if self.keys:
            scheme, _, sent = headers.get(b"authorization", b"").partition(b" ")
            # All keys are compared, so that the time says nothing about which is near.
            known = [hmac.compare_digest(sent.strip(), key) for key in self.keys]
            if scheme.lower() != b"bearer" or not any(known):
                return 401, error_body("this router wants one of its own keys", "invalid_api_key", "invalid_api_key")
        return None

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        error = self.watcher.error
        deployed = self.watcher.deployed.table.entries
        return {
            "status": "degraded" if error or self.warnings else "ok",
            "ready": True,
            "deployments": {
                "entries": [
                    {"call_site": e.call_site, "cohort": e.cohort, "adapter": e.adapter, "share": e.share}
                    for e in deployed
                ],
                "reloads": self.watcher.reloads,
                "error": error,
            },
            "warnings": self.warnings,
            "log": {"path": str(self.log.path) if self.log.path else None, "records": self.log.written},
            "counts": dict(self.counts),
        }

    def models(self) -> list[str]:
        """Names for `/v1/models`: ours first, then those that may answer."""
        config = self.deps.config
        hosted = [endpoint.model for tier in (1, 2, 3) for endpoint in config.endpoints_of(tier) if endpoint.model]
        own = [entry.adapter for entry in self.watcher.deployed.table.entries]
        return list(dict.fromkeys([ALIAS, *own, *hosted]))


class ChatCompletions:
    """ASGI application of `/v1/chat/completions`."""

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        router, client = self._router, Client(receive, send)
        assert router.services is not None
        headers = dict(scope["headers"])
        refused = router.refusal(headers)
        if refused is not None:
            await client.reply(*refused)
            return
        # A web page that a browser on this machine shows can send any other type here without asking first.
        if not headers.get(b"content-type", b"").lower().startswith(b"application/json"):
            await client.reply(415, error_body("send content-type: application/json", "invalid_request_error"))
            return
        try:
            data = await client.read(int(router.deps.config.serving.max_body_mib * 2**20))
            request = parse(data, headers)
        except BadRequest as error:
            await client.reply(400, error_body(str(error), "invalid_request_error"))
            return
        except TooLarge:
            await client.reply(413, error_body("the request is too large", "invalid_request_error"))
            return
        except ClientLeft:
            return
        router.counts["requests"] += 1
        exchange = Exchange(
            request, router.routes.route(request, router.watcher.deployed), client, router.services, began
        )
        exchange.trace = headers.get(b"traceparent")
        await _run(exchange, client)


async def _run(exchange: Exchange, client: Client) -> None:
    """Run the exchange; a client that hangs up cancels it, and with it the request upstream."""
    task = asyncio.current_task()
    assert task is not None
    watch = asyncio.create_task(client.cancel_when_gone(task))
    try:
        await exchange.run()
    except asyncio.CancelledError:
        if not client.left:
            raise
        task.uncancel()
    finally:
        watch.cancel()


def client_keys(variable: str | None, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """The keys that clients may use; none where no key is asked for. Raises: MissingSecret."""
    if variable is None:
        return ()
    keys = tuple(key.strip().encode() for key in environ.get(variable, "").split(",") if key.strip())
    if not keys:
        raise MissingSecret(
            f"environment variable {variable} is not set: it holds the keys (separated by commas) that clients "
            "of the router may use"
        )
    return keys


def make_app(deps: Deps) -> Starlette:
    """The application. Raises: ConfigError, MissingSecret for what can never work."""
    router = Router(deps)

    async def health(request: Request) -> Response:
        found = router.health()
        if router.refusal(dict(request.scope["headers"])) is not None:
            # Load balancers have no key; names of call sites and adapters are not for everybody.
            found = {"status": found["status"], "ready": found["ready"]}
        return _json(200, found)

    async def models(request: Request) -> Response:
        refused = router.refusal(dict(request.scope["headers"]))
        if refused is not None:
            return Response(refused[1], refused[0], media_type="application/json")
        cards = [{"id": name, "object": "model", "created": 0, "owned_by": ALIAS} for name in router.models()]
        return _json(200, {"object": "list", "data": cards})

    app = Starlette(
        routes=[
            Path("/v1/chat/completions", ChatCompletions(router), methods=["POST"]),
            Path("/v1/models", models),
            Path("/health", health),
        ],
        exception_handlers={HTTPException: _http_error, 500: _crash},
        lifespan=router.running,
    )
    app.state.router = router
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    served = "POST /v1/chat/completions, GET /v1/models, GET /health"
    message = f"{request.method} {request.url.path} is not served here; there are: {served}"
    return Response(
        error_body(message, "invalid_request_error", "unsupported"), error.status_code, media_type="application/json"
    )


async def _crash(request: Request, error: Exception) -> Response:
    """Our own failure, such as a full disk under the request log; Starlette raises it again for the server's log."""
    del request
    message = f"the router failed: {type(error).__name__}"
    # The model may have answered and been paid: the client's SDK must not buy the answer again by itself.
    return Response(
        error_body(message, "internal_error"), 500, {"x-should-retry": "false"}, media_type="application/json"
    )


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _unpriced(deps: Deps) -> Iterable[str]:
    """Warnings for hosted models without a price. Also warms the price table up: its first look-up takes a second."""
    from datetime import UTC, datetime

    for endpoint in deps.config.endpoints:
        if endpoint.own or endpoint.price_name is None:
            continue
        try:
            deps.prices.price(endpoint.price_name, endpoint.provider_name, datetime.now(UTC))
        except UnknownPrice as error:
            yield f"endpoint {endpoint.name}: {error}; until then its cost is logged as unknown"
