"""What requests learn from each other's failures, second answers, shadows, deadlines and `/metrics`."""

import json
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from router.log.archive import compress_closed
from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import (
    ADAPTER,
    CALL_SITE,
    Setting,
    ask,
    body_of,
    client,
    deploy,
    deployment,
    endpoint,
    health,
    only,
    said,
    write_adapter,
)
from traffic.callsites import CallSite, Registry

PLAIN = {"call_site": "mail.draft", "user_id": "u"}
QUICK = {"failures": 2, "open_s": 0.3, "wait_s": 0.0}
HIGH_STAKES = Registry(call_sites=(CallSite(name=CALL_SITE, high_stakes=True),))


def draft(router: Any, **changes: Any) -> Any:
    """A request of Tier 2."""
    return ask(router, "Write to the client.", metadata=PLAIN, **changes)


def refusal(code: str, message: str = "no") -> fake.Reply:
    error = {"message": message, "type": "invalid_request_error", "code": code, "param": None}
    return fake.Reply(status=400, raw=json.dumps({"error": error}).encode())


def metric(router: Any, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    text = httpx.get(f"{router.url}/metrics").text
    found = 0.0
    for line in re.findall(rf"^{name}(?:{{.*}})? .*$", text, re.MULTILINE):
        if all(f'{key}="{value}"' in line for key, value in labels.items()):
            found += float(line.rpartition(" ")[2])
    return found


def no_retries(**serving: Any) -> dict[str, Any]:
    return {"max_retries": 0, "backoff_s": 0.001, "breaker": QUICK} | serving


# ------------------------------------------------------------------------------------- endpoint health


def test_a_broken_endpoint_is_skipped_until_its_probe_succeeds(setting: Setting) -> None:
    router = setting.start(serving={"backoff_s": 0.001, "breaker": QUICK | {"open_s": 60, "open_cap_s": 60}})
    setting.hosted.script(fake.status(503), fake.status(503))
    assert [draft(router).headers["x-fasttier-attempts"] for _ in range(4)] == ["2", "2", "1", "1"]
    assert (len(setting.hosted.chats), len(setting.spare.chats)) == (2, 4)
    assert health(router)["endpoints"] == {"standard": "open", "spare": "closed"}
    assert metric(router, "fasttier_endpoint_circuit", endpoint="standard") == 2
    circuit = router.router.health_of.circuit(router.router.deps.config.endpoints[0])
    circuit.open_until = time.perf_counter()
    assert draft(router).headers["x-fasttier-endpoint"] == "standard"
    assert health(router)["endpoints"]["standard"] == "closed"


def test_a_dead_small_model_costs_an_attempt_only_for_the_first_requests(setting: Setting) -> None:
    router = setting.start(serving=no_retries(breaker=QUICK | {"open_s": 60}))
    setting.own.script(fake.status(500), fake.status(500))
    responses = [ask(router) for _ in range(3)]
    assert [r.headers["x-fasttier-attempts"] for r in responses] == ["2", "2", "1"]
    assert responses[2].headers["x-fasttier-escalated"] == "unavailable: circuit open after status 500"
    assert router.log[-1].purpose == "serve"


def test_a_429_pauses_the_endpoint_for_all_requests(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.status(429, retry_after=30))
    assert [draft(router).headers["x-fasttier-endpoint"] for _ in range(3)] == ["spare"] * 3
    assert len(setting.hosted.chats) == 1
    assert 0 < metric(router, "fasttier_endpoint_cooling_seconds", endpoint="standard") <= 30


def test_without_an_available_endpoint_retry_after_is_returned_at_once(setting: Setting) -> None:
    router = setting.start(endpoints=setting.endpoints[:1], serving=no_retries(breaker=QUICK | {"open_s": 20}))
    setting.hosted.script(fake.status(503), fake.status(503))
    for _ in range(2):
        with pytest.raises(openai.InternalServerError, match="status 503"):
            draft(router)
    with pytest.raises(openai.InternalServerError, match="standard: circuit open after status 503") as refused:
        draft(router)
    assert (refused.value.status_code, refused.value.response.headers["retry-after"]) == (503, "20")
    assert len(setting.hosted.chats) == 2
    assert (router.log[-1].status, router.log[-1].endpoint) == (503, None)


def test_a_short_wait_for_an_endpoint_is_answered(setting: Setting) -> None:
    breaker = {"failures": 2, "open_s": 0.2, "wait_s": 5.0}
    router = setting.start(endpoints=setting.endpoints[:1], serving=no_retries(breaker=breaker))
    setting.hosted.script(fake.status(503), fake.status(503))
    for _ in range(2):
        with pytest.raises(openai.InternalServerError):
            draft(router)
    with ThreadPoolExecutor(4) as pool:
        answers = [response.result() for response in [pool.submit(draft, router) for _ in range(4)]]
    assert [answer.headers["x-fasttier-endpoint"] for answer in answers] == ["standard"] * 4


def test_replicas_share_the_load_and_a_busy_one_gets_less(setting: Setting) -> None:
    replicas = [e | {"group": "standard"} for e in setting.endpoints]
    router = setting.start(endpoints=replicas)
    gate = threading.Event()
    setting.hosted.script(fake.held(gate))
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(draft, router)
        setting.hosted.wait_for(lambda server: server.in_flight == 1)
        assert [draft(router).headers["x-fasttier-endpoint"] for _ in range(3)] == ["spare"] * 3
        gate.set()
        assert slow.result().headers["x-fasttier-endpoint"] == "standard"
    assert {draft(router).headers["x-fasttier-endpoint"] for _ in range(2)} == {"standard", "spare"}


# ------------------------------------------------------------------------------------------ refusals


def test_a_request_that_is_too_long_goes_to_an_endpoint_with_enough_context(setting: Setting) -> None:
    with FakeOpenAI(api_key="hosted-secret") as large:
        endpoints = [
            setting.endpoints[0] | {"context_tokens": 8_000},
            setting.endpoints[1] | {"context_tokens": 8_000},
            endpoint("large", large.base_url, context_tokens=128_000),
        ]
        router = setting.start(endpoints=endpoints, tiers={1: [], 2: ["standard", "spare"], 3: ["large"]})
        setting.hosted.script(refusal("context_length_exceeded"))
        headers = draft(router).headers
        assert (headers["x-fasttier-endpoint"], headers["x-fasttier-tier"]) == ("large", "3")
        assert [record.purpose for record in router.log] == ["serve", "retry"]
        assert (router.log[0].error or "").startswith("status 400: context_length")
        assert setting.spare.chats == []


def test_a_filtered_request_goes_to_the_next_provider(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(refusal("content_filter"), refusal("invalid_value"))
    assert draft(router).headers["x-fasttier-endpoint"] == "spare"
    with pytest.raises(openai.BadRequestError, match="400 - no"):
        draft(router)
    assert len(setting.spare.chats) == 1


# ------------------------------------------------------------------------------------ second answers


@pytest.mark.parametrize("stream", [False, True])
def test_high_stakes_requests_are_sent_twice(setting: Setting, stream: bool) -> None:
    router = setting.start(registry=HIGH_STAKES)
    with client(router) as asking:
        response = asking.chat.completions.with_raw_response.create(**body_of("refund please", stream=stream))
    assert response.headers["x-fasttier-attempts"] == "2"
    assert response.headers["x-fasttier-tier"] == "1"
    assert [asked.body["temperature"] for asked in setting.own.chats] == [0, 0.7]
    first, second = router.log
    assert [(r.purpose, r.error, r.attempt) for r in (first, second)] == [("serve", None, 1), ("consistency", None, 2)]
    assert second.parent_id == first.id


@pytest.mark.parametrize(
    "second, why",
    [
        (fake.ok("delivery"), "consistency: 'delivery' the second time"),
        (fake.status(503), "consistency: status 503"),
    ],
)
def test_differing_answers_escalate_to_tier_2(setting: Setting, second: fake.Reply, why: str) -> None:
    router = setting.start(registry=HIGH_STAKES)
    setting.own.script(fake.ok("refund"), second)
    response = ask(router)
    assert (said(response), response.headers["x-fasttier-tier"]) == ("refund", "2")
    assert response.headers["x-fasttier-escalated"] == why
    records = router.log
    assert [r.purpose for r in records] == ["serve", "consistency", "escalation"]
    assert records[0].error == f"rejected: {why}"
    assert [r.error is None for r in records] == [False, False, True]


def test_attempts_are_bounded_with_all_features_enabled(setting: Setting) -> None:
    router = setting.start(
        registry=HIGH_STAKES, serving={"backoff_s": 0.001, "breaker": {"failures": 99, "failure_share": 1.0}}
    )
    setting.own.script(fake.ok("refund"), fake.ok("other"))
    for server in (setting.hosted, setting.spare):
        server.default = fake.status(503)
    with pytest.raises(openai.InternalServerError):
        ask(router)
    assert len(router.log) == 5  # 1 + 1 consistency run + 1 escalation + 2 retries


# ------------------------------------------------------------------------------------------- shadows


def test_a_shadow_is_logged_without_delaying_the_client(setting: Setting) -> None:
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url, shadow=True))
    router = setting.start(serving={"max_shadows": 1})
    gate = threading.Event()
    setting.own.script(fake.held(gate, "delivery"))
    response = ask(router)
    assert (response.headers["x-fasttier-tier"], response.headers["x-fasttier-escalated"]) == ("2", "shadow")
    setting.own.wait_for(lambda server: server.in_flight == 1)
    ask(router)
    assert metric(router, "fasttier_shadows_dropped_total") == 1
    assert [record.purpose for record in router.log] == ["serve", "serve"]
    # Stopping waits for the shadow that is under way.
    threading.Timer(0.05, gate.set).start()
    router.__exit__()
    served, _, shadow = router.log
    assert (shadow.purpose, shadow.tier, shadow.adapter, shadow.output.text) == ("shadow", 1, ADAPTER, "delivery")
    assert (shadow.request_id, shadow.error, shadow.escalated) == (served.request_id, None, None)
    assert [asked.body["messages"][0]["content"] for asked in setting.own.chats] == ["intent"]


