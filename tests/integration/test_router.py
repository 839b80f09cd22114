"""The router on a real port, asked with the real `openai` client, in front of fake model servers on real ports."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import openai
import pytest

from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import (
    CALL_SITE,
    LABELS,
    SYSTEM,
    RunningRouter,
    deploy,
    deployment,
    endpoint,
    log_of,
    routing,
    write_adapter,
)
from traffic import config
from traffic.callsites import CallSite, Checks, Registry
from traffic.home import Home
from traffic.record import Record

ADAPTER = "desk.intent@aaaaaaaa"
TAGS = {"call_site": CALL_SITE, "plan": "free", "language": "en", "user_id": "u1", "customer_id": "c1"}


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


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    home = Home(tmp_path / "home")
    write_adapter(home, ADAPTER)
    running: list[RunningRouter] = []
    with (
        FakeOpenAI(answer=label_of, models=(ADAPTER,)) as own,
        FakeOpenAI(answer=label_of, api_key="hosted-secret") as hosted,
        FakeOpenAI(answer=label_of, api_key="hosted-secret") as spare,
    ):
        deploy(home, deployment(ADAPTER, own.base_url))

        def start(**changes: Any) -> RunningRouter:
            given = {key: changes.pop(key) for key in ("registry", "environ") if key in changes}
            endpoints = changes.pop("endpoints", setting.endpoints)
            router = RunningRouter(routing(endpoints, **changes), home, **given)
            running.append(router.__enter__())
            return running[-1]

        setting = Setting(own, hosted, spare, home, start)
        yield setting
        for router in running:
            router.__exit__()


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


# ------------------------------------------------------------------------------------------ the tiers


def test_tier_1_gets_the_pruned_prompt_and_the_client_a_plain_answer(setting: Setting) -> None:
    router = setting.start()
    response = ask(router)
    assert said(response) == "refund"
    assert response.parse().choices[0].logprobs is None
    asked = setting.own.chats[0].body
    assert asked["model"] == ADAPTER
    assert asked["messages"] == [
        {"role": "system", "content": "intent"},
        {"role": "user", "content": "refund please"},
    ]
    assert (asked["logprobs"], asked["top_logprobs"], asked["max_tokens"]) == (True, 5, 16)
    assert "metadata" not in asked
    assert setting.own.chats[0].headers.get("authorization") is None
    headers = {name: value for name, value in response.headers.items() if name.startswith("x-fasttier")}
    assert headers == {
        "x-fasttier-tier": "1",
        "x-fasttier-rule": "closed label",
        "x-fasttier-endpoint": ADAPTER,
        "x-fasttier-attempts": "1",
    }


def test_every_field_of_the_record_is_in_the_log_before_the_client_has_its_answer(setting: Setting) -> None:
    router = setting.start()
    response = ask(router)
    record = only(router.log)
    assert record.request_id == response.headers["x-request-id"]
    assert (record.purpose, record.attempt, record.parent_id) == ("serve", 1, None)
    assert (record.call_site, record.cohort) == (CALL_SITE, {"plan": "free", "language": "en"})
    assert (record.user_id, record.customer_id) == ("u1", "c1")
    assert (record.tier, record.rule, record.endpoint, record.adapter) == (1, "closed label", ADAPTER, ADAPTER)
    assert (record.template, record.request_type) == ("0a1b2c3d", "classification")
    assert record.deployment == f"{CALL_SITE} since 2026-11-23T00:00:00Z"
    assert (record.output.text, record.output.finish_reason, record.status, record.error) == (
        "refund",
        "stop",
        200,
        None,
    )
    assert json.loads(bytes(record.messages))[0]["content"] == SYSTEM
    assert record.confidence == pytest.approx(0.97)
    assert record.usage is not None
    assert record.usage.output == 1
    assert (record.cost_usd, record.provider) == (None, "vllm")
    assert record.latency_ms is not None


def test_other_requests_go_to_their_tier_untouched_and_priced_with_our_key(setting: Setting) -> None:
    router = setting.start()
    tools = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}]
    response = ask(
        router, messages=[{"role": "user", "content": "Write to the client."}], tools=tools, seed=7, max_tokens=50
    )
    assert said(response) == "other"
    asked = setting.hosted.chats[0]
    assert asked.headers["authorization"] == "Bearer hosted-secret"
    assert (asked.body["tools"], asked.body["seed"], asked.body["max_tokens"]) == (tools, 7, 50)
    assert (asked.body["model"], "logprobs" in asked.body) == ("gpt-4o-mini", False)
    record = only(router.log)
    assert (record.tier, record.rule, record.endpoint, record.escalated) == (2, "default", "standard", None)
    assert record.cost_usd is not None
    assert record.cost_usd > 0
    assert record.price_source
    assert record.params.other["seed"] == 7


def test_the_registry_caps_the_output_and_names_the_call_site_of_the_header(setting: Setting) -> None:
    registry = Registry(call_sites=(CallSite(name="mail.draft", max_tokens=40, visibility="human"),))
    router = setting.start(registry=registry)
    messages = [{"role": "user", "content": "Write to the client."}]
    ask(router, messages=messages, metadata={}, extra_headers={"x-fasttier-call-site": "mail.draft"})
    ask(router, messages=messages, metadata={"feature": "mail.draft"}, max_completion_tokens=9)
    caps = [asked.body["max_completion_tokens"] for asked in setting.hosted.chats]
    assert caps == [40, 9]
    assert [(record.call_site, record.visibility) for record in router.log] == [("mail.draft", "human")] * 2


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"metadata": {"call_site": "desk.other"}}, "no_deployment"),
        ({"messages": [{"role": "user", "content": f"{SYSTEM}\nrefund"}]}, "no_template"),
        ({"n": 2}, "several_choices"),
    ],
)
def test_what_the_adapter_was_not_trained_for_goes_to_tier_2_and_the_log_says_why(
    setting: Setting, changes: dict[str, Any], reason: str
) -> None:
    router = setting.start()
    response = ask(router, **changes)
    assert (response.headers["x-fasttier-tier"], response.headers["x-fasttier-escalated"]) == ("2", reason)
    record = only(router.log)
    assert (record.purpose, record.tier, record.escalated, record.adapter) == ("serve", 2, reason, None)
    assert not setting.own.chats


def test_a_rule_can_refuse_a_request_without_asking_a_model(setting: Setting) -> None:
    router = setting.start()
    with pytest.raises(openai.PermissionDeniedError, match="debug calls are off"):
        ask(router, metadata={"call_site": "x.debug"})
    record = only(router.log)
    assert (record.status, record.rule, record.tier, record.endpoint) == (403, "debug", None, None)


# ----------------------------------------------------------------------------------------- streaming


def test_a_judged_answer_is_streamed_after_it_was_judged(setting: Setting) -> None:
    router = setting.start()
    text, chunks, headers = streamed(router, stream_options={"include_usage": True})
    assert (text, headers["x-fasttier-tier"]) == ("refund", "1")
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert chunks[-1].usage.completion_tokens == 1
    assert "stream" not in setting.own.chats[0].body
    record = only(router.log)
    assert (record.params.stream, record.output.text) == (True, "refund")


def test_an_answer_without_checks_of_its_own_is_streamed_as_it_comes_without_log_probabilities(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_adapter(home, ADAPTER, checks=Checks())
    with FakeOpenAI(answer=lambda body: "one two three") as own:
        deploy(home, deployment(ADAPTER, own.base_url))
        with RunningRouter(routing([endpoint("standard", "http://127.0.0.1:9/v1")]), home) as router:
            text, chunks, _ = streamed(router)
            assert text == "one two three"
            assert len(chunks) == 5
            assert all(choice.logprobs is None for chunk in chunks for choice in chunk.choices)
            record = only(router.log)
    assert record.confidence == pytest.approx(0.97)
    assert record.ttft_ms is not None
    assert record.usage is not None
    assert record.usage.output == 3


def test_a_hosted_stream_passes_through_with_its_usage_only_if_asked_for(setting: Setting) -> None:
    router = setting.start()
    messages = [{"role": "user", "content": "Write to the client about the delivery."}]
    text, chunks, _ = streamed(router, messages=messages)
    assert text == "delivery"
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)
    _, chunks, _ = streamed(router, messages=messages, stream_options={"include_usage": True})
    assert chunks[-1].usage.completion_tokens == 1
    assert all(record.usage is not None and record.cost_usd for record in router.log)


def test_a_stream_that_breaks_before_its_first_token_is_answered_by_another_endpoint(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.cut(0))
    text, _, headers = streamed(router, messages=[{"role": "user", "content": "Write about the refund."}])
    assert (text, headers["x-fasttier-endpoint"], headers["x-fasttier-attempts"]) == ("refund", "spare", "2")
    first, second = router.log
    assert first.error
    assert (first.output.finish_reason, second.purpose, second.parent_id) == (None, "retry", first.id)


def test_a_stream_whose_first_token_does_not_come_is_answered_by_another_endpoint(setting: Setting) -> None:
    setting.hosted.script(fake.held(threading.Event()))
    impatient = endpoint("standard", setting.hosted.base_url, first_token_timeout_s=0.2)
    router = setting.start(endpoints=[impatient, endpoint("spare", setting.spare.base_url)])
    text, _, _ = streamed(router, messages=[{"role": "user", "content": "Write about the refund."}])
    assert text == "refund"
    assert [record.error for record in router.log] == ["timeout: no first token within 0.2 s", None]


def test_a_stream_that_breaks_later_is_an_error_for_the_client_and_in_the_log(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.cut(2, "one two three four"))
    with pytest.raises(openai.APIError, match="connection"):
        streamed(router, messages=[{"role": "user", "content": "Write."}])
    record = only(router.log)
    assert (record.status, record.output.text, record.output.finish_reason) == (200, "one two", None)
    assert record.error


def test_a_stream_without_a_finish_reason_is_a_failure(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.ok("one", finish_reason=None))
    with pytest.raises(openai.APIError, match="finish reason"):
        streamed(router, messages=[{"role": "user", "content": "Write."}])
    assert only(router.log).error == "cut: the stream ended without a finish reason"


# ---------------------------------------------------------------------------------------- escalation


@pytest.mark.parametrize(
    "reply, serving, why",
    [
        (fake.status(503), {}, "status 503"),
        (fake.status(404), {}, "status 404"),
        (fake.garbage(), {}, "check label: "),
        (fake.broken_body(), {}, "the body is no chat completion"),
        (fake.cut(0), {}, "connection: "),
        (fake.ok("refund", confidence=0.6), {"min_margin": 0.5}, "confidence min_margin 0.4 < 0.5"),
        (fake.held(threading.Event()), {"tier1_timeout_s": 0.2}, "timeout: no answer within 0.2 s"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_tier_2_answers_when_tier_1_cannot(
    setting: Setting, reply: fake.Reply, serving: dict[str, Any], why: str, stream: bool
) -> None:
    router = setting.start(serving=serving)
    setting.own.script(reply)
    if stream:
        text, _, headers = streamed(router)
    else:
        response = ask(router)
        text, headers = said(response), response.headers
    assert (text, headers["x-fasttier-tier"], headers["x-fasttier-attempts"]) == ("refund", "2", "2")
    assert headers["x-fasttier-escalated"].startswith(why)
    assert setting.hosted.chats[0].body["messages"][0]["content"] == SYSTEM
    first, second = router.log
    assert first.request_id == second.request_id
    assert (first.purpose, first.tier, first.adapter) == ("serve", 1, ADAPTER)
    assert first.error is not None
    assert why in first.error
    assert (second.purpose, second.tier, second.parent_id, second.error) == ("escalation", 2, first.id, None)
    assert second.escalated is not None
    assert second.escalated.startswith(why)


def test_the_calibration_of_a_deployment_decides_on_its_own_signal(setting: Setting) -> None:
    path = setting.home.root / "calibration.yaml"
    path.write_text("signal: mean_logprob\nthreshold: -0.1\nn: 500\ntarget_risk: 0.05\n")
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url, calibration=str(path)))
    router = setting.start()
    setting.own.script(fake.ok("refund", confidence=0.95), fake.ok("refund", confidence=0.8))
    assert [ask(router).headers["x-fasttier-tier"] for _ in range(2)] == ["1", "2"]
    assert router.log[1].error == "rejected: confidence mean_logprob -0.2231 < -0.1"


def test_hosted_failures_are_retried_elsewhere_and_then_once_more(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.status(503))
    setting.spare.script(fake.status(500))
    response = ask(router, messages=[{"role": "user", "content": "Write."}])
    assert response.headers["x-fasttier-attempts"] == "3"
    assert [(record.endpoint, record.purpose, record.status) for record in router.log] == [
        ("standard", "serve", 503),
        ("spare", "retry", 500),
        ("standard", "retry", 200),
    ]


def test_attempts_are_bounded_across_all_layers_the_clients_sdk_included(setting: Setting) -> None:
    router = setting.start()
    for server in (setting.own, setting.hosted, setting.spare):
        server.default = fake.status(503)
    with pytest.raises(openai.InternalServerError, match="endpoint standard: status 503"):
        ask(router)
    assert [record.endpoint for record in router.log] == [ADAPTER, "standard", "spare", "standard"]
    assert all(record.error for record in router.log)


def test_a_throttled_model_is_asked_again_when_it_said_or_the_client_is_told(setting: Setting) -> None:
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["spare"]}, serving={"deadline_s": 5})
    setting.hosted.script(fake.status(429, retry_after=0.05), fake.ok("refund"), fake.status(429, retry_after=60))
    messages = [{"role": "user", "content": "Write."}]
    assert said(ask(router, messages=messages)) == "refund"
    first, second = router.log
    assert (second.ts - first.ts).total_seconds() >= 0.05
    with pytest.raises(openai.RateLimitError) as caught:
        ask(router, messages=messages)
    assert int(caught.value.response.headers["retry-after"]) >= 60
    assert len(router.log) == 3


def test_no_request_outlives_its_deadline(setting: Setting) -> None:
    gate = threading.Event()
    setting.hosted.default = setting.spare.default = fake.held(gate)
    router = setting.start(serving={"deadline_s": 0.5})
    began = time.monotonic()
    with pytest.raises(openai.InternalServerError, match=r"timeout: no answer within 0\.5 s") as caught:
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert caught.value.status_code == 504
    assert time.monotonic() - began < 5
    assert only(router.log).status == 0


def test_a_4xx_of_a_hosted_model_is_the_clients_and_is_not_retried(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.status(400, message="bad seed"))
    with pytest.raises(openai.BadRequestError, match="bad seed"):
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert only(router.log).error == "status 400"


def test_a_rejected_key_is_not_blamed_on_the_client(setting: Setting) -> None:
    router = setting.start(environ={"HOSTED_KEY": "wrong"})
    with pytest.raises(openai.InternalServerError, match="endpoint standard: status 401") as caught:
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert caught.value.status_code == 502
    assert "wrong" not in str(caught.value)


def test_a_missing_key_is_a_warning_and_a_503_that_names_the_variable(setting: Setting) -> None:
    router = setting.start(environ={})
    assert any("HOSTED_KEY" in warning for warning in health(router)["warnings"])
    assert said(ask(router)) == "refund"
    with pytest.raises(openai.InternalServerError, match="environment variable HOSTED_KEY is not set") as caught:
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert caught.value.status_code == 503
    setting.own.script(fake.garbage())
    with pytest.raises(openai.InternalServerError, match="HOSTED_KEY is not set"):
        ask(router)


def test_when_the_small_model_dies_in_the_middle_every_request_is_still_answered(setting: Setting) -> None:
    texts = [f"{LABELS[n % 3]} number {n}" for n in range(60)]
    with contextlib.ExitStack() as alive:
        dying = alive.enter_context(FakeOpenAI(answer=label_of))
        deploy(setting.home, deployment(ADAPTER, dying.base_url))
        router = setting.start()

        def one(number: int) -> str:
            if number == 20:
                alive.close()
            return said(ask(router, texts[number]))

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(one, range(len(texts))))
    assert answers == [text.split()[0] for text in texts]
    records = router.log
    final = {record.request_id: record for record in records if record.error is None}
    assert len(final) == 60
    assert {record.endpoint for record in final.values()} == {ADAPTER, "standard"}
    lost = [record for record in records if record.error is not None]
    assert len(records) == 60 + len(lost)
    assert all(record.adapter == ADAPTER and record.error.startswith("connection") for record in lost if record.error)
    assert {final[record.request_id].purpose for record in lost} == {"escalation"}


def test_a_client_that_hangs_up_cancels_the_request_upstream(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.held(threading.Event()))
    body = json.dumps({"messages": [{"role": "user", "content": "Write."}]}).encode()
    host, port = router.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        setting.hosted.wait_for(lambda server: server.in_flight == 1)
    setting.hosted.wait_for(lambda server: server.chats[0].client_left)
    assert said(ask(router)) == "refund"
    gone = next(record for record in router.log if record.endpoint == "standard")
    assert (gone.status, gone.error) == (499, "client disconnected")


# ------------------------------------------------------------------------------------ reload, the API


def wait_until(condition: Callable[[], bool], router: RunningRouter) -> None:
    """Look at the deployments until the condition holds, as the router does once a second."""
    for _ in range(100):
        router.router.watcher.look()
        if condition():
            return
    raise TimeoutError("the router did not take notice")


def test_a_new_deployment_takes_over_and_a_rolled_back_one_stops(setting: Setting) -> None:
    router = setting.start()
    assert ask(router).headers["x-fasttier-tier"] == "1"
    setting.own.models = ()
    write_adapter(setting.home, "desk.intent@bbbbbbbb")
    deploy(setting.home, deployment("desk.intent@bbbbbbbb", setting.own.base_url))
    wait_until(lambda: router.router.watcher.reloads == 2, router)
    assert ask(router).headers["x-fasttier-endpoint"] == "desk.intent@bbbbbbbb"
    deploy(setting.home)
    wait_until(lambda: router.router.watcher.reloads == 3, router)
    assert ask(router).headers["x-fasttier-escalated"] == "no_deployment"


def test_the_router_sees_a_change_by_itself(setting: Setting) -> None:
    router = setting.start()
    assert [e["adapter"] for e in health(router)["deployments"]["entries"]] == [ADAPTER]
    deploy(setting.home)
    gone = threading.Event()
    for _ in range(100):
        if not health(router)["deployments"]["entries"]:
            gone.set()
            break
        gone.wait(0.1)
    assert gone.is_set()


@pytest.mark.parametrize(
    "spoil, says",
    [
        (lambda path: path.write_text("entries: [{"), "not valid YAML"),
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.write_text(path.read_text().replace("aaaaaaaa", "cccccccc")), "adapter.yaml"),
    ],
)
def test_a_broken_or_missing_table_keeps_the_last_good_one_and_says_so(
    setting: Setting, spoil: Callable[[Path], Any], says: str
) -> None:
    router = setting.start()
    assert said(ask(router)) == "refund"
    spoil(setting.home.deployments)
    wait_until(lambda: router.router.watcher.error is not None, router)
    assert ask(router).headers["x-fasttier-tier"] == "1"
    told = health(router)
    assert says in told["deployments"]["error"]
    assert (told["status"], told["ready"]) == ("degraded", True)
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url))
    wait_until(lambda: router.router.watcher.error is None, router)


def test_models_and_unknown_paths_answer_in_openais_form(setting: Setting) -> None:
    router = setting.start()
    with client(router) as asking:
        assert [model.id for model in asking.models.list()] == ["fasttier", ADAPTER, "gpt-4o-mini"]
        with pytest.raises(openai.NotFoundError, match="/v1/embeddings is not served here"):
            asking.embeddings.create(model="m", input="x")


@pytest.mark.parametrize(
    "body, kind, status",
    [
        (b"{", "application/json", 400),
        (b'{"messages": "hello"}', "application/json", 400),
        (b'{"messages": []}', "application/json", 400),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "text/plain", 415),
        (b'{"messages": [{"role": "user", "content": "' + b"x" * 20_000 + b'"}]}', "application/json", 413),
    ],
)
def test_what_cannot_be_read_is_refused(setting: Setting, body: bytes, kind: str, status: int) -> None:
    router = setting.start(serving={"max_body_mib": 0.01})
    response = httpx.post(f"{router.base_url}/chat/completions", content=body, headers={"content-type": kind})
    assert response.status_code == status
    assert response.json()["error"]["type"] == "invalid_request_error"
    assert router.log == []


def test_clients_need_a_key_where_keys_are_configured(setting: Setting) -> None:
    keys = {"HOSTED_KEY": "hosted-secret", "CLIENT_KEYS": "other, client-secret"}
    router = setting.start(serving={"client_keys_env": "CLIENT_KEYS"}, environ=keys)
    assert said(ask(router)) == "refund"
    with (
        openai.OpenAI(base_url=router.base_url, api_key="guess", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()
    assert health(router) == {"status": "ok", "ready": True}


# ------------------------------------------------------------------------------------- the request log

SERVE = """
    import sys
    from pathlib import Path
    from router import server
    from traffic import callsites, tiers
    from traffic.home import Home
    from traffic.prices import PriceTable

    done = server.run(
        tiers.load(Path(sys.argv[1])), home=Home(Path(sys.argv[2])), registry=callsites.Registry(),
        prices=PriceTable.load(), port=0, announce=lambda line: print(line, flush=True),
    )
    print(done.lines()[0], flush=True)
