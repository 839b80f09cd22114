"""The HTTP API: chat completions, Anthropic's messages, text completions, embeddings, models, health, metrics.

    app = make_app(Deps(config=..., registry=..., home=..., prices=...))

What models answer is a bare ASGI application: a response object per request would cost more than the rules do.
"""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as Path
from starlette.types import Receive, Scope, Send

from router import metrics
from router.alerts import Alerts
from router.auth import Auth
from router.client import Client, ClientLeft, TooLarge
from router.deployed import Watcher
from router.exchange import Exchange
from router.health import Health
from router.log.writer import RequestLog
from router.reloading import ConfigWatcher, Sources, with_fixed
from router.request import BadRequest, ChatRequest, Dialect
from router.routing import ALIAS, Routes
from router.services import Services
from router.upstream import Upstream
from router.wire import anthropic_requests
from router.wire.dialects import CLIENTS
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.errors import FastTierError, UnknownPrice
from traffic.plans import HeavyCounter
from traffic.prices import PriceTable
from traffic.tiers import RoutingConfig

NESTED = "the body is nested too deeply"


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """What the application stands on."""

    config: RoutingConfig
    registry: Registry
    home: Home
    prices: PriceTable
    environ: Mapping[str, str] = os.environ
    sources: Sources | None = None
    """Files that are read again when they change."""


