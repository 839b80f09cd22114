"""Requests of agents and frameworks in their own words: histories, tools, parts of other protocols."""

from typing import Any

from tests.fakes.raw_upstream import Play, plain
from tests.fakes.reports import CALLED, FUNCTION, PNG, RETURNED, TOOL, USER, Body, Case, asked, failing
from tests.fakes.wire_bench import Heard

CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
HISTORY = [
    USER,
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "r"},
]
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def to_claude(name: str, right: Any, body: Body, client: str = "chat") -> Case:
    return Case(name, client, "claude", lambda h: h.status == 200 and right(asked(h)), body)


def from_claude(name: str, right: Any, body: Body) -> Case:
    return Case(name, "messages", "gpt", lambda h: h.status == 200 and right(asked(h)), body)


def response(name: str, right: Any, body: Body) -> Case:
    return Case(name, "responses", "gpt", lambda h: h.status == 200 and right(asked(h)), body)


def refused(name: str, client: str, endpoint: str, word: str, body: Body) -> Case:
    return Case(name, client, endpoint, lambda h: h.status == 400 and word.encode() in h.body and not h.asked, body)


def texts(body: Any) -> list[Any]:
    """All texts of the turns for Anthropic."""
    contents = [turn["content"] for turn in body["messages"]]
    return [c for c in contents if isinstance(c, str)] + [
        block["text"] for c in contents if isinstance(c, list) for block in c if block["type"] == "text"
    ]


def blocks_of(body: Any, kind: str) -> list[Any]:
    return [
        block
        for turn in body["messages"]
        if isinstance(turn["content"], list)
        for block in turn["content"]
        if block["type"] == kind
    ]


def result(*content: Any) -> Body:
    block = {"type": "tool_result", "tool_use_id": "t1", "content": list(content)}
    return {"messages": [USER, CALLED, {"role": "user", "content": [block]}], "tools": [TOOL]}


def mistral(head: str, body: bytes) -> Play | None:
    """Takes ids of calls of nine letters and digits."""
    del head
    if b'"call_1"' not in body:
        return None
    text = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    return plain({"object": "error", "message": text, "type": "invalid_function_call", "code": "3280"}, status=400)


def nine(heard: Heard) -> bool:
    sent = asked(heard)["messages"]
    identity = sent[1]["tool_calls"][0]["id"]
    return heard.status == 200 and len(identity) == 9 and identity.isalnum() and sent[2]["tool_call_id"] == identity


