"""Paths, encodings, endpoint settings and the Responses API, with real clients."""

import gzip
import json
from typing import Any

import httpx
import openai
import pyarrow as pa
import pytest
from pydantic import BaseModel

from tests.fakes import openai_server as fake
from tests.fakes.router import RunningRouter, Setting, ask, body_of, client, endpoint, log_lines

pytestmark = pytest.mark.integration

WRITE = [{"role": "user", "content": "Write."}]
TOOL = {"type": "function", "name": "find", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}


def one(setting: Setting, **changes: Any) -> RunningRouter:
    """A router with one endpoint for everything."""
    listed = [endpoint("standard", setting.hosted.base_url, **changes)]
    return setting.start(endpoints=listed, tiers={1: [], 2: ["standard"], 3: ["standard"]})


# ---------------------------------------------------------------------------------------- endpoint settings


def test_endpoint_settings_apply_to_names_headers_query_and_key(setting: Setting) -> None:
    setting.hosted.api_key = None
    router = one(
        setting,
        rename={"max_tokens": "max_completion_tokens"},
        roles={"developer": "system"},
        headers={"x-team": "fast", "x-secret": "${HOSTED_KEY}"},
        body={"store": False},
        query={"api-version": "2024-10-21"},
        key_header="api-key",
        leave_out=["stream_options", "seed"],
    )
    messages = [{"role": "developer", "content": "be brief"}, *WRITE]
    with client(router) as asking:
        list(asking.chat.completions.create(model="m", messages=messages, max_tokens=9, seed=1, stream=True))
    asked = setting.hosted.chats[0]
    assert asked.body["max_completion_tokens"] == 9
    assert asked.body["messages"][0]["role"] == "system"
    assert asked.body["store"] is False
    assert not {"max_tokens", "stream_options", "seed"} & asked.body.keys()
    assert asked.query == "api-version=2024-10-21"
    assert (asked.headers["api-key"], asked.headers["x-secret"]) == ("hosted-secret", "hosted-secret")
    assert "authorization" not in asked.headers
    assert asked.headers["x-team"] == "fast"


def test_rate_limits_and_the_upstream_request_id_are_returned(setting: Setting) -> None:
    headers = {"x-ratelimit-remaining-requests": "12", "x-request-id": "req_abc"}
    setting.hosted.default = fake.ok("refund", headers=headers)
    answer = ask(one(setting), messages=WRITE)
    assert answer.headers["x-ratelimit-remaining-requests"] == "12"
    assert answer.headers["x-fasttier-upstream-request-id"] == "req_abc"


def test_an_upstream_header_of_12_kib_is_accepted(setting: Setting) -> None:
    setting.hosted.default = fake.ok("refund", headers={"content-security-policy": "x" * 12_000})
    assert ask(one(setting), messages=WRITE).http_response.status_code == 200


