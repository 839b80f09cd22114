"""Amazon Bedrock behind the router: signatures, failures inside of its event streams, and what it cannot take."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from router import bedrock as signing
from tests.fakes import bedrock
from tests.fakes.raw_upstream import Play, RawUpstream, plain
from tests.fakes.router import RunningRouter, endpoint, routing
from tests.fakes.wire_bench import choice, completion
from traffic.artifacts import Home

pytestmark = pytest.mark.integration

MODEL = "us.amazon.nova-2-lite-v1:0"
USAGE = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
OK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "ok"}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
}


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The keys of the fake, in the variables that AWS tools read."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in bedrock.ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    signing._session.cache_clear()
    yield monkeypatch
    signing._session.cache_clear()


@pytest.fixture
def servers() -> Iterator[tuple[RawUpstream, RawUpstream]]:
    """Bedrock, and another endpoint behind it."""
    with RawUpstream() as aws, RawUpstream() as spare:
        aws.refuse, aws.play = bedrock.badly_signed, plain(OK)
        spare.play = plain(completion(choice({"content": "spare"})))
        yield aws, spare


def running(servers: tuple[RawUpstream, RawUpstream], home: Home) -> RunningRouter:
    converse: dict[str, Any] = {"kind": "bedrock", "model": MODEL, "region": bedrock.REGION, "api_key_env": None}
    aws = endpoint("aws", f"http://127.0.0.1:{servers[0].port}", **converse)
    spare = endpoint("spare", f"http://127.0.0.1:{servers[1].port}/v1")
    return RunningRouter(routing([aws, spare], serving={"max_retries": 1, "backoff_s": 0.001}), home)


def said(router: RunningRouter, **changes: Any) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | changes
    answer = httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


def test_requests_are_signed_with_the_environments_credentials(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    with running(servers, Home(tmp_path)) as router:
        assert said(router) == "ok"
        assert servers[0].heads[0].startswith(f"post /model/{MODEL.replace(':', '%3a')}/converse http/1.1\r\n")
        credentials.setenv("AWS_SECRET_ACCESS_KEY", "another")
        signing._session.cache_clear()
        # A refused signature is about our account: another endpoint answers, and this one rests.
        assert said(router) == said(router) == "spare"
        assert router.router.health()["endpoints"]["aws"] == "resting"
        assert len(servers[0].bodies) == 2


def test_without_credentials_another_endpoint_answers_and_health_states_the_reason(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    credentials.delenv("AWS_ACCESS_KEY_ID")
    with running(servers, Home(tmp_path)) as router:
        assert said(router) == "spare"
        assert any("aws" in line and "credentials" in line for line in router.router.health()["warnings"])


def test_an_error_inside_a_stream_reaches_the_client(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    delta = bedrock.frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "half"}})
    failure = bedrock.frame("modelStreamErrorException", {"message": "the model fell over"}, exception=True)
    servers[0].play = Play((delta, 0.05, failure), bedrock.EVENT_STREAM)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with running(servers, Home(tmp_path)) as router:
        answer = httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20)
        assert "half" in answer.text
        assert "the model fell over" in answer.text
        assert "[DONE]" not in answer.text
        record = router.log[-1]
        assert record.output.text == "half"
        assert record.usage is not None
        assert record.usage.estimated


def test_a_broken_frame_before_the_first_token_is_retried_at_the_next_endpoint(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    broken = bytearray(bedrock.frame("messageStart", {"role": "assistant"}))
    broken[-1] ^= 1
    servers[0].play = Play((bytes(broken),), bedrock.EVENT_STREAM)
    servers[1].play = plain(completion(choice({"content": "spare"})))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with running(servers, Home(tmp_path)) as router:
        assert "spare" in httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20).text


def test_requests_unsupported_by_bedrock_go_to_another_endpoint(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    with running(servers, Home(tmp_path)) as router:
        assert said(router, logprobs=True) == "spare"
        assert said(router, response_format={"type": "json_object"}) == "spare"
        assert servers[0].bodies == []


def test_a_throttled_stream_is_a_429(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    throttled = bedrock.frame("throttlingException", {"message": "slow down"}, exception=True)
    servers[0].play = Play((throttled,), bedrock.EVENT_STREAM)
    servers[1].play = plain({"error": {"message": "slow down"}}, status=429)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with running(servers, Home(tmp_path)) as router:
        httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20)
        assert [record.status for record in router.log] == [429, 429]


def test_a_streamed_call_without_input_has_empty_arguments(
    credentials: pytest.MonkeyPatch, servers: tuple[RawUpstream, RawUpstream], tmp_path: Any
) -> None:
    frames = (
        ("messageStart", {"role": "assistant"}),
        ("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {"toolUseId": "t", "name": "f"}}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "tool_use"}),
    )
    servers[0].play = Play((b"".join(bedrock.frame(*frame) for frame in frames),), bedrock.EVENT_STREAM)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    with running(servers, Home(tmp_path)) as router:
        answer = httpx.post(f"{router.base_url}/chat/completions", json=body, timeout=20)
        assert '"arguments":"{}"' in answer.text
