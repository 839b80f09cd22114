"""Fallback, retries, escalation and deadlines: what happens when a model cannot answer."""

import contextlib
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest

from tests.fakes import openai_server as fake
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import (
    ADAPTER,
    LABELS,
    SYSTEM,
    Setting,
    ask,
    deploy,
    deployment,
    health,
    label_of,
    only,
    said,
    streamed,
)


@pytest.mark.parametrize(
    "reply, serving, why",
    [
        (fake.status(503), {}, "status 503"),
        (fake.status(404), {}, "status 404"),
        (fake.garbage(), {}, "check label: "),
        (fake.broken_body(), {}, "the body is not JSON"),
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


def test_the_calibration_of_a_deployment_uses_its_own_signal(setting: Setting) -> None:
    path = setting.home.root / "calibration.yaml"
    path.write_text("signal: mean_logprob\nthreshold: -0.1\nn: 500\ntarget_risk: 0.05\n")
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url, calibration=str(path)))
    router = setting.start()
    setting.own.script(fake.ok("refund", confidence=0.95), fake.ok("refund", confidence=0.8))
    assert [ask(router).headers["x-fasttier-tier"] for _ in range(2)] == ["1", "2"]
    assert router.log[1].error == "rejected: confidence mean_logprob -0.2231 < -0.1"


def test_a_calibrated_answer_is_kept_by_its_logged_probability(setting: Setting) -> None:
    path = setting.home.root / "calibrations" / "desk" / "calibration.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "signal: combined\nweights: {min_margin: 1.0, length: -0.1}\nthreshold: 0.8\n"
        "curve: {kind: isotonic, scores: [0.0, 1.0], probabilities: [0.5, 1.0]}\n"
    )
    deploy(setting.home, deployment(ADAPTER, setting.own.base_url, calibration="calibrations/desk/calibration.yaml"))
    router = setting.start()
    setting.own.script(fake.ok("refund", confidence=0.9), fake.ok("refund", confidence=0.7))
    assert [ask(router).headers["x-fasttier-tier"] for _ in range(2)] == ["1", "2"]
    kept, unsure = router.log[:2]
    # Margins 0.85 and 0.55, one token: half way up the curve from 0.5 at 0 to 1 at 1.
    assert (kept.confidence, unsure.confidence) == (pytest.approx(0.925), pytest.approx(0.775))
    assert unsure.error == "rejected: confidence p(right) 0.775 < 0.8"


def test_hosted_failures_are_retried_at_other_endpoints(setting: Setting) -> None:
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


def test_attempts_are_bounded_including_retries_of_the_clients_sdk(setting: Setting) -> None:
    router = setting.start()
    for server in (setting.own, setting.hosted, setting.spare):
        server.default = fake.status(503)
    with pytest.raises(openai.InternalServerError, match="endpoint standard: status 503"):
        ask(router)
    assert [record.endpoint for record in router.log] == [ADAPTER, "standard", "spare", "standard"]
    assert all(record.error for record in router.log)


def test_retry_after_is_waited_for_or_returned(setting: Setting) -> None:
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
    with pytest.raises(openai.InternalServerError, match="timeout: no answer within") as caught:
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert caught.value.status_code == 504
    assert time.monotonic() - began < 5
    assert only(router.log).status == 0


def test_a_4xx_of_a_hosted_model_is_returned_and_not_retried(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.status(400, message="bad seed"))
    with pytest.raises(openai.BadRequestError, match="bad seed"):
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert only(router.log).error == "status 400: bad seed"


def test_a_rejected_upstream_key_is_not_a_client_error(setting: Setting) -> None:
    router = setting.start(environ={"HOSTED_KEY": "wrong"})
    with pytest.raises(openai.InternalServerError) as caught:
        ask(router, messages=[{"role": "user", "content": "Write."}])
    assert caught.value.status_code == 502
    assert "wrong" not in str(caught.value)
    assert {record.endpoint: record.status for record in router.log} == {"standard": 401, "spare": 401}


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


def test_every_request_is_answered_while_the_small_model_dies(setting: Setting) -> None:
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


def test_a_client_disconnect_cancels_the_upstream_request(setting: Setting) -> None:
    router = setting.start()
    setting.hosted.script(fake.held(threading.Event()))
    body = json.dumps({"messages": [{"role": "user", "content": "Write."}]}).encode()
    host, port = router.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            + f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        setting.hosted.wait_for(lambda server: server.in_flight == 1)
    setting.hosted.wait_for(lambda server: server.chats[0].client_left)
    assert said(ask(router)) == "refund"
    gone = next(record for record in router.log if record.endpoint == "standard")
    assert (gone.status, gone.error) == (499, "client disconnected")
