"""The state of one router process (configuration, deployments, health, log, metrics), and its background tasks."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.applications import Starlette

from router import metrics
from router.alerts import Alerts
from router.auth import Auth
from router.config_reload import ConfigWatcher, Sources, with_fixed
from router.deployed import Watcher
from router.health import Health
from router.log.writer import RequestLog
from router.probe import keep_probing
from router.request import ChatRequest, Dialect
from router.routing import ALIAS, Routes
from router.services import Services
from router.upstream import Upstream
from router.wire.dialects import CLIENTS
from traffic.artifacts import Home
from traffic.callsites import Registry
from traffic.errors import FastTierError, UnknownPrice
from traffic.plan_limits import HeavyCounter
from traffic.prices import PriceTable
from traffic.tiers import Endpoint, RoutingConfig


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies of the application."""

    config: RoutingConfig
    registry: Registry
    home: Home
    prices: PriceTable
    environ: Mapping[str, str] = os.environ
    sources: Sources | None = None
    """Files to reload when they change."""


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
        """Run the background tasks, from start-up to shutdown."""
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
        work.append(asyncio.create_task(keep_probing(self.current_services, self._endpoints)))
        if self.configs is not None:
            work.append(asyncio.create_task(self._reload(self.configs)))
        try:
            yield
        finally:
            await self.services.shadows.drain()
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)
            upstream.close()
            self.log.close()

    def current_services(self) -> Services:
        """Services for new requests; replaced when the configuration changes."""
        assert self.services is not None
        return self.services

    def _endpoints(self) -> list[Endpoint]:
        """All endpoints that a request may be sent to."""
        deployed = [entry.endpoint for entry in self.watcher.deployed.table.entries]
        return [*self.deps.config.endpoints, *deployed]

    async def _reload(self, configs: ConfigWatcher) -> None:
        """Apply new configurations. Requests in progress keep the one that they started with."""
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

    @property
    def max_body_bytes(self) -> int:
        return int(self.deps.config.serving.max_body_mib * 2**20)

    def identified(self, request: ChatRequest, headers: Mapping[bytes, bytes]) -> ChatRequest:
        """The request with the bindings of its key, and the call site that its model name stands for."""
        return self.routes.with_call_site(self.auth.bind(request, headers), self.watcher.deployed)

    def refusal(self, headers: Mapping[bytes, bytes], dialect: Dialect = "openai") -> tuple[int, bytes] | None:
        """Status and body of the error for a client without access; None if it has access."""
        refused = self.auth.refusal(headers)
        if refused is None:
            return None
        return refused.status, CLIENTS[dialect].error(refused.status, refused.message, refused.kind, refused.code)

    def health(self) -> dict[str, Any]:
        """Content of `/health`."""
        error, configs = self.watcher.error, self.configs
        config_error = configs.error if configs is not None else None
        deployed = self.watcher.deployed.table.entries
        now = time.perf_counter()
        warnings = [*self.warnings, *self.alerts.warnings(now), *self.health_of.warnings(now)]
        warnings += self.services.learned.warnings() if self.services is not None else []
        warnings += [self.log.error] if self.log.error else []
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
        """Names for `/v1/models`: the router's own first, then those of endpoints."""
        config = self.deps.config
        hosted = [endpoint.model for tier in (1, 2, 3) for endpoint in config.endpoints_of(tier) if endpoint.model]
        deployed = [entry.adapter for entry in self.watcher.deployed.table.entries]
        return list(dict.fromkeys([ALIAS, *deployed, *hosted]))


def _unpriced(deps: Deps) -> list[str]:
    """Warnings for hosted models without a price. Also warms up the price table, whose first lookup takes a second."""
    warnings = []
    for endpoint in deps.config.endpoints:
        if endpoint.own or endpoint.price_name is None:
            continue
        try:
            deps.prices.price(endpoint.price_name, endpoint.provider_name, datetime.now(UTC))
        except UnknownPrice as error:
            warnings.append(f"endpoint {endpoint.name}: {error}; until then its cost is logged as unknown")
    return warnings
