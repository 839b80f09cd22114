"""Both dialects on both sides: the real `openai` and `anthropic` clients, fake servers of both protocols."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import anthropic
import httpx
import openai
import pytest

from tests.fakes import anthropic_server, openai_server
from tests.fakes.anthropic_server import FakeAnthropic
from tests.fakes.openai_server import FakeOpenAI
from tests.fakes.router import (
    ADAPTER,
    CALL_SITE,
    ENVIRON,
    SYSTEM,
    RunningRouter,
    client,
    deploy,
    deployment,
    endpoint,
    only,
    routing,
    write_adapter,
)
from traffic.artifacts import Home
from traffic.record import Usage

pytestmark = pytest.mark.timeout(60)

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string"}},
    "required": ["label"],
    "additionalProperties": False,
}
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
UPSTREAMS = ["openai", "anthropic"]


class Setting(NamedTuple):
    claude: FakeAnthropic
    gpt: FakeOpenAI
    home: Home
    start: Callable[..., RunningRouter]

    def endpoint(self, kind: str, **changes: Any) -> dict[str, Any]:
        if kind == "anthropic":
            claude = endpoint("claude", self.claude.base_url, kind="anthropic", model="claude-haiku-4-5")
            return claude | changes
        return endpoint("gpt", self.gpt.base_url) | changes

    def router(self, *kinds: str, **changes: Any) -> RunningRouter:
        return self.start([self.endpoint(kind) for kind in kinds], **changes)


@pytest.fixture
def setting(tmp_path: Path) -> Iterator[Setting]:
    home = Home(tmp_path / "home")
    with (
        contextlib.ExitStack() as running,
        FakeAnthropic(answer=lambda body: "it is a refund", api_key="hosted-secret") as claude,
        FakeOpenAI(answer=lambda body: "it is a refund", api_key="hosted-secret") as gpt,
    ):

        def start(endpoints: list[dict[str, Any]], environ: Any = ENVIRON, **changes: Any) -> RunningRouter:
            router = RunningRouter(routing(endpoints, **changes), home, environ=environ)
            return running.enter_context(router)

        yield Setting(claude, gpt, home, start)


def messages(router: RunningRouter, **changes: Any) -> Any:
    """An answer for an application that uses Anthropic's SDK."""
    with anthropics(router) as asking:
        return asking.messages.create(**message_body(**changes))


def anthropics(router: RunningRouter, **changes: Any) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=router.url, api_key="client-secret", timeout=30, **changes)


def message_body(**changes: Any) -> dict[str, Any]:
    return {
        "model": "fasttier",
        "max_tokens": 64,
        "system": "You help a desk.",
        "messages": [{"role": "user", "content": "Write about the parcel."}],
    } | changes


def chat(router: RunningRouter, **changes: Any) -> Any:
    with client(router) as asking:
        return asking.chat.completions.create(**chat_body(**changes))


def chat_body(**changes: Any) -> dict[str, Any]:
    return {
        "model": "fasttier",
        "messages": [
            {"role": "system", "content": "You help a desk."},
            {"role": "user", "content": "Write about the parcel."},
        ],
    } | changes


def script_call(setting: Setting, kind: str) -> None:
    if kind == "anthropic":
        setting.claude.script(anthropic_server.uses_tool("weather", {"city": "Bonn"}))
    else:
        setting.gpt.script(openai_server.calls(("weather", '{"city": "Bonn"}')))


# ------------------------------------------------------------------------------------- plain answers


@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_chat_client_is_answered_by_both(setting: Setting, kind: str) -> None:
    router = setting.router(kind)
    answer = chat(router, temperature=0.5, max_tokens=20, stop=["###"])
    assert answer.choices[0].message.content == "it is a refund"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    record = only(router.log)
    assert (record.output.text, record.output.finish_reason) == ("it is a refund", "stop")
    assert record.usage is not None
    assert record.usage.output == answer.usage.completion_tokens
    assert record.cost_usd is not None
    if kind == "anthropic":
        (asked,) = setting.claude.asked
        assert asked.body == {
            "model": "claude-haiku-4-5",
            "max_tokens": 20,
            "system": "You help a desk.",
            "messages": [{"role": "user", "content": "Write about the parcel."}],
            "temperature": 0.5,
            "stop_sequences": ["###"],
        }


