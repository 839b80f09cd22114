"""Refusals of our own account, limits on time, and unsure answers where Tier 2 fails."""

import json
import socket
import time
from typing import Any

import httpx
import openai
import pytest

from tests.fakes import openai_server as fake
from tests.fakes.router import ADAPTER, RunningRouter, Setting, ask, body_of, client, deploy, deployment, endpoint
from traffic.callsites import CallSite, Registry

pytestmark = pytest.mark.integration

WRITE = [{"role": "user", "content": "Write."}]
ACCOUNT = [
    fake.status(401, message="Incorrect API key provided: sk-abcdefgh12345678"),
    fake.Reply(status=402, raw=b'{"error": {"message": "Insufficient credits", "code": 402}}'),
    fake.status(403, message="no access"),
    fake.Reply(status=404, raw=b'{"error": {"message": "The model `x` is gone", "code": "model_not_found"}}'),
    fake.Reply(status=400, raw=b'{"error": {"message": "Your credit balance is too low"}}'),
    fake.Reply(status=429, raw=b'{"error": {"message": "quota", "code": "insufficient_quota"}}'),
]


def health(router: RunningRouter) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{router.url}/health").json()
    return found


@pytest.mark.parametrize("reply", ACCOUNT, ids=["401", "402", "403", "404", "400", "429"])
def test_an_account_error_is_hidden_from_clients_and_pauses_the_endpoint(setting: Setting, reply: fake.Reply) -> None:
    setting.hosted.default = reply
    router = setting.start()
    answers = [ask(router, messages=WRITE) for _ in range(4)]
    assert [answer.headers["x-fasttier-endpoint"] for answer in answers] == ["spare"] * 4
    assert len(setting.hosted.chats) == 1
    found = health(router)
    assert found["status"] == "degraded"
    assert found["endpoints"]["standard"] == "resting"
    assert any("standard" in warning for warning in found["warnings"])
    assert 'fasttier_endpoint_circuit{endpoint="standard"} 3.0' in httpx.get(f"{router.url}/metrics").text
    logged = router.log[0].error or ""
    assert logged.startswith(f"status {reply.status}: account")
    assert "abcdefgh" not in logged


@pytest.mark.parametrize("reply", ACCOUNT, ids=["401", "402", "403", "404", "400", "429"])
def test_an_account_error_of_every_endpoint_is_a_bad_gateway(setting: Setting, reply: fake.Reply) -> None:
    setting.hosted.default = setting.spare.default = reply
    with pytest.raises(openai.InternalServerError) as caught:
        ask(setting.start(), messages=WRITE)
    assert (caught.value.status_code, caught.value.type) == (502, "upstream_error")


def test_a_probe_reactivates_an_endpoint_whose_account_works_again(setting: Setting) -> None:
    setting.hosted.script(fake.status(401))
    router = setting.start()
    ask(router, messages=WRITE)
    for circuit in router.router.health_of.circuits.values():
        if circuit.rest_until is not None:
            circuit.rest_until = time.perf_counter()
    setting.hosted.wait_for(lambda server: len(server.chats) == 2)
    deadline = time.monotonic() + 5
    while health(router)["endpoints"]["standard"] != "closed" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ask(router, messages=WRITE).headers["x-fasttier-endpoint"] == "standard"
    assert [record.purpose for record in router.log] == ["serve", "retry", "audit", "serve"]


def test_a_request_with_an_unsupported_parameter_goes_to_the_next_endpoint(setting: Setting) -> None:
    message = "Unsupported parameter: 'top_k' is not supported with this model."
    setting.hosted.script(fake.status(400, message=message))
    router = setting.start()
    assert ask(router, messages=WRITE).headers["x-fasttier-endpoint"] == "spare"
    assert health(router)["endpoints"]["standard"] == "closed"


def test_a_paused_endpoint_is_tried_if_no_other_is_available(setting: Setting) -> None:
    setting.hosted.script(fake.status(401))
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["standard"]})
    with pytest.raises(openai.InternalServerError):
        ask(router, messages=WRITE)
    assert health(router)["endpoints"]["standard"] == "resting"
    assert ask(router, messages=WRITE).headers["x-fasttier-endpoint"] == "standard"
    assert health(router)["endpoints"]["standard"] == "closed"


