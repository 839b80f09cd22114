"""Parameters and messages of chat completions as clients write them, for endpoints of Anthropic's protocol."""

import json
from typing import Any

from router.wire.thinking import UNSIGNED
from tests.fakes.raw_upstream import Play, plain
from tests.fakes.reports import FUNCTION, TOOL, USER, Case, asked
from tests.fakes.wire_bench import Heard

ALL_NULL = dict.fromkeys(
    """
    temperature top_p tools tool_choice response_format stop user metadata stream n seed max_tokens
    logit_bias logprobs stream_options parallel_tool_calls reasoning_effort
    """.split()
)
CALLING = {"role": "assistant", "content": None}


def called(arguments: Any) -> dict[str, Any]:
    """A conversation with one call of a tool."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "r"}
    return {"messages": [USER, CALLING | {"tool_calls": [call]}, result], "tools": [FUNCTION]}


def given(heard: Heard) -> Any:
    """The input of the call that the endpoint saw."""
    return next(b["input"] for b in asked(heard)["messages"][1]["content"] if b["type"] == "tool_use")


FOREIGN = {"type": "thinking", "thinking": "t", "signature": "of another provider"}
THOUGHT = [USER, {"role": "assistant", "content": [FOREIGN, {"type": "text", "text": "a"}]}, USER]
UNSIGNED_CALLS = [
    USER,
    {
        "role": "assistant",
        "content": [FOREIGN | {"signature": UNSIGNED}, {"type": "tool_use", "id": "c", "name": "f", "input": {}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "r"}]},
]
THOUGHT_FOR_CHAT = [USER, CALLING | {"content": "a", "thinking_blocks": [FOREIGN]}, USER]


def foreign_thinking(head: str, body: bytes) -> Play | None:
    """Takes thinking with its own signatures only."""
    del head
    error = {
        "type": "invalid_request_error",
        "message": "messages.1.content.0: Invalid `signature` in `thinking` block",
    }
    return plain({"type": "error", "error": error}, status=400) if b"another provider" in body else None


def unknown_examples(head: str, body: bytes) -> Play | None:
    del head
    error = {
        "type": "invalid_request_error",
        "message": "tools.0.custom.input_examples: Extra inputs are not permitted",
    }
    return plain({"type": "error", "error": error}, status=400) if b"input_examples" in body else None


def one_of_two(head: str, body: bytes) -> Play | None:
    """A gateway to Claude that quotes its errors."""
    del head
    inner = {"error": {"message": "`temperature` and `top_p` cannot both be specified for this model. Use only one."}}
    error = {"message": json.dumps(inner), "type": "invalid_request_error", "code": "invalid_request_body"}
    return plain({"error": error}, status=400) if b"temperature" in body and b"top_p" in body else None


def thinks(body: Any) -> bool:
    return body.get("thinking", {}).get("type") in ("enabled", "adaptive")


def to_claude(name: str, right: Any, body: dict[str, Any]) -> Case:
    return Case(name, "chat", "claude", lambda h: h.status == 200 and right(h), body)


PARAMETERS = [
    to_claude(
        "parameters that are null ask for nothing",
        lambda h: set(asked(h)) <= {"model", "max_tokens", "messages"},
        ALL_NULL,
    ),
    to_claude(
        "parameters at their defaults ask for nothing",
        lambda h: set(asked(h)) <= {"model", "max_tokens", "messages"},
        {"n": 1, "logprobs": False, "top_logprobs": None, "logit_bias": {}, "presence_penalty": 0.0}
        | {"frequency_penalty": 0, "modalities": ["text"], "response_format": {"type": "text"}, "stop": ""},
    ),
    to_claude(
        "a forced call and thinking do not go together",
        lambda h: not (thinks(asked(h)) and asked(h)["tool_choice"]["type"] in ("any", "tool")),
        {
            "tools": [FUNCTION],
            "tool_choice": "required",
            "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 2000},
        },
    ),
    to_claude(
        "thinking takes no other temperature",
        lambda h: not (thinks(asked(h)) and asked(h).get("temperature", 1) != 1),
        {"temperature": 0.2, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    to_claude(
        "thinking takes no top_k",
        lambda h: not (thinks(asked(h)) and "top_k" in asked(h)),
        {"top_k": 5, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
    ),
    to_claude(
        "temperature or top_p, not both",
        lambda h: len({"temperature", "top_p"} & asked(h).keys()) == 1,
        {"temperature": 0.2, "top_p": 0.9},
    ),
    to_claude(
        "one call at a time without a choice of tools",
        lambda h: asked(h)["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True},
        {"tools": [FUNCTION], "parallel_tool_calls": False},
    ),
    to_claude(
        "one call at a time where a call must be made",
        lambda h: asked(h)["tool_choice"] == {"type": "any", "disable_parallel_tool_use": True},
        {"tools": [FUNCTION], "parallel_tool_calls": False, "tool_choice": "required"},
    ),
    to_claude(
        "one call at a time without tools",
        lambda h: "tool_choice" not in asked(h),
        {"parallel_tool_calls": False},
    ),
    to_claude(
        "a choice among no tools",
        lambda h: not {"tools", "tool_choice"} & asked(h).keys(),
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
    ),
    to_claude(
        "no call may be made",
        lambda h: asked(h)["tool_choice"] == {"type": "none"} or "tools" not in asked(h),
        {"tools": [FUNCTION], "tool_choice": "none"},
    ),
    to_claude("arguments that are empty", lambda h: given(h) == {}, called("")),
    to_claude("arguments that are null", lambda h: isinstance(given(h), dict), called("null")),
    to_claude("arguments that are a list", lambda h: isinstance(given(h), dict), called("[1]")),
    to_claude("arguments that are cut off", lambda h: isinstance(given(h), dict), called('{"a": ')),
    to_claude("arguments as an object", lambda h: given(h) == {"a": 1}, called({"a": 1})),
    to_claude(
        "a function without parameters",
        lambda h: asked(h)["tools"][0]["input_schema"]["type"] == "object",
        {"tools": [{"type": "function", "function": {"name": "f", "description": None, "parameters": None}}]},
    ),
    to_claude(
        "an image's URL as a text",
        lambda h: (
            asked(h)["messages"][0]["content"][0]["source"] == {"type": "url", "url": "https://example.com/a.png"}
        ),
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "https://example.com/a.png"}]}]},
    ),
    to_claude(
        "parts in the words of responses",
        lambda h: "hello" in str(asked(h)["messages"]) and "url" in str(asked(h)["messages"]),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_text", "text": "hello"},
                        {"type": "input_image", "image_url": "https://example.com/a.png"},
                    ],
                }
            ]
        },
    ),
    to_claude(
        "a cache mark in a tool's result is the result's",
        lambda h: (
            (result := asked(h)["messages"][2]["content"][0])["type"] == "tool_result"
            and result.get("cache_control") == {"type": "ephemeral"}
            and "cache_control" not in str(result["content"])
        ),
        {
            "messages": [
                *called("{}")["messages"][:2],
                {
                    "role": "tool",
                    "tool_call_id": "c1",
                    "content": [{"type": "text", "text": "r", "cache_control": {"type": "ephemeral"}}],
                },
            ],
            "tools": [FUNCTION],
        },
    ),
    to_claude(
        "an assistant's turn that says nothing",
        lambda h: [m["role"] for m in asked(h)["messages"]] == ["user"],
        {"messages": [USER, {"role": "assistant", "content": None}, USER]},
    ),
    to_claude(
        "a refusal of an earlier turn",
        lambda h: "cannot" in str(asked(h)["messages"][1]),
        {"messages": [USER, {"role": "assistant", "content": None, "refusal": "I cannot."}, USER]},
    ),
    to_claude(
        "a system message after the user's",
        lambda h: "system" not in [m["role"] for m in asked(h)["messages"]] and "late" in str(asked(h)),
        {"messages": [USER, {"role": "system", "content": "late"}]},
    ),
    *[
        to_claude(f"an effort of {effort}", lambda h: h.asked, {"reasoning_effort": effort})
        for effort in ("none", "minimal", "low", "medium", "high", "xhigh", "max", "default", "auto", "")
    ],
    to_claude(
        "thinking is Anthropic's own parameter",
        lambda h: asked(h)["thinking"] == {"type": "enabled", "budget_tokens": 2000},
        {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 4000},
    ),
    Case(
        "a custom tool with a grammar is refused by name",
        "chat",
        "claude",
        lambda h: h.status == 400 and b"custom" in h.body and not h.asked,
        {"tools": [{"type": "custom", "custom": {"name": "run", "format": {"type": "grammar", "grammar": {}}}}]},
    ),
    to_claude(
        "a function in the words of responses",
        lambda h: asked(h)["tools"][0]["name"] == "f",
        {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]},
    ),
    to_claude(
        "a tool in Anthropic's words",
        lambda h: asked(h)["tools"][0]["name"] == "f",
        {"tools": [{"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}]},
    ),
    to_claude(
        "a choice of tools in Anthropic's words",
        lambda h: asked(h)["tool_choice"]["type"] == "any",
        {"tools": [FUNCTION], "tool_choice": {"type": "any"}},
    ),
    Case(
        "a request that says nothing is refused",
        "chat",
        "claude",
        lambda h: h.status == 400 and b"without any text" in h.body and not h.asked,
        {"messages": [{"role": "user", "content": ""}]},
    ),
    to_claude(
        "a function's result in the old form",
        lambda h: "tool_result" in str(asked(h)["messages"]),
        {
            "messages": [
                USER,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "r"},
            ],
            "functions": [{"name": "f", "parameters": {"type": "object", "properties": {}}}],
        },
    ),
    to_claude(
        "an instruction to write JSON without a schema's type",
        lambda h: h.asked,
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": {"properties": {"a": {"type": "string"}}}},
            }
        },
    ),
    to_claude(
        "lists of nothing in an earlier turn",
        lambda h: [m["role"] for m in asked(h)["messages"]] == ["user", "assistant", "user"],
        {"messages": [USER, {"role": "assistant", "content": "ok", "tool_calls": []}, USER]},
    ),
    to_claude(
        "a call whose turn has a list of no parts",
        lambda h: [b["type"] for b in asked(h)["messages"][1]["content"]] == ["tool_use"],
        {
            "messages": [
                called("{}")["messages"][0],
                called("{}")["messages"][1] | {"content": []},
                called("{}")["messages"][2],
            ],
            "tools": [FUNCTION],
        },
    ),
    to_claude(
        "a result of a tool that is empty",
        lambda h: asked(h)["messages"][2]["content"][0]["type"] == "tool_result",
        {
            "messages": [*called("{}")["messages"][:2], {"role": "tool", "tool_call_id": "c1", "content": ""}],
            "tools": [FUNCTION],
        },
    ),
    to_claude(
        "a call without a result",
        lambda h: (
            {
                b["tool_use_id"]
                for m in asked(h)["messages"]
                if isinstance(m["content"], list)
                for b in m["content"]
                if b["type"] == "tool_result"
            }
            == {"c1"}
        ),
        {"messages": [*called("{}")["messages"][:2], USER], "tools": [FUNCTION]},
    ),
    to_claude(
        "a result without a call",
        lambda h: "tool_result" not in str(asked(h)["messages"]),
        {"messages": [USER, {"role": "tool", "tool_call_id": "gone", "content": "r"}, USER]},
    ),
    Case(
        "thinking of another provider",
        "messages",
        "claude",
        lambda h: (
            h.status == 200
            and thinks(asked(h))
            and asked(h)["messages"][1]["content"] == [{"type": "text", "text": "a"}]
        ),
        {"messages": THOUGHT, "thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000},
        refusing=foreign_thinking,
    ),
    Case(
        "calls of another provider, whose thinking has no signature",
        "messages",
        "claude",
        lambda h: "thinking" not in asked(h) and "context_management" not in asked(h),
        {
            "messages": UNSIGNED_CALLS,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "max_tokens": 2000,
        },
    ),
    Case(
        "thinking of another provider, in a chat",
        "chat",
        "claude",
        lambda h: h.status == 200 and "thinking" not in json.dumps(asked(h)["messages"]),
        {"messages": THOUGHT_FOR_CHAT},
        refusing=foreign_thinking,
    ),
    Case(
        "examples of a tool's input that the server does not know",
        "messages",
        "claude",
        lambda h: h.status == 200 and "input_examples" not in asked(h)["tools"][0],
        {"tools": [TOOL | {"input_examples": [{}]}]},
        refusing=unknown_examples,
    ),
    Case(
        "a gateway that quotes its provider's error",
        "chat",
        "gpt",
        lambda h: h.status == 200 and "temperature" in asked(h) and "top_p" not in asked(h),
        {"temperature": 0.5, "top_p": 0.9},
        refusing=one_of_two,
    ),
]
