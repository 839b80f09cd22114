"""The rules through the command (explain, replay), and their configuration on a running router."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from pipeline import store
from router.config_reload import Sources
from tests.fakes.router import CALL_SITE, SYSTEM, RunningRouter, Setting, endpoint, routing
from traffic import callsites, config, tiers
from traffic.artifacts import Home
from traffic.callsites import CallSite, Registry
from traffic.record import Output, Record, Usage

pytestmark = pytest.mark.integration

ROOT = Path(config.__file__).resolve().parent.parent
LABEL = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "refund please"}]
HARD = [{"role": "user", "content": "Prove by induction, step by step, that 3 divides n^3 - n."}]
KEYS = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "plain,bound=desk.intent,acme=customer:acme"}


def command(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        input=stdin, capture_output=True, text=True, check=False, env={"PATH": ""},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def post(router: RunningRouter, messages: list[dict[str, str]], key: str = "client-secret", **body: Any) -> Any:
    return httpx.post(
        f"{router.base_url}/chat/completions",
        json={"messages": messages} | body,
        headers={"authorization": f"Bearer {key}"},
        timeout=20,
    )


# -------------------------------------------------------------------------------------------------- explain


def test_explain_needs_neither_key_nor_server(tmp_path: Path) -> None:
    body = json.dumps({"model": "m", "messages": LABEL})
    arguments = ("explain", "-", "--call-site", "a.b", "--home", str(tmp_path))
    status, out, err = command(*arguments, stdin=body)
    assert (status, err) == (0, "")
    assert "code: did not match because request_type is classification, not code" in out
    assert "closed label: fired" in out
    assert "environment variable OPENAI_API_KEY is not set" in out
    status, out, _ = command(*arguments, "--json", stdin=body)
    found = json.loads(out)
    assert (found["tier"], found["rule"], found["call_site"]) == (1, "closed label", "a.b")
    assert found["features"]["asks_label"] is True


@pytest.mark.parametrize(
    "arguments, stdin, says",
    [
        (("explain", "-"), "{", "not valid JSON"),
        (("explain", "missing.json"), None, "missing.json"),
        (("route", "--explain", "-"), "{}", "fasttier explain"),
        (("route", "--replay"), None, "fasttier replay"),
        (("replay", "--gold", "missing.jsonl"), None, "missing.jsonl"),
        (("replay",), None, "fasttier ingest"),
    ],
)
def test_a_user_error_is_one_line(tmp_path: Path, arguments: tuple[str, ...], stdin: str | None, says: str) -> None:
    status, out, err = command(*arguments, "--home", str(tmp_path), stdin=stdin)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


# --------------------------------------------------------------------------------------------------- replay


@pytest.fixture
def logged(tmp_path: Path) -> Home:
    """Three days with 60 easy requests and 20 hard ones of another call site, whose cost is unknown."""
    home = Home(tmp_path / "home")
    records = [
        Record(
            id=f"r{n:03}",
            request_id=f"r{n:03}",
            ts=datetime(2026, 10, 1, 8, tzinfo=UTC) + timedelta(hours=n),
            call_site="shop.topic" if n % 4 else "tutor",
            messages=msgspec.Raw(msgspec.json.encode(LABEL if n % 4 else HARD)),
            output=Output(text="refund", finish_reason="stop"),
            usage=Usage(input_uncached=90_000, output=2_000),
            model="big-model",
            tier=1 if n % 4 else 2,
            cost_usd=0.01 if n % 4 else None,
            source_format="test",
        )
        for n in range(80)
    ]
    store.append(home, records, source="test")
    return home


def replayed(home: Home, *arguments: str) -> dict[str, Any]:
    status, out, err = command("replay", str(home.records), *arguments, "--json")
    assert (status, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found


def test_replay_shows_shares_spend_changes_and_errors_against_gold(logged: Home, tmp_path: Path) -> None:
    gold = tmp_path / "gold.jsonl"
    lines = [{"id": f"r{n:03}", "tier_true": 3 if n % 4 == 0 else 2 if n == 1 else 1} for n in range(80)]
    gold.write_text("\n".join(map(json.dumps, lines)))
    found = replayed(logged, "--gold", str(gold))
    assert [tier["requests"] for tier in found["tiers"]] == [60, 0, 20]
    # 60 requests of 90,000 and 2,000 tokens at the hosted small model's price.
    assert 0 < found["tiers"][0]["month_usd"] < 10
    assert found["tiers"][2]["logged_month_usd"] is None
    assert found["month_without_adapter_usd"] > found["month_usd"] > 0
    assert (found["uncosted"], found["changed"], found["compared"]) == (20, {"2->3": 20}, 80)
    assert found["gold"]["confusion"] == {"1->1": 59, "2->1": 1, "3->3": 20}
    assert found["gold"]["sent_low_share"] == pytest.approx(1 / 80)
    assert found["call_sites"][0]["call_site"] == "shop.topic"


def test_replay_compares_configurations_and_can_ignore_the_registry(logged: Home, tmp_path: Path) -> None:
    other = config.dump(tiers.load(config.CONFIGS / "router.yaml"))
    (tmp_path / "other.yaml").write_text(other.replace("tier: 3", "tier: 2"))
    registry = tmp_path / "sites.yaml"
    registry.write_text("call_sites: [{name: shop.topic, tier: 3}]")
    found = replayed(logged, "--call-sites", str(registry), "--against", str(tmp_path / "other.yaml"))
    assert [tier["requests"] for tier in found["tiers"]] == [0, 0, 80]
    assert found["changed"] == {"2->3": 20}
    alone = replayed(logged, "--call-sites", str(registry), "--no-call-sites")
    assert [tier["requests"] for tier in alone["tiers"]] == [60, 0, 20]


def test_a_model_without_a_price_makes_the_projection_unknown_and_never_zero(logged: Home) -> None:
    unpriced = '[{name: a, kind: openai, base_url: "https://a.example.com", model: none-such}]'
    found = replayed(logged, "--set", f"endpoints={unpriced}", "--set", "tiers={1: [a], 2: [a], 3: [a]}")
    assert [tier["month_usd"] for tier in found["tiers"]] == [None, None, None]
    assert (found["month_usd"], found["month_without_adapter_usd"]) == (None, None)
    assert any("no price for none-such" in note for note in found["notes"])


# ------------------------------------------------------------------------------- call sites, keys and plans


def test_a_model_name_or_a_bound_key_names_the_call_site(setting: Setting) -> None:
    router = setting.start(serving={"client_keys_env": "CLIENT_KEYS", "backoff_s": 0.001}, environ=KEYS)
    assert post(router, LABEL, "plain", model="fasttier/desk.intent").headers["x-fasttier-tier"] == "1"
    assert post(router, LABEL, "plain", model=CALL_SITE).headers["x-fasttier-tier"] == "1"
    assert post(router, LABEL, "bound", metadata={"call_site": "other"}).headers["x-fasttier-tier"] == "1"
    assert post(router, LABEL, "plain", model="some-model").headers["x-fasttier-tier"] == "2"
    assert post(router, LABEL, "acme").status_code == 200
    assert post(router, LABEL, "acme=customer:acme").status_code == 401
    sites = [(r.call_site, r.customer_id) for r in router.log]
    assert sites == [*[(CALL_SITE, None)] * 3, (None, None), (None, "acme")]


def test_unknown_call_sites_are_counted_or_refused(setting: Setting) -> None:
    lenient = setting.start()
    assert post(lenient, LABEL, metadata={"call_site": "new.place"}).status_code == 200
    assert httpx.get(f"{lenient.url}/health").json()["unknown_call_sites"] == {"new.place": 1}
    strict = setting.start(unknown_call_sites="refuse", registry=Registry(call_sites=(CallSite(name="known"),)))
    refused = post(strict, LABEL, metadata={"call_site": "new.place"})
    assert refused.status_code == 403
    assert "'new.place' has no entry" in refused.json()["error"]["message"]
    assert post(strict, LABEL).status_code == 403
    assert post(strict, LABEL, metadata={"call_site": "known"}).status_code == 200
    assert post(strict, LABEL, metadata={"call_site": CALL_SITE}).status_code == 200


def test_heavy_requests_beyond_the_plans_limit_go_to_tier_2(setting: Setting) -> None:
    router = setting.start(plans={"free": {"heavy_escalations_per_day": 1}})
    asked = {"metadata": {"plan": "free", "user_id": "u1", "call_site": "tutor"}}
    assert [post(router, HARD, **asked).headers["x-fasttier-tier"] for _ in range(2)] == ["3", "2"]
    assert [r.rule for r in router.log] == ["hard", "hard + plan free"]


# --------------------------------------------------------------------------------------------------- reload


def test_rule_changes_are_reloaded_without_dropping_requests(setting: Setting, tmp_path: Path) -> None:
    first = routing(setting.endpoints)
    path, sites = tmp_path / "router.yaml", tmp_path / "callsites.yaml"
    path.write_text(config.dump(first))
    sites.write_text("call_sites: []")
    sources = Sources(routing=path, call_sites=sites, prices=config.CONFIGS / "prices.yaml")
    loaded = tiers.load(path)
    with RunningRouter(loaded, setting.home, registry=callsites.load(sites), sources=sources) as router:

        def until(done: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
            """Asks all the while: no request may fail, whatever happens to the files."""
            for _ in range(2000):
                assert post(router, HARD).status_code == 200
                health: dict[str, Any] = httpx.get(f"{router.url}/health").json()
                if done(health):
                    return health
            raise AssertionError("not taken")

        assert post(router, HARD).headers["x-fasttier-tier"] == "3"
        moved = config.dump(routing(setting.endpoints, serving={"port": 8081, "backoff_s": 0.001}))
        path.write_text(moved.replace("tier: 3\n", "tier: 2\n"))
        health = until(lambda found: found["configuration"]["reloads"] == 1)
        assert "serving.port changed in router.yaml: takes effect at the next start" in health["warnings"]
        assert post(router, HARD).headers["x-fasttier-tier"] == "2"

        path.write_text("rules: [")
        health = until(lambda found: found["configuration"]["error"] is not None)
        assert health["status"] == "degraded"
        assert str(path) in health["configuration"]["error"]
        assert 'fasttier_reload_error{file="configuration"} 1' in httpx.get(f"{router.url}/metrics").text
        assert post(router, HARD).headers["x-fasttier-tier"] == "2"

        path.write_text(config.dump(first))
        until(lambda found: found["configuration"]["error"] is None)
        assert post(router, HARD).headers["x-fasttier-tier"] == "3"
        assert endpoint("standard", setting.hosted.base_url)["name"] in [
            e.name for e in router.router.deps.config.endpoints
        ]