def test_a_shadow_runs_beside_an_active_adapter(setting: Setting) -> None:
    other = "desk.intent@bbbbbbbb"
    write_adapter(setting.home, other)
    with FakeOpenAI(answer=lambda body: "delivery", models=(other,)) as newer:
        live, shadow = deployment(ADAPTER, setting.own.base_url), deployment(other, newer.base_url, shadow=True)
        deploy(setting.home, live, shadow)
        router = setting.start()
        response = ask(router)
        assert (said(response), response.headers["x-fasttier-tier"]) == ("refund", "1")
        newer.wait_for(lambda server: len(server.chats) == 1)
        router.__exit__()
        assert [(r.purpose, r.adapter) for r in router.log] == [("serve", ADAPTER), ("shadow", other)]


# ---------------------------------------------------------------------------------------- deadlines


def test_the_clients_deadline_applies_and_is_forwarded(setting: Setting) -> None:
    router = setting.start(endpoints=setting.endpoints[:1])
    began = time.perf_counter()
    setting.hosted.script(fake.held(threading.Event()))
    with pytest.raises(openai.InternalServerError) as late:
        draft(router, extra_headers={"x-fasttier-deadline-ms": "300"})
    assert late.value.status_code == 504
    assert time.perf_counter() - began < 2
    sent = setting.hosted.chats[0]
    assert 200 < int(sent.headers["x-fasttier-deadline-ms"]) <= 300
    setting.hosted.wait_for(lambda server: sent.client_left)
    # The client was impatient; the endpoint is not to blame.
    assert router.router.health_of.circuit(router.router.deps.config.endpoints[0]).failures == 0
    with pytest.raises(openai.BadRequestError, match="deadline-ms must be a whole number"):
        draft(router, extra_headers={"x-fasttier-deadline-ms": "soon"})