class Router:
    """The state of one process."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.heavy = HeavyCounter()
        self.routes = Routes(deps.config, deps.registry, deps.environ, self.heavy)
        self.configs = ConfigWatcher(deps.sources) if deps.sources is not None else None
        self.watcher = Watcher(deps.home)
        self.log = RequestLog(deps.home.log)
        self.counts: Counter[str] = Counter()
        self.auth = Auth(deps.config.serving.client_keys_env, deps.environ)
        self.services: Services | None = None
        self.health_of = Health()
        self.alerts = Alerts()
        self.metrics = metrics.Metrics()
        self.exposition = metrics.exposition(
            self.metrics,
            metrics.Gauges(
                circuits=lambda: self.health_of.circuits,
                reloads=lambda: self.watcher.reloads,
                reload_errors=lambda: {
                    "deployments.yaml": self.watcher.error is not None,
                    "configuration": self.configs is not None and self.configs.error is not None,
                },
                log=lambda: {"records": self.log.written, "files_compressed": self.log.compressed},
                clock=time.perf_counter,
            ),
        )
        self.warnings = [*self.routes.warnings, *_unpriced(deps)]

    @contextlib.asynccontextmanager
    async def running(self, app: Starlette) -> AsyncIterator[None]:
        """From start-up to shutdown."""
        del app
        await asyncio.to_thread(self.watcher.look)
        upstream = Upstream(self.deps.environ)
        self.services = Services(
            upstream,
            self.log,
            self.deps.prices,
            self.deps.config.serving,
            self.counts,
            health=self.health_of,
            metrics=self.metrics,
            alerts=self.alerts,
        )
        work = [asyncio.create_task(self.watcher.watch()), asyncio.create_task(self.log.keep_flushing())]
        if self.configs is not None:
            work.append(asyncio.create_task(self._reload(self.configs)))
        try:
            yield
        finally:
            await self.services.shadows.drain()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            await upstream.close()
            self.log.close()

    async def _reload(self, configs: ConfigWatcher) -> None:
        """Take new configurations as they come. Requests under way keep what they began with."""
        while True:
            await configs.pause()
            new = await asyncio.to_thread(configs.changed)
            if new is None:
                continue
            config, fixed = with_fixed(new.routing, self.deps.config.serving)
            deps = msgspec.structs.replace(self.deps, config=config, registry=new.registry, prices=new.prices)
            try:
                routes = Routes(config, new.registry, deps.environ, self.heavy)
            except FastTierError as error:
                configs.taken(error)
                continue
            unpriced = await asyncio.to_thread(_unpriced, deps)
            assert self.services is not None
            self.deps, self.routes, self.warnings = deps, routes, [*routes.warnings, *unpriced, *fixed]
            self.services = msgspec.structs.replace(self.services, prices=new.prices, serving=config.serving)
            configs.taken()

    def identified(self, request: ChatRequest, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """The request with what its key is bound to, and the call site that its model stands for."""
        return self.routes.named(self.auth.bind(request, headers), self.watcher.deployed)

    def refusal(self, headers: Mapping[bytes, bytes], dialect: Dialect = "openai") -> tuple[int, bytes] | None:
        """Why a client may not ask: status and body."""
        refused = self.auth.refusal(headers)
        if refused is None:
            return None
        return refused.status, CLIENTS[dialect].error(refused.status, refused.message, refused.kind, refused.code)

    def health(self) -> dict[str, Any]:
        """What `/health` says."""
        error, configs = self.watcher.error, self.configs
        config_error = configs.error if configs is not None else None
        deployed = self.watcher.deployed.table.entries
        now = time.perf_counter()
        warnings = [*self.warnings, *self.alerts.warnings(now), *([self.log.error] if self.log.error else ())]
        return {
            "status": "degraded" if error or config_error or warnings else "ok",
            "ready": True,
            "deployments": {
                "entries": [
                    {
                        "call_site": e.call_site,
                        "cohort": e.cohort,
                        "adapter": e.adapter,
                        "share": e.share,
                        "shadow": e.shadow,
                    }
                    for e in deployed
                ],
                "reloads": self.watcher.reloads,
                "error": error,
            },
            "configuration": {"reloads": configs.reloads if configs is not None else 0, "error": config_error},
            "unknown_call_sites": dict(self.routes.unknown.most_common(10)),
            "warnings": warnings,
            "endpoints": {name: circuit.state(now) for (name, _), circuit in self.health_of.circuits.items()},
            "log": {"path": str(self.log.path) if self.log.path else None, "records": self.log.written},
            "counts": dict(self.counts),
        }

    def models(self) -> list[str]:
        """Names for `/v1/models`: ours first, then those that may answer."""
        config = self.deps.config
        hosted = [endpoint.model for tier in (1, 2, 3) for endpoint in config.endpoints_of(tier) if endpoint.model]
        own = [entry.adapter for entry in self.watcher.deployed.table.entries]
        return list(dict.fromkeys([ALIAS, *own, *hosted]))


class Answers:
    """ASGI application of a path that models answer."""

    def __init__(self, router: Router, dialect: Dialect) -> None:
        self._router = router
        self._name = dialect
        self._dialect = CLIENTS[dialect]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = time.perf_counter()
        router, client = self._router, Client(receive, send)
        assert router.services is not None
        headers = dict(scope["headers"])
        refused = router.refusal(headers, self._name)
        if refused is not None:
            await client.reply(*refused)
            return
        # A web page that a browser on this machine shows can send any other type here without asking first.
        if not headers.get(b"content-type", b"").lower().startswith(b"application/json"):
            await self._refuse(client, 415, "send content-type: application/json")
            return
        try:
            data = await client.read(int(router.deps.config.serving.max_body_mib * 2**20))
            request = self._dialect.parse(data, headers)
            # Decoded now, while what cannot be decoded is still an error of the client's.
            _ = request.params
            request = router.identified(request, headers)
            if self._name in ("completions", "embeddings"):
                route = router.routes.passed_through(request)
            else:
                route = router.routes.route(request, router.watcher.deployed)
        except BadRequest as error:
            await self._refuse(client, 400, str(error))
            return
        except msgspec.ValidationError as error:
            # A number that nothing can hold, in a part of the messages that only templates and translations read.
            await self._refuse(client, 400, f"not a request: {error}")
            return
        except RecursionError:
            await self._refuse(client, 400, NESTED)
            return
        except TooLarge:
            await self._refuse(client, 413, "the request is too large")
            return
        except ClientLeft:
            return
        router.counts["requests"] += 1
        exchange = Exchange(request, route, client, router.services, began)
        exchange.trace = headers.get(b"traceparent")
        try:
            await _run(exchange, client)
        except RecursionError:
            # The limit is nearer in here than where the request was read.
            if client.started:
                raise
            await self._refuse(client, 400, NESTED)

    async def _refuse(self, client: Client, status: int, message: str) -> None:
        await client.reply(status, self._dialect.error(status, message, "invalid_request_error"))


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
        if "anthropic-version" in request.headers:
            return _json(200, anthropic_requests.models(router.models()))
        cards = [{"id": name, "object": "model", "created": 0, "owned_by": ALIAS} for name in router.models()]
        return _json(200, {"object": "list", "data": cards})

    async def scrape(request: Request) -> Response:
        refused = router.refusal(dict(request.scope["headers"]))
        if refused is not None:
            return Response(refused[1], refused[0], media_type="application/json")
        return Response(router.exposition(), 200, {"content-type": metrics.CONTENT_TYPE})

    app = Starlette(
        routes=[
            Path("/v1/chat/completions", Answers(router, "openai"), methods=["POST"]),
            Path("/v1/messages", Answers(router, "anthropic"), methods=["POST"]),
            Path("/v1/completions", Answers(router, "completions"), methods=["POST"]),
            Path("/v1/embeddings", Answers(router, "embeddings"), methods=["POST"]),
            Path("/v1/models", models),
            Path("/health", health),
            Path("/metrics", scrape),
        ],
        exception_handlers={HTTPException: _http_error, 500: _crash},
        lifespan=router.running,
    )
    app.state.router = router
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    posted = "POST /v1/chat/completions, POST /v1/messages, POST /v1/completions, POST /v1/embeddings"
    served = f"{posted}, GET /v1/models, GET /health, GET /metrics"
    message = f"{request.method} {request.url.path} is not served here; there are: {served}"
    body = _error(request, error.status_code, message, "invalid_request_error", "unsupported")
    return Response(body, error.status_code, media_type="application/json")


async def _crash(request: Request, error: Exception) -> Response:
    """Our own failure, such as a full disk under the request log; Starlette raises it again for the server's log."""
    message = f"the router failed: {type(error).__name__}"
    # The model may have answered and been paid: the client's SDK must not buy the answer again by itself.
    body = _error(request, 500, message, "internal_error")
    return Response(body, 500, {"x-should-retry": "false"}, media_type="application/json")


def _error(request: Request, status: int, message: str, kind: str, code: str | None = None) -> bytes:
    """In the form of the path's clients."""
    dialect = "anthropic" if request.url.path.startswith("/v1/messages") else "openai"
    return CLIENTS[dialect].error(status, message, kind, code)


def _json(status: int, value: Any) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


def _unpriced(deps: Deps) -> list[str]:
    """Warnings for hosted models without a price. Also warms the price table up: its first look-up takes a second."""
    from datetime import UTC, datetime

    warnings = []
    for endpoint in deps.config.endpoints:
        if endpoint.own or endpoint.price_name is None:
            continue
        try:
            deps.prices.price(endpoint.price_name, endpoint.provider_name, datetime.now(UTC))
        except UnknownPrice as error:
            warnings.append(f"endpoint {endpoint.name}: {error}; until then its cost is logged as unknown")
    return warnings