@pytest.mark.parametrize(
    "message, body, sent",
    [
        (
            "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            {"max_tokens": 9},
            "max_completion_tokens",
        ),
        (
            "messages[0].role: unknown variant `developer`, expected one of `system`, `user`",
            {"messages": [{"role": "developer", "content": "be brief"}, *WRITE]},
            "messages",
        ),
    ],
)
def test_an_endpoint_that_names_a_replacement_parameter_gets_it(
    setting: Setting, message: str, body: dict[str, Any], sent: str
) -> None:
    setting.hosted.script(fake.status(400, message=message))
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["standard"]})
    for _ in range(2):
        answer = httpx.post(f"{router.base_url}/chat/completions", json=body_of("x", messages=WRITE) | body, timeout=20)
        assert answer.status_code == 200
    first, *later = [asked.body for asked in setting.hosted.chats]
    assert len(later) == 2
    assert all(asked[sent] == later[0][sent] != first.get(sent) for asked in later)
    assert any("standard" in warning for warning in health(router)["warnings"])


@pytest.mark.parametrize(
    "raw, text",
    [
        (b'{"error": "temperature must be positive", "error_type": "validation"}', "temperature must be positive"),
        (b'{"detail": [{"loc": ["body", "n"], "msg": "too large"}]}', "body.n: too large"),
        (b'{"object": "error", "message": "flat", "code": 400}', "flat"),
    ],
)
def test_the_text_of_a_4xx_reaches_the_client(setting: Setting, raw: bytes, text: str) -> None:
    setting.hosted.default = fake.Reply(status=400, raw=raw)
    router = setting.start()
    with pytest.raises(openai.BadRequestError) as caught:
        ask(router, messages=WRITE)
    assert caught.value.body is not None
    assert dict(caught.value.body)["message"] == text  # type: ignore[call-overload]


def test_the_text_of_a_5xx_is_logged(setting: Setting) -> None:
    raw = b'{"error": {"message": "CUDA out of memory on worker 3"}}'
    setting.hosted.script(fake.Reply(status=500, raw=raw))
    router = setting.start()
    ask(router, messages=WRITE)
    assert router.log[0].error == "status 500: CUDA out of memory on worker 3"


# ------------------------------------------------------------------------------------------------- time


def test_an_active_stream_may_exceed_the_deadline(setting: Setting) -> None:
    setting.hosted.default = fake.ok("one two three four five six", token_delay_s=0.15)
    router = setting.start(serving={"deadline_s": 0.5})
    with client(router) as asking:
        chunks = list(asking.chat.completions.create(model="m", messages=WRITE, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == (
        "one two three four five six"
    )


def test_a_silent_stream_ends_after_the_idle_timeout(setting: Setting) -> None:
    setting.hosted.default = fake.ok("one two three", token_delay_s=1.0)
    listed = [endpoint("standard", setting.hosted.base_url, idle_timeout_s=0.2)]
    router = setting.start(endpoints=listed, tiers={1: [], 2: ["standard"], 3: ["standard"]})
    body = body_of("x", messages=WRITE, stream=True)
    began = time.monotonic()
    text = httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20).text
    assert time.monotonic() - began < 10
    assert "[DONE]" not in text
    assert "timeout" in text


def test_a_slow_client_does_not_count_as_an_endpoint_failure(setting: Setting) -> None:
    # More than the sockets between us hold, so that the router has to wait for its client.
    setting.hosted.default = fake.ok(("w" * 4000 + " ") * 2_500)
    listed = [endpoint("standard", setting.hosted.base_url, idle_timeout_s=0.3)]
    router = setting.start(endpoints=listed, tiers={1: [], 2: ["standard"], 3: ["standard"]})
    body = json.dumps(body_of("x", messages=WRITE, stream=True)).encode()
    host, port = router.url.removeprefix("http://").split(":")
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.settimeout(30)
        connection.connect((host, int(port)))
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        connection.sendall(f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        read = connection.recv(1024)
        time.sleep(1.0)  # the client's own slowness is what is tested
        while data := connection.recv(1 << 20):
            read = (read + data)[-4096:]
    assert b"[DONE]" in read
    assert health(router)["endpoints"]["standard"] == "closed"
    assert router.log[0].error is None


def test_retry_after_of_an_overloaded_endpoint_is_returned(setting: Setting) -> None:
    setting.hosted.default = setting.spare.default = fake.Reply(
        status=529, headers={"retry-after": "7"}, raw=b'{"error": {"message": "Overloaded"}}'
    )
    router = setting.start()
    answer = httpx.post(f"{router.base_url}/chat/completions", json=body_of("x", messages=WRITE), timeout=20)
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded_error")
    assert 7 <= int(answer.headers["retry-after"]) <= 9


# -------------------------------------------------------------------------------------- unsure answers


def unsure(setting: Setting, **entry: Any) -> RunningRouter:
    """An adapter's answer below its threshold, and a Tier 2 that fails."""
    path = setting.home.root / "calibration.yaml"
    path.write_text("signal: mean_logprob\nthreshold: -0.1\nn: 500\ntarget_risk: 0.05\n")
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url, calibration=str(path)))
    setting.own.default = fake.ok("refund", confidence=0.8)
    setting.hosted.default = setting.spare.default = fake.status(500)
    return setting.start(registry=Registry(call_sites=(CallSite("desk.intent", **entry),)))