def test_the_read_timeout_of_openais_client_is_a_deadline(setting: Setting) -> None:
    router = setting.start()
    draft(router, timeout=7)
    assert 6000 < int(setting.hosted.chats[0].headers["x-fasttier-deadline-ms"]) <= 7000


def test_a_tier_can_have_its_own_timeout(setting: Setting) -> None:
    router = setting.start(serving={"tier_timeouts_s": {2: 0.2}, "backoff_s": 0.001})
    setting.hosted.script(fake.held(threading.Event()))
    assert draft(router).headers["x-fasttier-endpoint"] == "spare"
    assert router.log[0].error == "timeout: no answer within 0.2 s"


# -------------------------------------------------------------------------------- cost, metrics, alerts


def test_the_answer_states_the_cost_of_all_attempts(setting: Setting) -> None:
    router = setting.start()
    priced = draft(router)
    assert float(priced.headers["x-fasttier-cost-usd"]) == pytest.approx(only(router.log).cost_usd)
    # An own machine has no price per token: the sum is not known.
    assert "x-fasttier-cost-usd" not in ask(router).headers


def test_metrics_count_requests_escalations_cost_and_time(setting: Setting) -> None:
    router = setting.start()
    setting.own.script(fake.ok("refund"), fake.ok("nonsense"))
    ask(router)
    ask(router)
    draft(router)
    assert metric(router, "fasttier_requests_total", tier="1", outcome="answered", rule="closed label") == 1
    assert metric(router, "fasttier_requests_total", tier="2", outcome="answered") == 2
    assert metric(router, "fasttier_escalations_total", reason="check label") == 1
    assert metric(router, "fasttier_request_seconds_count", tier="2") == 2
    assert metric(router, "fasttier_cost_usd_total", call_site="mail.draft") > 0
    assert metric(router, "fasttier_unpriced_attempts_total") == 0
    assert metric(router, "fasttier_log_total", what="records") == 4
    assert metric(router, "fasttier_requests_in_flight") == 0


