"""Requests in Anthropic's protocol."""

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import ModelInfo

from router.request import BadRequest, ChatRequest
from router.target import Target
from router.wire import anthropic, anthropic_answers, anthropic_requests, dialects, openai
from router.wire.anthropic_requests import parse
from router.wire.thinking import UNSIGNED
from traffic.tiers import Endpoint

USER = {"role": "user", "content": "hello"}
GPT = Endpoint(name="gpt", kind="openai", base_url="https://api.openai.com/v1", model="gpt-4o-mini")
CLAUDE = Endpoint(name="claude", kind="anthropic", base_url="https://api.anthropic.com", model="claude-haiku-4-5")


def parsed(headers: dict[bytes, bytes] | None = None, **body: Any) -> ChatRequest:
    sent = {"model": "m", "max_tokens": 9, "messages": [USER]} | body
    return parse(msgspec.json.encode(sent), headers or {})


def tree_of(**body: Any) -> dict[str, Any]:
    return {key: msgspec.json.decode(raw) for key, raw in parsed(**body).tree.items()}


# ------------------------------------------------------------------------------------------ requests


def test_a_request_becomes_a_chat_completion_for_other_endpoints() -> None:
    request = parsed(
        {b"x-fasttier-call-site": b"desk", b"anthropic-version": b"2023-06-01", b"x-api-key": b"k"},
        system=[{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
        stop_sequences=["x"],
        metadata={"user_id": "u", "plan": "pro"},
        stream=True,
    )
    assert (request.call_site, request.user_id, request.cohort, request.cap) == ("desk", "u", {"plan": "pro"}, 9)
    assert (request.stream, request.untranslated) == (True, ())
    assert request.plain_messages == [{"role": "system", "content": "be brief"}, USER]
    assert request.params.other == {"model": "m", "stop": ["x"]}
    assert request.native_headers == {"anthropic-version": "2023-06-01"}


def test_tool_results_precede_the_users_text() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "one"}]}
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    thought = {"type": "thinking", "thinking": "hm", "signature": "s"}
    messages = tree_of(
        messages=[
            USER,
            {"role": "assistant", "content": [thought, {"type": "text", "text": "wait"}, use]},
            {"role": "user", "content": [result, {"type": "text", "text": "see"}, image]},
        ]
    )["messages"]
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert messages[1:] == [
        {"role": "assistant", "content": "wait", "tool_calls": [call], "reasoning_content": "hm"},
        {"role": "tool", "tool_call_id": "t1", "content": "one"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
    ]


@pytest.mark.parametrize(
    "choice, expected",
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any", "disable_parallel_tool_use": True}, {"tool_choice": "required", "parallel_tool_calls": False}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
    ],
)
def test_tool_choice_is_translated(choice: dict[str, Any], expected: dict[str, Any]) -> None:
    tree = tree_of(tools=[{"name": "f", "input_schema": {"type": "object"}}], tool_choice=choice)
    assert {key: tree[key] for key in ("tool_choice", "parallel_tool_calls") if key in tree} == expected


@pytest.mark.parametrize(
    "body, name",
    [
        ({"top_k": 5}, "top_k"),
        ({"tools": [{"type": "web_search_20260318", "name": "web_search"}]}, "tools of type web_search_20260318"),
        ({"output_config": {"effort": "extreme"}}, "output_config.effort extreme"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {}}]}]}, "messages.document"),
        ({"something_new": True}, "something_new"),
        ({"max_tokens": 0}, "max_tokens 0"),
    ],
)
def test_parameters_without_a_counterpart_are_listed_and_sent_only_to_the_same_protocol(
    body: dict[str, Any], name: str
) -> None:
    request = parsed(**body)
    assert request.untranslated == (name,)
    sent = msgspec.json.decode(anthropic.payload(request, Target(CLAUDE, 2), stream=False))
    assert {key: sent[key] for key in body} == body


def test_the_log_and_the_rules_see_parameters_without_a_counterpart() -> None:
    document = {"type": "document", "source": {"type": "file", "file_id": "f1"}}
    search = {"type": "web_search_20260318", "name": "web_search"}
    request = parsed(messages=[{"role": "user", "content": [document]}], tools=[search])
    assert request.plain_messages == [{"role": "user", "content": [document]}]
    assert request.tools == [search]


def test_leave_out_applies_to_complete_parameters_only() -> None:
    document = [{"role": "user", "content": [{"type": "document"}]}]
    target = Target(msgspec.structs.replace(GPT, leave_out=("top_k", "messages.document")), 2)
    assert dialects.untranslatable(parsed(top_k=3), target) is None
    assert dialects.untranslatable(parsed(messages=document), target) == "messages.document"


@pytest.mark.parametrize(
    "body, effort",
    [
        ({"thinking": {"type": "adaptive"}}, None),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 32000}, "output_config": {"effort": "low"}}, "low"),
    ],
)
def test_a_thinking_budget_becomes_a_reasoning_effort(body: dict[str, Any], effort: str | None) -> None:
    assert tree_of(**body).get("reasoning_effort") == effort
    assert parsed(**body).untranslated == ()


