"""router/wire/endpoint_body.py"""

import copy
from typing import Any

import msgspec
import pytest

from router.wire.endpoint_body import adapted
from traffic.tiers import Endpoint

ADAPTIVE = {"type": "adaptive"}


def endpoint(**settings: Any) -> Endpoint:
    return Endpoint(name="e", kind="openai", base_url="https://e.example/v1", model="m", **settings)


def turn(role: str) -> dict[str, Any]:
    return {"role": role, "content": role}


ACKNOWLEDGED = {"role": "assistant", "content": "OK."}


@pytest.mark.parametrize(
    "settings, body, sent",
    [
        ({}, {"max_tokens": 9}, {"max_tokens": 9}),
        ({"rename": {"max_tokens": "max_completion_tokens"}}, {"max_tokens": 9}, {"max_completion_tokens": 9}),
        ({"rename": {"a": "b"}}, {"a": 1, "b": 2}, {"b": 2}),
        ({"body": {"store": False}}, {"n": 1}, {"n": 1, "store": False}),
        ({"body": {"store": False}}, {"store": True}, {"store": True}),
        (
            {"turn_rules": ("system_first",)},
            {"messages": [{"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, turn("system")]},
            {"messages": [{"role": "system", "content": "a\n\nb\n\nsystem"}]},
        ),
        (
            {"turn_rules": ("system_first", "alternate")},
            {"messages": [turn("user"), turn("system"), turn("assistant"), turn("user")]},
            {"messages": [{"role": "user", "content": "user\n\nsystem"}, turn("assistant"), turn("user")]},
        ),
        (
            {"turn_rules": ("assistant_after_tool",)},
            {"messages": [turn("tool"), turn("tool"), turn("user"), turn("tool")]},
            {"messages": [turn("tool"), turn("tool"), ACKNOWLEDGED, turn("user"), turn("tool")]},
        ),
        (
            {"adaptive_thinking": True},
            {"thinking": {"type": "enabled", "budget_tokens": 4096, "display": "summarized"}},
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "medium"}},
        ),
        (
            {"adaptive_thinking": True},
            {"thinking": {"type": "enabled", "budget_tokens": 4096}, "output_config": {"effort": "max"}},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}},
        ),
        ({"adaptive_thinking": True}, {"thinking": {"type": "disabled"}}, {"thinking": {"type": "disabled"}}),
        (
            {"adaptive_thinking": False},
            {"thinking": ADAPTIVE | {"display": "summarized"}, "max_tokens": 9000, "temperature": 1},
            {"thinking": {"type": "enabled", "budget_tokens": 8192}, "max_tokens": 9000},
        ),
        (
            {"adaptive_thinking": False},
            {"thinking": ADAPTIVE, "max_tokens": 4000, "output_config": {"effort": "low"}},
            {
                "thinking": {"type": "enabled", "budget_tokens": 2048},
                "max_tokens": 4000,
                "output_config": {"effort": "low"},
            },
        ),
        ({"adaptive_thinking": False}, {"thinking": ADAPTIVE, "max_tokens": 900}, {"max_tokens": 900}),
        (
            {"adaptive_thinking": False},
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
            {"thinking": {"type": "enabled", "budget_tokens": 9}},
        ),
        (
            {"leave_out": ("output_config.effort",)},
            {"output_config": {"effort": "max"}, "system": "s"},
            {"system": "s"},
        ),
        (
            {"leave_out": ("output_config.effort",)},
            {"output_config": {"effort": "max", "format": {}}},
            {"output_config": {"format": {}}},
        ),
        (
            {"efforts": ("low", "high")},
            {"output_config": {"effort": "max", "format": {}}},
            {"output_config": {"effort": "high", "format": {}}},
        ),
        (
            {"efforts": ("low", "high"), "tools_effort": "none"},
            {"tools": [{"name": "t"}], "reasoning_effort": "high"},
            {"tools": [{"name": "t"}], "reasoning_effort": "none"},
        ),
        (
            {"efforts": ("low", "high"), "tools_effort": "none"},
            {"tools": [], "reasoning_effort": "minimal"},
            {"tools": [], "reasoning_effort": "low"},
        ),
        ({"tools_effort": "none"}, {"tools": None}, {"tools": None}),
        ({"tool_schema_leave_out": ("$schema",)}, {"tools": None}, {"tools": None}),
        ({"leave_out": ("stream_options",)}, {"stream_options": {"include_usage": True}}, {}),
        ({"rename": {"a": "b"}, "leave_out": ("b",)}, {"a": 1}, {}),
        (
            {"leave_out": ("tools.defer_loading",)},
            {"tools": [{"name": "t", "defer_loading": True}, {"name": "u"}]},
            {"tools": [{"name": "t"}, {"name": "u"}]},
        ),
        (
            {"roles": {"developer": "system"}},
            {"messages": [{"role": "developer", "content": "a"}, {"role": "user", "content": "developer"}]},
            {"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "developer"}]},
        ),
    ],
)
def test_the_body_follows_the_configuration_of_the_endpoint(
    settings: dict[str, Any], body: dict[str, Any], sent: dict[str, Any]
) -> None:
    given = copy.deepcopy(body)
    assert adapted(given, endpoint(**settings)) == sent
    assert given == body
    raw = {key: msgspec.Raw(msgspec.json.encode(value)) for key, value in body.items()}
    assert msgspec.json.decode(msgspec.json.encode(adapted(raw, endpoint(**settings)))) == sent


def test_tools_are_adapted_and_a_long_description_moves_to_the_system_prompt() -> None:
    schema = {"$schema": "s", "properties": {"$schema": {"title": "t", "enum": ["title"]}}}
    body = {
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "long" * 9, "parameters": schema}},
            {"type": "custom", "custom": {"name": "c"}},
        ],
    }
    sent = adapted(body, endpoint(tool_schema_leave_out=("$schema", "title"), tool_description_chars=8))
    function = sent["tools"][0]["function"]
    assert function["parameters"] == {"properties": {"$schema": {"enum": ["title"]}}}
    assert function["description"] == "longlong"
    assert sent["tools"][1] == body["tools"][1]
    assert [message["role"] for message in sent["messages"]] == ["system", "system", "user"]
    assert "long" * 9 in sent["messages"][1]["content"]


def test_calls_and_results_keep_matching_ids() -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": None, "tool_calls": [call, call | {"id": "abcDEF123"}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "r"},
    ]
    body = {"messages": msgspec.Raw(msgspec.json.encode(messages))}
    user, assistant, result = adapted(body, endpoint(tool_call_id_chars=9))["messages"]
    first, second = (call["id"] for call in assistant["tool_calls"])
    assert user == messages[0]
    assert first == result["tool_call_id"]
    assert (len(first), second) == (9, "abcDEF123")