"""


@pytest.fixture
def process(setting: Setting, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The router as a process of its own, and its base URL."""
    path = tmp_path / "router.yaml"
    path.write_text(config.dump(routing(setting.endpoints)))
    command = [sys.executable, "-c", textwrap.dedent(SERVE), str(path), str(setting.home.root)]
    environ = os.environ | {"HOSTED_KEY": "hosted-secret", "PYTHONPATH": "."}
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        yield started, next(line for line in started.stdout if line.startswith("router on ")).split()[2]
        started.kill()


def test_no_answered_request_is_missing_from_the_log_after_kill_9(
    setting: Setting, process: tuple[subprocess.Popen[str], str]
) -> None:
    router, address = process
    answered: list[str] = []

    def one(number: int) -> None:
        with openai.OpenAI(base_url=address, api_key="k", max_retries=0, timeout=30) as asking:
            response = asking.chat.completions.with_raw_response.create(
                model="m", messages=[{"role": "user", "content": f"Write {number}."}]
            )
            answered.append(response.headers["x-request-id"])
            if number == 30:
                router.kill()

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(one, number) for number in range(60)]
        errors = [future.exception() for future in done]
    assert router.wait(10) == -signal.SIGKILL
    assert all(error is None or isinstance(error, openai.APIConnectionError) for error in errors)
    assert len(answered) >= 30
    assert set(answered) <= {record.request_id for record in log_of(setting.home)}