AGENTS = [
    to_claude(
        "calls of a history whose tools are not sent any more",
        lambda b: [tool["name"] for tool in b["tools"]] == ["f"],
        {"messages": HISTORY},
    ),
    to_claude(
        "thinking is not asked for behind a call that was made without",
        lambda b: b.get("thinking", {}).get("type", "disabled") == "disabled",
        {"messages": HISTORY, "tools": [FUNCTION], "thinking": {"type": "enabled", "budget_tokens": 1024}},
    ),
    to_claude(
        "an effort and a schema go together",
        lambda b: b["output_config"]["effort"] == "high" and b["output_config"]["format"]["type"] == "json_schema",
        {
            "reasoning_effort": "high",
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}},
        },
    ),
    to_claude(
        "two caps are the smaller one", lambda b: b["max_tokens"] == 7, {"max_tokens": 9, "max_completion_tokens": 7}
    ),
    to_claude(
        "an empty text beside an image",
        lambda b: texts(b) == [] and len(blocks_of(b, "image")) == 1,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": ""},
                        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    ],
                }
            ]
        },
    ),
    to_claude(
        "an image in a tool's result",
        lambda b: blocks_of(b, "tool_result")[0]["content"][0]["type"] == "image",
        {
            "messages": [
                *HISTORY[:2],
                {
                    "role": "tool",
                    "tool_call_id": "call_1",
                    "content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
                },
            ],
            "tools": [FUNCTION],
        },
    ),
    to_claude(
        "ten stop sequences", lambda b: len(b["stop_sequences"]) == 10, {"stop": [f"s{number}" for number in range(10)]}
    ),
    to_claude(
        "a name of a tool with a dot and a blank",
        lambda b: b["tools"][0]["name"].replace("_", "").replace("-", "").isalnum(),
        {"tools": [{"type": "function", "function": {"name": "my.tool x", "parameters": {"type": "object"}}}]},
    ),
    *[
        to_claude(
            f"parameters of {parameters}",
            lambda b: b["tools"][0]["input_schema"]["type"] == "object",
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": parameters}}]},
        )
        for parameters in (None, {}, {"type": "object", "properties": None}, {"type": None})
    ],
    to_claude("the same tool twice is sent once", lambda b: len(b["tools"]) == 1, {"tools": [FUNCTION, FUNCTION]}),
    to_claude(
        "any is a choice of tools",
        lambda b: b["tool_choice"] == {"type": "any"},
        {"tools": [FUNCTION], "tool_choice": "any"},
    ),
    to_claude(
        "parallel calls without tools",
        lambda b: "tools" not in b and "tool_choice" not in b,
        {"parallel_tool_calls": True},
    ),
    to_claude(
        "no tools and a choice",
        lambda b: "tools" not in b and "tool_choice" not in b,
        {"tools": [], "tool_choice": "auto"},
    ),
    to_claude(
        "a call that is in the content too",
        lambda b: len(blocks_of(b, "tool_use")) == 1,
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "text", "text": "so"},
                        {"type": "tool_use", "id": "call_1", "name": "f", "input": {}},
                    ],
                    "tool_calls": [CALL],
                },
                HISTORY[2],
            ],
            "tools": [FUNCTION],
        },
    ),
    to_claude(
        "an image in Anthropic's words",
        lambda b: blocks_of(b, "image")[0]["source"]["data"] == PNG,
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                        {"type": "text", "text": "x"},
                    ],
                }
            ]
        },
    ),
    to_claude(
        "a document in Anthropic's words",
        lambda b: blocks_of(b, "document")[0]["source"]["data"] == "JVBERg==",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "document",
                            "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="},
                        },
                        {"type": "text", "text": "x"},
                    ],
                }
            ]
        },
    ),
    to_claude(
        "an effort in OpenRouter's words",
        lambda b: b["output_config"]["effort"] == "high",
        {"reasoning": {"effort": "high"}},
    ),
    to_claude(
        "a system prompt of parts with an empty one",
        lambda b: b["system"] == "a" or [part["text"] for part in b["system"]] == ["a"],
        {
            "messages": [
                {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": ""}]},
                USER,
            ]
        },
    ),
    Case(
        "a schema that is missing is refused, not a crash",
        "chat",
        "claude",
        lambda h: h.status == 400 and not h.asked,
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}},
    ),
    Case(
        "content that is a number is refused",
        "chat",
        "claude",
        lambda h: h.status == 400,
        {"messages": [{"role": "user", "content": 5}]},
    ),
    from_claude(
        "a reference to a tool in a result",
        lambda b: roles_of(b) == ["user", "assistant", "tool"],
        result({"type": "text", "text": "found"}, {"type": "tool_reference", "tool_name": "f"}),
    ),
    from_claude(
        "what a search found in a result",
        lambda b: (
            "the sky is blue" in str(b["messages"][2]["content"]) and "https://a.example" in str(b["messages"][2])
        ),
        result(
            {
                "type": "search_result",
                "source": "https://a.example",
                "title": "A",
                "content": [{"type": "text", "text": "the sky is blue"}],
            }
        ),
    ),
    from_claude(
        "what a search found in a user's turn",
        lambda b: "the sky is blue" in str(b["messages"][0]["content"]),
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "search_result",
                            "source": "https://a.example",
                            "title": "A",
                            "content": [{"type": "text", "text": "the sky is blue"}],
                        },
                        {"type": "text", "text": "which?"},
                    ],
                }
            ]
        },
    ),
    from_claude(
        "thinking that is switched off", lambda b: "reasoning_effort" not in b, {"thinking": {"type": "disabled"}}
    ),
    from_claude("a user that is null", lambda b: "user" not in b, {"metadata": {"user_id": None}}),
    from_claude(
        "marks of a cache stay here",
        lambda b: "cache_control" not in str(b),
        {
            "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
            "tools": [TOOL | {"cache_control": {"type": "ephemeral"}}],
        },
    ),
    from_claude(
        "a schema without properties",
        lambda b: b["tools"][0]["function"]["parameters"] == {"type": "object", "properties": {}},
        {"tools": [{"name": "f", "input_schema": {"type": "object"}}]},
    ),
    from_claude(
        "who may call a tool",
        lambda b: len(b["tools"]) == 1 and "allowed_callers" not in str(b),
        {"tools": [TOOL | {"allowed_callers": ["direct"]}]},
    ),
    from_claude(
        "a text before the results of tools",
        lambda b: roles_of(b) == ["user", "assistant", "tool", "user"],
        {
            "messages": [
                USER,
                CALLED,
                {"role": "user", "content": [{"type": "text", "text": "well"}, *RETURNED["content"]]},  # type: ignore[misc]
            ],
            "tools": [TOOL],
        },
    ),
    from_claude(
        "an input that is null",
        lambda b: b["messages"][1]["tool_calls"][0]["function"]["arguments"] == "{}",
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": None}]},
                RETURNED,
            ],
            "tools": [TOOL],
        },
    ),
    from_claude(
        "an earlier search of the server's",
        lambda b: "a page" in str(b["messages"]) and roles_of(b)[-1] == "user",
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": [
                        {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "q"}},
                        {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []},
                        {"type": "text", "text": "a page"},
                    ],
                },
                USER,
            ]
        },
    ),
    response(
        "reasoning that only its model can read makes no message",
        lambda b: roles_of(b) == ["user", "user"],
        {
            "input": [
                USER,
                {"type": "reasoning", "id": "rs", "summary": [], "content": None, "encrypted_content": "x"},
                USER,
            ]
        },
    ),
    response(
        "a phase of an earlier message stays here",
        lambda b: "phase" not in str(b),
        {
            "input": [
                USER,
                {
                    "type": "message",
                    "role": "assistant",
                    "id": "msg_1",
                    "status": "completed",
                    "phase": "commentary",
                    "content": [{"type": "output_text", "text": "so", "annotations": []}],
                },
                USER,
            ]
        },
    ),
    response(
        "a developer's message of parts",
        lambda b: b["messages"][0]["role"] in ("developer", "system"),
        {"input": [{"role": "developer", "content": [{"type": "input_text", "text": "d"}]}, USER]},
    ),
    response(
        "a format of the text is the answer's form",
        lambda b: b["response_format"]["json_schema"]["schema"] == SCHEMA,
        {"text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA, "strict": True}}},
    ),
    response(
        "what to include and how to cut change nothing",
        lambda b: "include" not in b and "truncation" not in b,
        {"include": ["reasoning.encrypted_content"], "truncation": "auto", "store": False, "service_tier": "auto"},
    ),
    response(
        "a call of the local shell and its output",
        lambda b: roles_of(b) == ["user", "assistant", "tool"],
        {
            "input": [
                USER,
                {
                    "type": "local_shell_call",
                    "call_id": "c1",
                    "status": "completed",
                    "action": {"type": "exec", "command": ["ls"], "env": {}},
                },
                {"type": "local_shell_call_output", "id": "c1", "call_id": "c1", "output": "a b"},
            ]
        },
    ),
    response(
        "a call without an output",
        lambda b: roles_of(b) == ["user", "assistant", "tool", "user"],
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                USER,
            ],
            "tools": [{"type": "function", "name": "f", "parameters": {}}],
        },
    ),
    refused(
        "a choice of a tool that only OpenAI runs",
        "responses",
        "gpt",
        "file_search",
        {"tools": [{"type": "file_search", "vector_store_ids": ["v"]}], "tool_choice": {"type": "file_search"}},
    ),
    refused("a prompt that OpenAI keeps", "responses", "gpt", "prompt", {"prompt": {"id": "pmpt_1"}}),
    Case(
        "options of a stream pass",
        "chat",
        "gpt",
        lambda h: asked(h)["stream_options"] == {"include_usage": True, "include_obfuscation": False},
        {"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
    ),
    Case(
        "ids of calls as an endpoint wants them",
        "chat",
        "gpt",
        nine,
        {"messages": HISTORY, "tools": [FUNCTION]},
        refusing=mistral,
    ),
    Case(
        "what a filter says of a prompt reaches the client",
        "chat",
        "gpt",
        lambda h: h.status == 400 and b"content_filter" in h.body and b"jailbreak" in h.body,
        play=plain(
            {
                "error": {
                    "message": "The response was filtered: jailbreak",
                    "type": None,
                    "param": "prompt",
                    "code": "content_filter",
                    "status": 400,
                    "innererror": {"code": "ResponsibleAIPolicyViolation"},
                }
            },
            status=400,
        ),
    ),
    Case(
        "a refusal in plain text",
        "chat",
        "gpt",
        lambda h: h.status == 400 and b"bad temperature" in h.body,
        play=Play((b"bad temperature",), "text/plain", 400),
    ),
    Case(
        "a refusal in a list of details for Anthropic's client",
        "messages",
        "gpt",
        lambda h: h.status in (400, 422) and "too small" in h.json["error"]["message"],
        play=plain(
            {"detail": [{"loc": ["body", "max_tokens"], "msg": "too small", "type": "value_error"}]}, status=422
        ),
    ),
    Case(
        "an overload inside of a 200 for Anthropic's client",
        "messages",
        "gpt",
        lambda h: h.status in (503, 529) and h.json["type"] == "error",
        play=failing({"message": "The engine is currently overloaded", "type": "server_error", "code": 503}),
    ),
]


def roles_of(body: Any) -> list[str]:
    return [sent["role"] for sent in body["messages"]]