@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_messages_client_is_answered_by_both(setting: Setting, kind: str) -> None:
    router = setting.router(kind)
    answer = messages(router, metadata={"user_id": "u1", "call_site": "desk.write"})
    assert [block.text for block in answer.content] == ["it is a refund"]
    assert (answer.type, answer.role, answer.stop_reason) == ("message", "assistant", "end_turn")
    assert answer.usage.input_tokens > 0
    record = only(router.log)
    assert (record.user_id, record.call_site, record.output.text) == ("u1", "desk.write", "it is a refund")
    assert json.loads(bytes(record.messages)) == [
        {"role": "system", "content": "You help a desk."},
        {"role": "user", "content": "Write about the parcel."},
    ]
    assert record.params.max_tokens == 64


def test_client_keys_are_not_forwarded_and_endpoints_get_their_own(setting: Setting) -> None:
    router = setting.router("anthropic")
    chat(router)
    messages(router)
    for asked in setting.claude.asked:
        assert asked.headers["x-api-key"] == "hosted-secret"
        assert "client-secret" not in str(asked.headers)
        assert "authorization" not in asked.headers


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
def test_the_base_url_may_end_in_v1(setting: Setting, ending: str) -> None:
    router = setting.start([setting.endpoint("anthropic", base_url=setting.claude.base_url + ending)])
    assert chat(router).choices[0].message.content == "it is a refund"


def test_cached_tokens_are_counted_by_each_protocols_convention(setting: Setting) -> None:
    router = setting.router("anthropic")
    setting.claude.script(anthropic_server.ok("a", cached=100), anthropic_server.ok("a", cached=100))
    of_chat, of_messages = chat(router).usage, messages(router).usage
    assert of_chat.prompt_tokens == 100 + of_messages.input_tokens
    assert of_chat.prompt_tokens_details.cached_tokens == of_messages.cache_read_input_tokens == 100
    expected = Usage(input_uncached=of_messages.input_tokens, cache_read=100, output=1)
    assert [record.usage for record in router.log] == [expected, expected]


# ------------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_chat_client_gets_a_stream_from_both(setting: Setting, kind: str) -> None:
    router = setting.router(kind)
    with client(router) as asking:
        chunks = list(asking.chat.completions.create(**chat_body(stream=True, stream_options={"include_usage": True})))
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "it is a refund"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len(chunks) > 5
    assert chunks[-1].usage.completion_tokens == 4
    record = only(router.log)
    assert (record.output.text, record.output.finish_reason, record.error) == ("it is a refund", "stop", None)
    assert record.ttft_ms is not None


@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_messages_client_gets_a_stream_from_both(setting: Setting, kind: str) -> None:
    router = setting.router(kind)
    with anthropics(router) as asking, asking.messages.stream(**message_body()) as stream:
        parts = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(parts) == final.content[0].text == "it is a refund"
    assert len(parts) == 4
    assert final.stop_reason == "end_turn"
    assert (final.usage.output_tokens, final.usage.input_tokens > 0) == (4, True)
    assert only(router.log).output.text == "it is a refund"