def test_the_earlier_name_of_the_output_format_is_known() -> None:
    stated = {"type": "json_schema", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
    assert tree_of(output_format=stated) == tree_of(output_config={"format": stated})
    assert parsed(output_format=stated).untranslated == ()


def test_context_management_hints_are_removed_by_name() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}, "defer_loading": True}
    request = parsed(context_management={"edits": []}, tools=[tool])
    assert (request.untranslated, request.left_out) == ((), ("context_management", "tools.defer_loading"))
    assert dialects.left_out(request, Target(GPT, 2)) == request.left_out
    assert dialects.left_out(request, Target(CLAUDE, 2)) == ()


def test_a_failed_tool_and_an_image_in_its_result_reach_the_model() -> None:
    use = [{"type": "tool_use", "id": f"t{n}", "name": "f", "input": {}} for n in (1, 2)]
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}}
    results = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "timeout", "is_error": True},
        {"type": "tool_result", "tool_use_id": "t2", "content": [image]},
    ]
    request = parsed(messages=[USER, {"role": "assistant", "content": use}, {"role": "user", "content": results}])
    messages = json.loads(anthropic_answers.payload(request, Target(GPT, 2), stream=False))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "user"]
    assert messages[2]["content"] == "Error: timeout"
    assert [part["type"] for part in messages[4]["content"]] == ["text", "image_url"]
    assert [message.role for message in request.body.messages] == ["user", "assistant", "tool", "tool"]


def test_a_turn_with_only_thinking_is_dropped_and_a_prefilled_answer_is_reported() -> None:
    thought = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}
    assert tree_of(messages=[USER, thought, USER])["messages"] == [USER, USER]
    prefilled = parsed(messages=[USER, {"role": "assistant", "content": "{"}])
    assert "prefill" in (dialects.untranslatable(prefilled, Target(GPT, 2)) or "")
    assert dialects.untranslatable(prefilled, Target(CLAUDE, 2)) is None


def test_thinking_of_other_providers_is_not_sent_to_anthropic() -> None:
    foreign = {"type": "thinking", "thinking": "hm", "signature": UNSIGNED}
    own = {"type": "thinking", "thinking": "hm", "signature": "sig"}
    content = [foreign, own, {"type": "text", "text": "x"}]
    turns = [USER, {"role": "assistant", "content": content}, USER, {"role": "assistant", "content": [foreign]}, USER]
    sent = msgspec.json.decode(anthropic.payload(parsed(messages=turns), Target(CLAUDE, 2), stream=False))
    assert sent["messages"] == [USER, {"role": "assistant", "content": content[1:]}, USER, USER]


def test_disabled_thinking_and_cache_marks_do_not_prevent_a_translation() -> None:
    mark = {"type": "ephemeral"}
    request = parsed(thinking={"type": "disabled"}, cache_control=mark, service_tier="auto", top_k=None)
    assert request.untranslated == ()


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": "m", "max_tokens": 1, "messages": [{}]}', b"\xff"])
def test_an_invalid_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        parse(body, {})


def test_a_request_of_the_same_dialect_changes_only_in_model_cap_and_tags() -> None:
    cached = [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}]}]
    body = {"messages": cached, "max_tokens": 90, "top_k": 3, "metadata": {"user_id": "u", "call_site": "c"}}
    request = parsed({b"anthropic-beta": b"new"}, **body)
    sent = msgspec.json.decode(anthropic.payload(request, Target(CLAUDE, 2, None, 50), stream=False))
    assert sent == body | {"model": "claude-haiku-4-5", "max_tokens": 50, "metadata": {"user_id": "u"}}
    headers = anthropic.headers("key", request, Target(CLAUDE, 2))
    assert headers == {"anthropic-version": anthropic.VERSION, "anthropic-beta": "new", "x-api-key": "key"}


def test_max_completion_tokens_is_lowered_to_the_cap_of_the_registry() -> None:
    sent = msgspec.json.decode(anthropic_answers.payload(parsed(), Target(GPT, 2, None, 5), stream=True))
    assert sent == {
        "model": "gpt-4o-mini",
        "messages": [USER],
        "max_completion_tokens": 5,
        "stream_options": {"include_usage": True},
    }


def test_errors_of_endpoints_are_passed_on_or_converted() -> None:
    own = b'{"type":"error","error":{"type":"invalid_request_error","message":"no"}}'
    other = b'{"error":{"message":"no","type":"x","code":"y"}}'
    assert anthropic_requests.error_of(400, own) == own
    assert anthropic_requests.error_of(400, other) == own
    assert openai.error_of(400, other) == other
    assert msgspec.json.decode(openai.error_of(400, own) or b"")["error"]["message"] == "no"
    assert anthropic_requests.error_of(400, b"<html>") is None is openai.error_of(400, b'{"error": "text"}')


@pytest.mark.parametrize("status, kind", [(404, "not_found_error"), (418, "invalid_request_error"), (502, "api_error")])
def test_errors_have_the_type_of_their_status(status: int, kind: str) -> None:
    assert msgspec.json.decode(anthropic_requests.error(status, "no", "x"))["error"] == {"type": kind, "message": "no"}


def test_listed_models_have_the_fields_of_anthropics_sdk() -> None:
    (card,) = anthropic_requests.models(["m"])["data"]
    assert ModelInfo.model_validate(card).id == "m"