def test_metrics_need_a_key_where_keys_are_configured(setting: Setting) -> None:
    router = setting.start(
        serving={"client_keys_env": "CLIENT_KEYS"}, environ={"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "one"}
    )
    assert httpx.get(f"{router.url}/metrics").status_code == 401
    answer = httpx.get(f"{router.url}/metrics", headers={"authorization": "Bearer one"})
    assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (200, "text/plain")


def test_a_changed_prompt_is_reported_once_and_counted(setting: Setting, capsys: pytest.CaptureFixture[str]) -> None:
    router = setting.start()
    for _ in range(3):
        ask(router, messages=[{"role": "user", "content": "Answer with exactly one label: refund or other. refund"}])
    assert metric(router, "fasttier_adapter_not_used_total", reason="no_template", call_site=CALL_SITE) == 3
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "no_template" in line]
    assert json.loads(warning)["call_site"] == CALL_SITE
    assert any("3 requests" in line for line in health(router)["warnings"])


# --------------------------------------------------------------------------------------- the request log


def test_logs_of_ended_routers_are_compressed(setting: Setting) -> None:
    host = re.sub(r"[^A-Za-z0-9.]+", "_", socket.gethostname())
    setting.home.log.mkdir(parents=True)
    (setting.home.log / f"requests-{host}-1-20260101T00.jsonl").write_bytes(b"{}\n")
    router = setting.start()
    give_up = time.monotonic() + 10
    while metric(router, "fasttier_log_total", what="files_compressed") < 1:
        assert time.monotonic() < give_up
    assert [path.name for path in setting.home.log.iterdir()] == [f"requests-{host}-1-20260101T00.jsonl.zst"]


def test_a_compressed_log_is_ingested_as_the_same_log(setting: Setting) -> None:
    router = setting.start()
    for _ in range(3):
        ask(router)
    router.__exit__()
    before = router.log
    command = [sys.executable, "-m", "cli", "ingest", str(setting.home.log), "--json", "--home"]

    def ingested(home: Path) -> dict[str, Any]:
        done = subprocess.run([*command, str(home)], capture_output=True, text=True, check=True)
        summary: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return summary

    plain = ingested(setting.home.root)
    host = re.sub(r"[^A-Za-z0-9.]+", "_", socket.gethostname())
    (written,) = compress_closed(setting.home.log, host, int(time.time() // 3600) + 1)
    assert list(setting.home.log.iterdir()) == [written]
    again, fresh = ingested(setting.home.root), ingested(setting.home.root / "fresh")
    assert (plain["accepted"], fresh["accepted"]) == (len(before), len(before))
    assert again["accepted"] == 0