def test_a_router_that_is_stopped_finishes_what_it_has_begun(
    setting: Setting, process: tuple[subprocess.Popen[str], str]
) -> None:
    router, address = process
    gate = threading.Event()
    setting.hosted.script(fake.held(gate, "done"))

    def one() -> str | None:
        with openai.OpenAI(base_url=address, api_key="k", max_retries=0, timeout=30) as asking:
            answer = asking.chat.completions.create(model="m", messages=[{"role": "user", "content": "Write."}])
            return answer.choices[0].message.content

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(one)
        setting.hosted.wait_for(lambda server: server.in_flight == 1)
        router.send_signal(signal.SIGTERM)
        gate.set()
        assert asked.result() == "done"
    assert router.wait(20) == 0
    assert router.stdout is not None
    assert router.stdout.read() == "answered 1 requests with 1 attempts: 0 escalated, 0 got an error\n"


def test_an_answer_that_cannot_be_logged_does_not_go_out(setting: Setting) -> None:
    setting.home.log.write_text("in the way")
    router = setting.start()
    response = httpx.post(f"{router.base_url}/chat/completions", json=body_of("refund please"))
    assert response.status_code == 500
    assert response.json()["error"]["message"] == "the router failed: FileExistsError"


def test_ingest_counts_what_the_router_answered(setting: Setting) -> None:
    router = setting.start()
    for number in range(12):
        if number % 4 == 0:
            setting.own.script(fake.garbage())
        streamed(router) if number % 2 else ask(router)
    command = [
        sys.executable,
        "fasttier.py",
        "ingest",
        str(setting.home.log),
        "--json",
        "--home",
        str(setting.home.root),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    summary = json.loads(done.stdout.splitlines()[-1])
    records = router.log
    assert (summary["read"], summary["accepted"], summary["rejected"]) == (15, 15, 0)
    assert len(records) == 15
    assert len({record.request_id for record in records}) == 12
    assert sum(record.error is None for record in records) == 12
    assert summary["call_sites"] == {CALL_SITE: 15}