@pytest.mark.parametrize("stream", [False, True])
def test_a_low_confidence_answer_is_served_and_marked_if_tier_2_fails(setting: Setting, stream: bool) -> None:
    router = unsure(setting)
    answer = httpx.post(f"{router.base_url}/chat/completions", json=body_of("refund", stream=stream), timeout=20)
    assert answer.status_code == 200
    assert "refund" in answer.text
    assert answer.headers["x-fasttier-degraded"].startswith("status 500")
    assert answer.headers["x-fasttier-tier"] == "1"
    assert 'fasttier_unsure_served_total{call_site="desk.intent"} 1.0' in httpx.get(f"{router.url}/metrics").text


@pytest.mark.parametrize("entry", [{"degrade": "error"}, {"visibility": "background"}])
def test_a_call_site_may_require_an_error_instead(setting: Setting, entry: dict[str, Any]) -> None:
    router = unsure(setting, **entry)
    answer = httpx.post(f"{router.base_url}/chat/completions", json=body_of("refund"), timeout=20)
    assert answer.status_code == 502


def test_a_hosted_model_at_tier_1_is_checked_like_an_adapter(setting: Setting) -> None:
    deploy(setting.home)
    setting.spare.default = fake.ok("no idea")
    setting.hosted.default = fake.ok("refund")
    from traffic.callsites import Checks

    registry = Registry(call_sites=(CallSite("desk.intent", checks=Checks(labels=("refund", "other"))),))
    router = setting.start(tiers={1: ["spare"], 2: ["standard"], 3: ["standard"]}, registry=registry)
    answer = ask(router)
    assert answer.headers["x-fasttier-endpoint"] == "standard"
    assert answer.headers["x-fasttier-escalated"].startswith("check label")


NO_TEMPERATURE = {
    "message": "Unsupported parameter: 'temperature' is not supported with this model.",
    "param": "temperature",
    "code": "unsupported_parameter",
}


def test_sampling_that_the_chosen_model_does_not_take_is_removed_and_named(setting: Setting) -> None:
    setting.hosted.script(fake.Reply(status=400, raw=json.dumps({"error": NO_TEMPERATURE}).encode()))
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["standard"]})
    answers = [ask(router, messages=WRITE, temperature=0.2) for _ in range(2)]
    assert ["temperature" in asked.body for asked in setting.hosted.chats] == [True, False, False]
    assert [answer.headers["x-fasttier-left-out"] for answer in answers] == ["temperature", "temperature"]
    assert [answer.headers["x-fasttier-attempts"] for answer in answers] == ["2", "1"]
    assert [(record.purpose, record.status) for record in router.log] == [
        ("serve", 400),
        ("retry", 200),
        ("serve", 200),
    ]
    assert health(router)["counts"]["corrections"] == 1
    assert any("leave_out: [temperature]" in warning for warning in health(router)["warnings"])


def test_a_client_that_names_the_model_learns_what_it_does_not_take(setting: Setting) -> None:
    setting.hosted.script(*[fake.Reply(status=400, raw=json.dumps({"error": NO_TEMPERATURE}).encode())] * 3)
    router = setting.start(tiers={1: [], 2: ["standard"], 3: ["standard"]})
    with pytest.raises(openai.BadRequestError) as caught:
        ask(router, messages=WRITE, temperature=0.2, model="gpt-4o-mini")
    assert caught.value.param == "temperature"
    assert health(router)["warnings"] == []