# ------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chat/completions/",
        "/chat/completions",
        "/v1/v1/chat/completions",
        "/openai/v1/chat/completions",
        "//v1/chat/completions",
        "/openai/deployments/gpt/chat/completions?api-version=2024-10-21",
    ],
)
def test_every_spelling_of_a_path_is_routed(setting: Setting, path: str) -> None:
    router = one(setting)
    assert httpx.post(f"{router.url}{path}", json=body_of("x", messages=WRITE)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/v1/messages", "/messages", "/anthropic/v1/messages"])
def test_every_spelling_of_a_messages_path_is_routed(setting: Setting, path: str) -> None:
    body = {"model": "m", "max_tokens": 9, "messages": WRITE}
    answer = httpx.post(f"{one(setting).url}{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (200, "message")
    assert answer.headers["request-id"]


def test_a_compressed_request_is_read(setting: Setting) -> None:
    router = one(setting)
    data = gzip.compress(json.dumps(body_of("x", messages=WRITE)).encode())
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    url = f"{router.base_url}/chat/completions"
    assert httpx.post(url, content=data, headers=headers).status_code == 200
    assert httpx.post(url, content=data[:-9], headers=headers).status_code == 400
    assert httpx.post(url, content=b"x", headers=headers).status_code == 400
    assert httpx.post(url, content=gzip.compress(b" " * 40_000_000), headers=headers).status_code == 413
    assert httpx.post(url, content=data, headers=headers | {"content-encoding": "compress"}).status_code == 415


@pytest.mark.parametrize("name, codec", [("zstd", "zstd"), ("br", "brotli")])
def test_a_zstd_request_is_read(setting: Setting, name: str, codec: str) -> None:
    url = f"{one(setting).base_url}/chat/completions"
    data = pa.Codec(codec).compress(json.dumps(body_of("x", messages=WRITE)).encode()).to_pybytes()
    headers = {"content-type": "application/json", "content-encoding": name}
    assert httpx.post(url, content=data, headers=headers).status_code == 200
    assert httpx.post(url, content=data[:-9], headers=headers).status_code == 400
    assert httpx.post(url, content=b"x" * 40, headers=headers).status_code == 400
    bomb = pa.Codec(codec).compress(b" " * 40_000_000).to_pybytes()
    assert httpx.post(url, content=bomb, headers=headers).status_code == 413


def test_a_single_model_is_described(setting: Setting) -> None:
    with client(one(setting)) as asking:
        assert asking.models.retrieve("fasttier").id == "fasttier"
        with pytest.raises(openai.NotFoundError):
            asking.models.retrieve("nobody")


def test_a_path_of_inference_goes_to_the_endpoint_of_its_model_and_is_logged_without_content(setting: Setting) -> None:
    setting.hosted.pages["/v1/moderations"] = b'{"results": [{"flagged": false}]}'
    router = one(setting)
    answer = httpx.post(f"{router.base_url}/moderations", json={"model": "gpt-4o-mini", "input": "secret words"})
    assert (answer.status_code, answer.json()) == (200, {"results": [{"flagged": False}]})
    assert setting.hosted.asked[-1].headers["authorization"] == "Bearer hosted-secret"
    (record,) = router.log
    assert (record.status, record.endpoint, record.error) == (200, "standard", None)
    assert b"secret words" not in b"".join(log_lines(setting.home))


def test_a_multipart_upload_is_passed_on_by_its_model(setting: Setting) -> None:
    setting.hosted.pages["/v1/audio/transcriptions"] = b'{"text": "hello"}'
    with client(one(setting)) as asking:
        heard = asking.audio.transcriptions.create(model="gpt-4o-mini", file=("a.wav", b"RIFF" + bytes(100)))
    assert heard.text == "hello"
    assert b"RIFF" in setting.hosted.asked[-1].data


@pytest.mark.parametrize("method, path", [("GET", "/v1/files"), ("POST", "/v1/batches"), ("DELETE", "/v1/files/x")])
def test_account_paths_are_refused_unless_configured(setting: Setting, method: str, path: str) -> None:
    answer = httpx.request(method, f"{one(setting).url}{path}", json={"model": "gpt-4o-mini"})
    assert answer.status_code == 404
    assert path in answer.json()["error"]["message"]
    assert not setting.hosted.asked


def test_a_configured_path_is_passed_through(setting: Setting) -> None:
    setting.hosted.pages["/v1/files"] = b'{"data": []}'
    listed = [endpoint("standard", setting.hosted.base_url)]
    router = setting.start(
        endpoints=listed,
        tiers={1: [], 2: ["standard"], 3: ["standard"]},
        serving={"pass_through": {"/v1/files": "standard"}},
    )
    assert httpx.get(f"{router.base_url}/files?limit=2").json() == {"data": []}
    assert setting.hosted.asked[-1].query == "limit=2"


# --------------------------------------------------------------------------------------- the Responses API


def test_a_response_is_answered_in_one_piece(setting: Setting) -> None:
    setting.hosted.default = fake.ok("it is fine")
    with client(one(setting)) as asking:
        answer = asking.responses.create(model="m", instructions="be brief", input="hi", max_output_tokens=50)
    assert (answer.status, answer.output_text) == ("completed", "it is fine")
    assert answer.usage is not None
    assert answer.usage.output_tokens == 3
    body = setting.hosted.chats[0].body
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["max_completion_tokens"] == 50


def test_a_response_is_streamed_as_events(setting: Setting) -> None:
    setting.hosted.default = fake.ok("one two three")
    router = one(setting)
    with client(router) as asking, asking.responses.stream(model="m", input="hi") as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_response()
    assert final.output_text == "one two three"
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert kinds.count("response.output_text.delta") == 3
    assert kinds[-1] == "response.completed"
    assert router.log[0].output.text == "one two three"


@pytest.mark.parametrize("stream", [False, True])
def test_function_calls_travel_both_ways(setting: Setting, stream: bool) -> None:
    setting.hosted.script(fake.calls(("find", '{"q": "x"}'), ("find", '{"q": "y"}')), fake.ok("done"))
    with client(one(setting)) as asking:
        given: list[Any] = [{"role": "user", "content": "find it"}]
        if stream:
            with asking.responses.stream(model="m", input=given, tools=[TOOL]) as events:
                events.until_done()
                first = events.get_final_response()
        else:
            first = asking.responses.create(model="m", input=given, tools=[TOOL])
        calls = [item for item in first.output if item.type == "function_call"]
        assert [json.loads(call.arguments) for call in calls] == [{"q": "x"}, {"q": "y"}]
        given += [item.model_dump(exclude_none=True) for item in first.output]
        given += [{"type": "function_call_output", "call_id": call.call_id, "output": "found"} for call in calls]
        assert asking.responses.create(model="m", input=given, tools=[TOOL]).output_text == "done"
    roles = [message["role"] for message in setting.hosted.chats[1].body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


def test_a_response_schema_is_enforced(setting: Setting) -> None:
    class Point(BaseModel):
        x: int

    setting.hosted.default = fake.ok('{"x": 3}')
    with client(one(setting)) as asking:
        answer = asking.responses.parse(model="m", input="hi", text_format=Point)
    assert answer.output_parsed == Point(x=3)
    assert setting.hosted.chats[0].body["response_format"]["type"] == "json_schema"


def test_an_answer_truncated_by_its_cap_is_incomplete(setting: Setting) -> None:
    setting.hosted.default = fake.ok("one two three four")
    with client(one(setting)) as asking:
        answer = asking.responses.create(model="m", input="hi", max_output_tokens=2)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    "more",
    [{"previous_response_id": "resp_1"}, {"conversation": "c"}, {"input": [{"type": "item_reference", "id": "i"}]}],
)
def test_stateful_parameters_are_refused_by_name(setting: Setting, more: dict[str, Any]) -> None:
    router = one(setting)
    answer = httpx.post(f"{router.base_url}/responses", json={"model": "m", "input": "hi"} | more)
    assert answer.status_code == 400
    assert any(name in answer.json()["error"]["message"] for name in (*more, "item_reference"))
