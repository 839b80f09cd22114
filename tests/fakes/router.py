"""A router on a real port for tests: its configuration, a home with a deployed adapter, and the server in a thread."""

import socket
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import uvicorn

from router.app import Deps, Router, make_app
from traffic import adapters, config, deployments
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.callsites import Checks, Registry
from traffic.deployments import Deployment, Deployments
from traffic.home import Home
from traffic.prices import PriceTable
from traffic.prompts import MessagePattern, Template
from traffic.record import Record, decode_record
from traffic.tiers import Endpoint, RoutingConfig

CALL_SITE = "desk.intent"
SYSTEM = "You sort mail of a desk. Answer with exactly one label: refund, delivery or other."
LABELS = ("refund", "delivery", "other")
TEMPLATE = Template(
    "0a1b2c3d",
    (MessagePattern("system", SYSTEM), MessagePattern("user", slot=True)),
    (MessagePattern("system", "intent"), MessagePattern("user", slot=True)),
)
ENVIRON = {"HOSTED_KEY": "hosted-secret"}


def endpoint(name: str, base_url: str, **changes: Any) -> dict[str, Any]:
    """A hosted endpoint with a listed price."""
    return {
        "name": name,
        "kind": "openai",
        "base_url": base_url,
        "model": "gpt-4o-mini",
        "api_key_env": "HOSTED_KEY",
    } | changes


def routing(endpoints: Iterable[Mapping[str, Any]], **changes: Any) -> RoutingConfig:
    """Label requests go to Tier 1, requests that mention `proof` to Tier 3, all others to Tier 2."""
    listed = list(endpoints)
    names = [e["name"] for e in listed]
    tree = {
        "endpoints": listed,
        "tiers": {1: [], 2: names, 3: names[:1]},
        "rules": [
            {
                "name": "debug",
                "reason": "nobody reads it",
                "refuse": "debug calls are off",
                "when": {"call_site": "x.debug"},
            },
            {"name": "hard", "reason": "reasoning", "tier": 3, "when": {"request_type": "reasoning"}},
            {"name": "closed label", "reason": "easy", "tier": 1, "when": {"asks_label": True}},
        ],
        "serving": {"backoff_s": 0.001},
    }
    return config.convert(tree | changes, RoutingConfig, source="router.yaml")


def write_adapter(
    home: Home, name: str, *, checks: Checks | None = None, call_site: str = CALL_SITE, max_tokens: int = 16
) -> Adapter:
    """`adapter.yaml` in the home, without weights: a router needs none."""
    card = Adapter(
        name=name,
        task=call_site,
        base_model=BaseModel(name="tiny", revision="sha256:0", path="tiny"),
        rank=8,
        dataset=f"{call_site}@00000000",
        call_sites={
            call_site: CallSitePrompts(
                templates=(TEMPLATE,),
                request_type="intent",
                checks=Checks(labels=LABELS) if checks is None else checks,
                max_tokens=max_tokens,
            )
        },
        chat_template_sha256="0",
        config={},
        metrics={},
        libraries={},
        licence="none",
    )
    folder = home.adapters / name
    folder.mkdir(parents=True)
    (folder / "adapter.yaml").write_text(config.dump(card), encoding="utf-8")
    assert adapters.load(folder) == card
    return card


def deployment(adapter: str, base_url: str, **changes: Any) -> Deployment:
    fields: dict[str, Any] = {
        "call_site": CALL_SITE,
        "adapter": adapter,
        "endpoint": Endpoint(name=adapter, kind="vllm", base_url=base_url, model=adapter),
        "since": datetime(2026, 11, 23, tzinfo=UTC),
        "override": "test",
    }
    return Deployment(**fields | changes)


def deploy(home: Home, *entries: Deployment) -> None:
    deployments.save(home.deployments, Deployments(entries=entries))


def log_of(home: Home) -> list[Record]:
    """Every record of the request log, in the order of writing."""
    lines = [line for path in sorted(home.log.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [decode_record(line) for line in lines]


class RunningRouter:
    """The application on a real port, in a thread; a context manager."""

    def __init__(
        self,
        routing: RoutingConfig,
        home: Home,
        *,
        registry: Registry | None = None,
        environ: Mapping[str, str] = ENVIRON,
        prices: Path = config.CONFIGS / "prices.yaml",
    ) -> None:
        deps = Deps(
            config=routing,
            registry=registry or Registry(),
            home=home,
            prices=PriceTable.load(prices),
            environ=environ,
        )
        app = make_app(deps)
        self.home = home
        self.router: Router = app.state.router
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="on", log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def log(self) -> list[Record]:
        return log_of(self.home)

    def __enter__(self) -> Self:
        # The socket listens already: a request that comes before the server is up waits in its backlog.
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(20)
        self._socket.close()
        assert not self._thread.is_alive()