def test_a_stream_of_the_same_dialect_keeps_its_own_fields(setting: Setting) -> None:
    router = setting.router("anthropic")
    setting.claude.script(anthropic_server.ok("so it is", thinking="let me see"))
    cached = [{"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}]
    with (
        anthropics(router) as asking,
        asking.messages.stream(**message_body(system=cached, thinking={"type": "adaptive"})) as stream,
    ):
        final = stream.get_final_message()
    assert [block.type for block in final.content] == ["thinking", "text"]
    assert final.content[0].signature == "c2ln"
    (asked,) = setting.claude.asked
    assert asked.body["system"] == cached
    assert asked.body["thinking"] == {"type": "adaptive"}
    assert asked.headers["anthropic-version"] == anthropic._constants.ANTHROPIC_API_VERSION


# ------------------------------------------------------------------------------------------- tools


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_chat_client_uses_tools_of_both(setting: Setting, kind: str, stream: bool) -> None:
    router = setting.router(kind)
    script_call(setting, kind)
    tools = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
    asked = chat_body(tools=tools, tool_choice="required", parallel_tool_calls=False)
    with client(router) as asking:
        if stream:
            with asking.chat.completions.stream(**asked) as events:
                answer: Any = events.get_final_completion()
        else:
            answer = asking.chat.completions.create(**asked)
        message = answer.choices[0].message
        (call,) = message.tool_calls
        assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Bonn"})
        assert answer.choices[0].finish_reason == "tool_calls"
        result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        turns = [*asked["messages"], message.model_dump(exclude_none=True, exclude={"parsed"}), result]
        for sent in turns[2].get("tool_calls", ()):
            sent["function"].pop("parsed_arguments", None)
        final = asking.chat.completions.create(**asked | {"messages": turns, "tool_choice": "auto"})
    assert final.choices[0].message.content == "it is a refund"
    record = router.log[0]
    assert record.output.tool_calls is not None
    assert record.output.tool_calls[0]["function"]["name"] == "weather"
    if kind == "anthropic":
        first, second = [each.body for each in setting.claude.asked]
        assert first["tools"] == [{"name": "weather", "input_schema": WEATHER}]
        assert first["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True}
        assert second["messages"][1]["content"] == [
            {"type": "tool_use", "id": call.id, "name": "weather", "input": {"city": "Bonn"}}
        ]
        assert second["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", UPSTREAMS)
def test_a_messages_client_uses_tools_of_both(setting: Setting, kind: str, stream: bool) -> None:
    router = setting.router(kind)
    script_call(setting, kind)
    asked = message_body(tools=[{"name": "weather", "input_schema": WEATHER}], tool_choice={"type": "any"})
    with anthropics(router) as asking:
        if stream:
            with asking.messages.stream(**asked) as events:
                answer: Any = events.get_final_message()
        else:
            answer = asking.messages.create(**asked)
        (use,) = answer.content
        assert (use.type, use.name, use.input) == ("tool_use", "weather", {"city": "Bonn"})
        assert answer.stop_reason == "tool_use"
        block = {"type": "tool_use", "id": use.id, "name": use.name, "input": use.input}
        turns = [
            *asked["messages"],
            {"role": "assistant", "content": [block]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id, "content": "rain"}]},
        ]
        final = asking.messages.create(**asked | {"messages": turns, "tool_choice": {"type": "auto"}})
    assert final.content[0].text == "it is a refund"
    if kind == "openai":
        first, second = [each.body for each in setting.gpt.chats]
        assert first["tool_choice"] == "required"
        assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "tool"]
        assert second["messages"][3] == {"role": "tool", "tool_call_id": use.id, "content": "rain"}


# --------------------------------------------------------------------------------------- JSON schema


