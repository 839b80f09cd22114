"""Requests for an endpoint of chat completions, from clients of every protocol."""

from tests.fakes.raw_upstream import Play, plain
from tests.fakes.reports import (
    CALLED,
    CLIENT_SEARCH,
    GROQ_UNKNOWN,
    LONG_ID,
    MISTRAL_UNKNOWN,
    PAGE,
    PNG,
    RESPONSE_TOOL,
    RETURNED,
    THINKING_WANTED,
    TOOL,
    USER,
    Case,
    asked,
    roles,
    user,
)

NAMESPACE = {"type": "namespace", "name": "mcp__x", "description": "d", "tools": [RESPONSE_TOOL | {"name": "js"}]}
GRAMMAR = {"syntax": "lark", "definition": "start: WORD"}
CALLING = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def refused(message: str) -> Play:
    return plain({"error": {"message": message, "type": "invalid_request_error"}}, status=400)


TO_GPT = [
    Case(
        "thinking goes back where it is asked for",
        "messages",
        "gpt",
        lambda h: h.status == 200 and asked(h)["messages"][1]["reasoning_content"] == "hm",
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "thinking", "thinking": "hm", "signature": "fasttier-unsigned"},
                        *CALLED["content"],
                    ],
                },
                RETURNED,
            ]
        },
        refusing=lambda head, body: THINKING_WANTED if b"reasoning_content" not in body else None,
    ),
    Case(
        "what the router wrote into a message does not come back to an endpoint",
        "chat",
        "gpt",
        lambda h: asked(h)["messages"][1] == {"role": "assistant", "content": "ok"},
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": "ok",
                    "reasoning_content": "hm",
                    "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                    "provider_specific_fields": {"citations": [PAGE]},
                },
                USER,
            ]
        },
    ),
    Case(
        "a field of a message that an endpoint does not know is left out",
        "chat",
        "gpt",
        lambda h: h.status == 200 and "reasoning_content" not in asked(h)["messages"][1],
        {"messages": [USER, {"role": "assistant", "content": "ok", "reasoning_content": "hm"}, USER]},
        refusing=lambda head, body: GROQ_UNKNOWN if b"reasoning_content" in body else None,
    ),
    Case(
        "however it says so",
        "chat",
        "gpt",
        lambda h: h.status == 200 and "reasoning" not in asked(h)["messages"][1],
        {"messages": [USER, {"role": "assistant", "content": "ok", "reasoning": "hm"}, USER]},
        refusing=lambda head, body: MISTRAL_UNKNOWN if b'"reasoning"' in body else None,
    ),
    Case(
        "a document of blocks is text",
        "messages",
        "gpt",
        lambda h: "blue" in str(asked(h)["messages"][0]["content"]) and h.status == 200,
        user({"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "blue"}]}}),
    ),
    Case(
        "citations that are wanted cannot be had",
        "messages",
        "gpt",
        lambda h: h.status == 400 and b"citations" in h.body,
        user(
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "x"},
                "citations": {"enabled": True},
            }
        ),
    ),
    Case(
        "a document's context is not lost",
        "messages",
        "gpt",
        lambda h: "from 2020" in str(asked(h)["messages"][0]["content"]),
        user(
            {
                "type": "document",
                "title": "T",
                "context": "from 2020",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
            }
        ),
    ),
    Case(
        "a result of a tool may hold texts of all kinds",
        "messages",
        "gpt",
        lambda h: all(word in str(asked(h)["messages"][2]["content"]) for word in ("blue", "green")),
        {
            "messages": [
                USER,
                CALLED,
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "tool_result",
                            "tool_use_id": "t1",
                            "content": [
                                {
                                    "type": "document",
                                    "source": {"type": "text", "media_type": "text/plain", "data": "blue"},
                                },
                                {
                                    "type": "search_result",
                                    "title": "T",
                                    "source": "S",
                                    "content": [{"type": "text", "text": "green"}],
                                },
                            ],
                        }
                    ],
                },
            ]
        },
    ),
    Case(
        "turns of the assistant in a row are one",
        "messages",
        "gpt",
        lambda h: roles(h) == ["user", "assistant", "tool"],
        {"messages": [USER, CALLED, {"role": "assistant", "content": "wait"}, RETURNED]},
    ),
    Case(
        "a long id of a call is shortened alike in call and result",
        "messages",
        "gpt",
        lambda h: (
            len(asked(h)["messages"][1]["tool_calls"][0]["id"]) <= 40
            and asked(h)["messages"][1]["tool_calls"][0]["id"] == asked(h)["messages"][2]["tool_call_id"]
        ),
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [CALLED["content"][0] | {"id": LONG_ID}]},
                {"role": "user", "content": [RETURNED["content"][0] | {"tool_use_id": LONG_ID}]},
            ]
        },
    ),
    Case(
        "a format that strict schemas do not know makes none",
        "messages",
        "gpt",
        lambda h: not asked(h)["tools"][0]["function"].get("strict"),
        {
            "tools": [
                {
                    "name": "f",
                    "strict": True,
                    "input_schema": {
                        "type": "object",
                        "properties": {"u": {"type": "string", "format": "uri"}},
                        "required": ["u"],
                        "additionalProperties": False,
                    },
                }
            ]
        },
    ),
    Case(
        "standard capacity is the default tier",
        "messages",
        "gpt",
        lambda h: h.status == 200,
        {"service_tier": "standard_only"},
    ),
    Case(
        "an empty system block is no part",
        "messages",
        "gpt",
        lambda h: asked(h)["messages"][0] == {"role": "system", "content": "x"},
        {"system": [{"type": "text", "text": ""}, {"type": "text", "text": "x"}]},
    ),
    Case(
        "a call and the text after it are one turn",
        "responses",
        "gpt",
        lambda h: roles(h) == ["user", "assistant", "tool"] and asked(h)["messages"][1]["content"] == "wait",
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"role": "assistant", "content": "wait"},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
    ),
    Case(
        "results come after their calls, whoever speaks between",
        "responses",
        "gpt",
        lambda h: roles(h) == ["user", "assistant", "tool", "user"],
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                USER,
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
    ),
    Case(
        "parallel calls are one turn, reasoning between them or not",
        "responses",
        "gpt",
        lambda h: roles(h) == ["user", "assistant", "tool", "tool"],
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "a", "name": "f", "arguments": "{}"},
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "b", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "a", "output": "r"},
                {"type": "function_call_output", "call_id": "b", "output": "r"},
            ]
        },
    ),
    Case(
        "reasoning goes back where it is asked for",
        "responses",
        "gpt",
        lambda h: h.status == 200 and asked(h)["messages"][1]["reasoning_content"] == "hm",
        {
            "input": [
                USER,
                {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
        refusing=lambda head, body: THINKING_WANTED if b"reasoning_content" not in body else None,
    ),
    Case(
        "an image in a call's output follows it",
        "responses",
        "gpt",
        lambda h: (
            roles(h) == ["user", "assistant", "tool", "user"]
            and "image_url" in str(asked(h)["messages"][3])
            and "image_url" not in str(asked(h)["messages"][2])
        ),
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {
                    "type": "function_call_output",
                    "call_id": "c",
                    "output": [{"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}],
                },
            ]
        },
    ),
    Case(
        "a choice among allowed tools leaves the others out",
        "responses",
        "gpt",
        lambda h: [t["function"]["name"] for t in asked(h)["tools"]] == ["f"] and asked(h)["tool_choice"] == "auto",
        {
            "tools": [{"type": "function", "name": name, "parameters": {}} for name in "fg"],
            "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        },
    ),
    Case(
        "a hosted tool that may be used is left out by name",
        "responses",
        "gpt",
        lambda h: h.status == 200 and "web_search" in h.headers["x-fasttier-left-out"],
        {"tools": [{"type": "web_search"}, {"type": "function", "name": "f", "parameters": {}}]},
    ),
    Case(
        "a hosted tool that must be used is refused by name",
        "responses",
        "gpt",
        lambda h: h.status == 400 and b"web_search" in h.body,
        {"tools": [{"type": "web_search"}], "tool_choice": "required"},
    ),
    *[
        Case(
            f"{name} is a hint",
            "responses",
            "gpt",
            lambda h, name=name: h.status == 200 and name in h.headers["x-fasttier-left-out"],
            {name: value},
        )
        for name, value in (("max_tool_calls", 3), ("context_management", [{"type": "compaction"}]))
    ],
    Case(
        "how long a cache is kept is a parameter of both",
        "responses",
        "gpt",
        lambda h: asked(h)["prompt_cache_retention"] == "24h",
        {"prompt_cache_retention": "24h"},
    ),
    Case(
        "an earlier search of the web is left out by name",
        "responses",
        "gpt",
        lambda h: h.status == 200 and "input.web_search_call" in h.headers["x-fasttier-left-out"],
        {"input": [USER, {"type": "web_search_call", "id": "ws", "status": "completed", "action": {}}, USER]},
    ),
    Case(
        "an agent that was interrupted left out a result, and another's call",
        "messages",
        "gpt",
        lambda h: (
            roles(h) == ["user", "assistant", "tool", "user", "user"] and "r" in asked(h)["messages"][4]["content"]
        ),
        {
            "messages": [
                USER,
                CALLED,
                USER,
                {"role": "user", "content": [RETURNED["content"][0] | {"tool_use_id": "gone"}]},
            ]
        },
    ),
    Case(
        "tools that Codex sends as an item of the input",
        "responses",
        "gpt",
        lambda h: [t["function"]["name"] for t in asked(h)["tools"]] == ["exec", "mcp__x__js"],
        {
            "input": [
                {
                    "type": "additional_tools",
                    "role": "developer",
                    "tools": [RESPONSE_TOOL | {"name": "exec"}, NAMESPACE],
                },
                USER,
            ]
        },
    ),
    Case(
        "tools that the client's search found can be called",
        "responses",
        "gpt",
        lambda h: (
            [t["function"]["name"] for t in asked(h)["tools"]] == ["tool_search", "mcp__x__js"]
            and roles(h) == ["user", "assistant", "tool"]
            and "mcp__x__js" in asked(h)["messages"][2]["content"]
        ),
        {
            "tools": [CLIENT_SEARCH],
            "input": [
                USER,
                {"type": "tool_search_call", "call_id": "s", "execution": "client", "arguments": {"query": "x"}},
                {"type": "tool_search_output", "call_id": "s", "execution": "client", "tools": [NAMESPACE]},
            ],
        },
    ),
    Case(
        "empty arguments of an earlier call are an empty object",
        "responses",
        "gpt",
        lambda h: asked(h)["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}",
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
    ),
    Case(
        "flat tools of Cursor",
        "chat",
        "gpt",
        lambda h: (
            [t["type"] for t in asked(h)["tools"]] == ["function", "custom"]
            and asked(h)["tools"][1]["custom"]["format"] == {"type": "grammar", "grammar": GRAMMAR}
            and asked(h)["tool_choice"] == {"type": "custom", "custom": {"name": "ApplyPatch"}}
        ),
        {
            "tools": [
                RESPONSE_TOOL,
                {"type": "custom", "name": "ApplyPatch", "format": {"type": "grammar", **GRAMMAR}},
            ],
            "tool_choice": {"type": "custom", "name": "ApplyPatch"},
        },
    ),
    Case(
        "an empty list of parts beside a call",
        "chat",
        "gpt",
        lambda h: h.status == 200 and asked(h)["messages"][1]["content"] is None,
        {"messages": [USER, CALLING | {"content": []}, {"role": "tool", "tool_call_id": "c", "content": "r"}]},
    ),
    Case(
        "Kimi wants reasoning in every call",
        "chat",
        "gpt",
        lambda h: h.status == 200 and asked(h)["messages"][1]["reasoning_content"] == " ",
        {"messages": [USER, CALLING, {"role": "tool", "tool_call_id": "c", "content": "r"}]},
        refusing=lambda head, body: (
            refused("thinking is enabled but reasoning_content is missing in assistant tool call message at index 1")
            if b"reasoning_content" not in body
            else None
        ),
    ),
    Case(
        "an effort that a model does not have becomes the nearest",
        "chat",
        "gpt",
        lambda h: h.status == 200 and asked(h)["reasoning_effort"] == "low",
        {"reasoning_effort": "minimal"},
        refusing=lambda head, body: (
            refused(
                "Unsupported value: 'reasoning_effort' does not support 'minimal' with this model. Supported values "
                "are: 'none', 'low', 'medium', 'high', and 'xhigh'.",
            )
            if b"minimal" in body
            else None
        ),
    ),
    Case(
        "a model that takes no tools beside an effort",
        "messages",
        "gpt",
        lambda h: h.status == 200 and asked(h)["reasoning_effort"] == "none" and asked(h)["tools"],
        {"tools": [TOOL], "output_config": {"effort": "high"}},
        refusing=lambda head, body: (
            refused(
                "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use "
                "function tools, use /v1/responses or set reasoning_effort to 'none'.",
            )
            if b'"none"' not in body
            else None
        ),
    ),
    Case(
        "xAI names a parameter in camel case",
        "chat",
        "gpt",
        lambda h: h.status == 200 and "reasoning_effort" not in asked(h),
        {"reasoning_effort": "low"},
        refusing=lambda head, body: (
            plain({"code": "invalid", "error": "Model x does not support parameter reasoningEffort."}, status=400)
            if b"reasoning_effort" in body
            else None
        ),
    ),
]
