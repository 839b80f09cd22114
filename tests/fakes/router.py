"""A router on a real port for tests: its configuration, a home with a deployed adapter, the server in a thread, and
what tests ask it with. The fixture `setting` of tests/integration starts one in front of fake model servers.
"""

import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self

import httpx
import openai
import pyarrow as pa
import uvicorn

from router.app import make_app
from router.config_reload import Sources
from router.process import Deps, Router
from router.server import server_config
from tests.fakes.openai_server import FakeOpenAI
from traffic import adapters, config, deployments
from traffic.adapters import Adapter, BaseModel, CallSitePrompts
from traffic.artifacts import Home
from traffic.callsites import Checks, Registry
from traffic.deployments import Deployment, Deployments
from traffic.prices import PriceTable
from traffic.prompts import MessagePattern, Template
from traffic.record import Record, decode_record
from traffic.redaction import Redaction
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
ADAPTER = "desk.intent@aaaaaaaa"
TAGS = {"call_site": CALL_SITE, "plan": "free", "language": "en", "user_id": "u1", "customer_id": "c1"}


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
    home: Home,
    name: str,
    *,
    checks: Checks | None = None,
    call_site: str = CALL_SITE,
    max_tokens: int = 16,
    redaction: Redaction | None = None,
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
                redaction=redaction,
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
    return [decode_record(line) for line in log_lines(home)]


def log_lines(home: Home) -> list[bytes]:
    """Of each hour's file, compressed or not: a test may run while an hour ends."""
    files = {path.name.removesuffix(".zst"): path for path in sorted(home.log.glob("requests-*.jsonl*"))}
    try:
        # pyarrow tells compressed files by their names.
        return [line for path in files.values() for line in pa.input_stream(str(path)).read().splitlines()]
    except FileNotFoundError:  # compressed since the look at the folder
        return log_lines(home)


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
        sources: Sources | None = None,
    ) -> None:
        deps = Deps(
            config=routing,
            registry=registry or Registry(),
            home=home,
            prices=PriceTable.load(prices),
            environ=environ,
            sources=sources,
        )
        app = make_app(deps)
        self.home = home
        self.router: Router = app.state.router
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(server_config(app, grace_s=1))
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


def label_of(body: dict[str, Any]) -> str:
    """What a perfect model says: the label that the message names."""
    text = str(body["messages"][-1]["content"])
    return next((label for label in LABELS if label in text), "other")


class Setting(NamedTuple):
    """A small model with an adapter, two hosted models, and the router in front of them."""

    own: FakeOpenAI
    hosted: FakeOpenAI
    spare: FakeOpenAI
    home: Home
    start: Callable[..., RunningRouter]

    @property
    def endpoints(self) -> list[dict[str, Any]]:
        return [endpoint("standard", self.hosted.base_url), endpoint("spare", self.spare.base_url)]


def client(router: RunningRouter, **changes: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=router.base_url, api_key="client-secret", timeout=30, **changes)


def body_of(text: str, **changes: Any) -> dict[str, Any]:
    """One label request as an application sends it."""
    return {
        "model": "fasttier",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
        "temperature": 0,
        "metadata": TAGS,
    } | changes


def ask(router: RunningRouter, text: str = "refund please", **changes: Any) -> Any:
    """The answer, with its headers."""
    with client(router) as asking:
        return asking.chat.completions.with_raw_response.create(**body_of(text, **changes))


def said(response: Any) -> str:
    text: str = response.parse().choices[0].message.content
    return text


def streamed(router: RunningRouter, text: str = "refund please", **changes: Any) -> tuple[str, list[Any], Any]:
    """Text, chunks and headers of a streamed answer."""
    with (
        client(router) as asking,
        asking.chat.completions.with_streaming_response.create(**body_of(text, stream=True, **changes)) as response,
    ):
        chunks = list(response.parse())
    parts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    return "".join(parts), chunks, response.headers


def health(router: RunningRouter) -> Any:
    return httpx.get(f"{router.url}/health").json()


def only(records: list[Record]) -> Record:
    (record,) = records
    return record