@pytest.mark.parametrize("kind", UPSTREAMS)
def test_schemas_are_translated_in_both_directions(setting: Setting, kind: str) -> None:
    router = setting.router(kind)
    setting.claude.answer = setting.gpt.answer = lambda body: '{"label": "refund"}'
    named = {"name": "answer", "schema": SCHEMA, "strict": True}
    of_chat = chat(router, response_format={"type": "json_schema", "json_schema": named})
    of_messages = messages(router, output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert json.loads(of_chat.choices[0].message.content) == json.loads(of_messages.content[0].text)
    if kind == "anthropic":
        sent = [asked.body["output_config"]["format"] for asked in setting.claude.asked]
        assert sent == [{"type": "json_schema", "schema": SCHEMA}] * 2
    else:
        formats = [asked.body["response_format"] for asked in setting.gpt.chats]
        assert formats == [{"type": "json_schema", "json_schema": named}] * 2


# ------------------------------------------------------------------------------------------- errors


def test_a_request_that_has_no_translation_goes_to_the_next_endpoint(setting: Setting) -> None:
    router = setting.router("anthropic", "openai")
    assert chat(router, logit_bias={"7": 1}).choices[0].message.content == "it is a refund"
    assert setting.claude.asked == []
    assert setting.gpt.chats[0].body["logit_bias"] == {"7": 1}


def test_an_unsupported_parameter_is_refused_by_name(setting: Setting) -> None:
    router = setting.router("anthropic")
    with pytest.raises(openai.BadRequestError, match="endpoint claude does not take logit_bias"):
        chat(router, logit_bias={"7": 1})
    assert only(router.log).status == 400
    spoken = setting.router("openai")
    with pytest.raises(anthropic.BadRequestError, match="endpoint gpt does not take top_k") as caught:
        messages(spoken, extra_body={"top_k": 3})
    assert caught.value.body["error"]["type"] == "invalid_request_error"  # type: ignore[index]
    assert setting.claude.asked == setting.gpt.asked == []


def test_leave_out_lets_an_endpoint_answer_the_request(setting: Setting) -> None:
    router = setting.start([setting.endpoint("anthropic", leave_out=["temperature", "seed"])])
    chat(router, temperature=0.2, seed=7)
    assert {"temperature", "seed"}.isdisjoint(setting.claude.asked[0].body)


@pytest.mark.parametrize(
    "code, of_chat, of_messages",
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.InternalServerError, anthropic.InternalServerError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (529, openai.InternalServerError, anthropic.InternalServerError),
    ],
)
@pytest.mark.parametrize("kind", UPSTREAMS)
def test_errors_use_the_clients_format(
    setting: Setting, kind: str, code: int, of_chat: type[Exception], of_messages: type[Exception]
) -> None:
    # One for each: what the first learns about the endpoint does not concern the second.
    of_one, of_other = [setting.router(kind, serving={"max_retries": 0}) for _ in range(2)]
    setting.claude.default = anthropic_server.status(code, "invalid_request_error", "no such thing")
    setting.gpt.default = openai_server.status(code, message="no such thing")
    with pytest.raises(of_chat) as first:
        chat(of_one)
    assert set(first.value.body) == {"message", "type", "param", "code"}  # type: ignore[attr-defined]
    with pytest.raises(of_messages) as second:
        messages(of_other)
    body: Any = second.value.body  # type: ignore[attr-defined]
    assert body["type"] == "error"
    if code == 400:
        assert "no such thing" in str(first.value)
        assert body["error"] == {"type": "invalid_request_error", "message": "no such thing"}


def test_an_overloaded_endpoint_is_skipped(setting: Setting) -> None:
    router = setting.router("anthropic", "openai")
    setting.claude.script(anthropic_server.overloaded(), anthropic_server.overloaded())
    assert chat(router).choices[0].message.content == "it is a refund"
    assert messages(router).content[0].text == "it is a refund"
    assert [record.endpoint for record in router.log] == ["claude", "gpt", "claude", "gpt"]


@pytest.mark.parametrize(
    "reply, why",
    [
        (anthropic_server.cut(1), "connection: "),
        (anthropic_server.ok(error_after=1), "error: "),
    ],
)
def test_an_incomplete_stream_is_an_error_for_both_clients(
    setting: Setting, reply: anthropic_server.Reply, why: str
) -> None:
    router = setting.router("anthropic", serving={"max_retries": 0})
    setting.claude.default = reply
    with client(router) as asking, pytest.raises(openai.APIError):
        list(asking.chat.completions.create(**chat_body(stream=True)))
    with (
        anthropics(router) as asking_too,
        pytest.raises(anthropic.APIError),
        asking_too.messages.stream(**message_body()) as stream,
    ):
        stream.get_final_message()
    assert [(record.error or "").startswith(why) for record in router.log] == [True, True]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_content_filter_for_a_chat_client(setting: Setting, stream: bool) -> None:
    router = setting.router("anthropic")
    setting.claude.script(anthropic_server.refusal())
    if stream:
        with client(router) as asking:
            *_, last = asking.chat.completions.create(**chat_body(stream=True))
        reason = last.choices[0].finish_reason
    else:
        reason = chat(router).choices[0].finish_reason
    assert reason == "content_filter"
    assert only(router.log).output.finish_reason == "content_filter"


def test_client_keys_come_in_either_header(setting: Setting) -> None:
    environ = ENVIRON | {"CLIENTS": "client-secret,other"}
    router = setting.start(
        [setting.endpoint("anthropic")], environ, serving={"client_keys_env": "CLIENTS", "backoff_s": 0.001}
    )
    assert messages(router).stop_reason == "end_turn"
    url, body = f"{router.base_url}/messages", message_body()
    assert httpx.post(url, json=body, headers={"x-api-key": "other"}).status_code == 200
    refused = httpx.post(url, json=body, headers={"x-api-key": "wrong"})
    assert (refused.status_code, refused.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("stream", [False, True])
def test_an_adapter_answers_a_messages_client(setting: Setting, stream: bool) -> None:
    write_adapter(setting.home, ADAPTER)
    with FakeOpenAI(answer=lambda body: "refund", models=(ADAPTER,)) as own:
        deploy(setting.home, deployment(ADAPTER, own.base_url))
        router = setting.router("openai")
        asked = message_body(system=SYSTEM, messages=[{"role": "user", "content": "money back"}])
        asked["extra_headers"] = {"x-fasttier-call-site": CALL_SITE}
        with anthropics(router) as asking:
            if stream:
                with asking.messages.stream(**asked) as events:
                    answer: Any = events.get_final_message()
            else:
                answer = asking.messages.create(**asked)
    assert (answer.content[0].text, answer.stop_reason) == ("refund", "end_turn")
    assert own.chats[0].body["messages"][0] == {"role": "system", "content": "intent"}
    record = only(router.log)
    assert (record.tier, record.adapter, record.confidence is not None) == (1, ADAPTER, True)


def test_models_are_listed_for_both_clients(setting: Setting) -> None:
    router = setting.router("anthropic")
    with anthropics(router) as asking:
        assert [model.id for model in asking.models.list()] == ["fasttier", "claude-haiku-4-5"]
    with client(router) as asking_too:
        assert [model.id for model in asking_too.models.list()] == ["fasttier", "claude-haiku-4-5"]


def test_count_tokens_answers_in_anthropics_format(setting: Setting) -> None:
    router = setting.router("openai")
    with anthropics(router) as asking:
        short, long = (
            asking.messages.count_tokens(model="fasttier", messages=[{"role": "user", "content": "word " * count}])
            for count in (5, 500)
        )
    assert 0 < short.input_tokens < 50 < long.input_tokens


@pytest.mark.parametrize(
    "body, why",
    [
        ({"messages": [], "model": "m", "max_tokens": 1}, "`messages` is"),
        ({"messages": [{"role": "user", "content": "x"}], "model": "m"}, "max_tokens: field required"),
        ({"messages": [{"role": "judge", "content": "x"}], "model": "m", "max_tokens": 1}, "role 'judge'"),
        ({"messages": 3, "model": "m", "max_tokens": 1}, "wrong type"),
    ],
)
def test_an_unreadable_message_is_refused(setting: Setting, body: dict[str, Any], why: str) -> None:
    router = setting.router("anthropic")
    refused = httpx.post(f"{router.base_url}/messages", json=body)
    assert refused.status_code == 400
    assert why in refused.json()["error"]["message"]
