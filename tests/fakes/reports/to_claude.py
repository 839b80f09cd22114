"""Requests for an endpoint of Anthropic's, from clients of chat completions and responses."""

from tests.fakes.reports import FUNCTION, JPEG, PNG, USER, Case, asked, picture, user

CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

TO_CLAUDE = [
    Case(
        "a PDF as an image is a document",
        "chat",
        "claude",
        lambda h: (
            asked(h)["messages"][0]["content"][0]
            == {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}}
        ),
        user(picture("data:application/pdf;base64,JVBERg=="), {"type": "text", "text": "x"}),
    ),
    Case(
        "a text file is a document",
        "chat",
        "claude",
        lambda h: (
            asked(h)["messages"][0]["content"][0]["source"]
            == {"type": "text", "media_type": "text/plain", "data": "hello"}
        ),
        user({"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}}),
    ),
    Case(
        "a PDF without a data URL is known by its name",
        "chat",
        "claude",
        lambda h: asked(h)["messages"][0]["content"][0]["source"]["data"] == "JVBERg==",
        user({"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERg=="}}),
    ),
    Case(
        "an image is what its bytes say",
        "chat",
        "claude",
        lambda h: asked(h)["messages"][0]["content"][0]["source"]["media_type"] == "image/jpeg",
        user(picture(f"data:image/png;base64,{JPEG}")),
    ),
    Case(
        "base64 may have line ends",
        "chat",
        "claude",
        lambda h: asked(h)["messages"][0]["content"][0]["source"]["data"] == PNG,
        user(picture(f"data:image/png;base64,{PNG[:8]}\r\n{PNG[8:]}\n")),
    ),
    Case(
        "an image's detail is a hint",
        "chat",
        "claude",
        lambda h: h.status == 200 and "image_url.detail" in h.headers["x-fasttier-left-out"],
        user(picture(f"data:image/png;base64,{PNG}", detail="high")),
    ),
    Case("top_k is a parameter here too", "chat", "claude", lambda h: asked(h)["top_k"] == 40, {"top_k": 40}),
    Case(
        "a service tier is a hint",
        "chat",
        "claude",
        lambda h: h.status == 200 and "service_tier" in h.headers["x-fasttier-left-out"],
        {"service_tier": "flex"},
    ),
    Case(
        "storing is a hint",
        "chat",
        "claude",
        lambda h: h.status == 200 and "store" in h.headers["x-fasttier-left-out"],
        {"store": True},
    ),
    Case(
        "a system prompt alone is a request",
        "chat",
        "claude",
        lambda h: h.status == 200 and asked(h)["messages"][0]["role"] == "user",
        {"messages": [{"role": "system", "content": "Say hi."}]},
    ),
    Case(
        "a thinking budget fits below the cap",
        "chat",
        "claude",
        lambda h: asked(h)["thinking"]["budget_tokens"] < asked(h)["max_tokens"],
        {"thinking": {"type": "enabled", "budget_tokens": 8000}, "max_tokens": 2000},
    ),
    Case(
        "without a cap too",
        "chat",
        "claude",
        lambda h: asked(h)["thinking"]["budget_tokens"] == 64_000 < asked(h)["max_tokens"],
        {"thinking": {"type": "enabled", "budget_tokens": 64_000}},
    ),
    Case(
        "a search of the web is Anthropic's tool",
        "chat",
        "claude",
        lambda h: (
            asked(h)["tools"][0]["type"].startswith("web_search_")
            and asked(h)["tools"][0]["user_location"] == {"type": "approximate", "country": "DE"}
        ),
        {"web_search_options": {"user_location": {"type": "approximate", "approximate": {"country": "DE"}}}},
    ),
    Case(
        "a choice among allowed tools leaves the others out",
        "chat",
        "claude",
        lambda h: [t["name"] for t in asked(h)["tools"]] == ["f"] and asked(h)["tool_choice"] == {"type": "any"},
        {
            "tools": [FUNCTION, {"type": "function", "function": {"name": "g", "parameters": {}}}],
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
        },
    ),
    Case(
        "an empty result of a tool has no empty text",
        "chat",
        "claude",
        lambda h: "content" not in asked(h)["messages"][2]["content"][0],
        {
            "messages": [
                USER,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}],
                },
                {"role": "tool", "tool_call_id": "t1", "content": ""},
            ]
        },
    ),
    Case(
        "deprecated functions are tools",
        "chat",
        "claude",
        lambda h: (
            [t["name"] for t in asked(h)["tools"]] == ["f"]
            and asked(h)["messages"][1]["content"][0]["id"] == asked(h)["messages"][2]["content"][0]["tool_use_id"]
        ),
        {
            "functions": [FUNCTION["function"]],
            "messages": [
                USER,
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "42"},
            ],
        },
    ),
    Case(
        "keywords that Anthropic's schemas do not have are said in words",
        "chat",
        "claude",
        lambda h: not {"minItems", "format"} & asked(h)["output_config"]["format"]["schema"]["properties"]["a"].keys(),
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "name": "x",
                    "schema": {
                        "type": "object",
                        "properties": {"a": {"type": "array", "minItems": 3, "format": "set", "items": {}}},
                    },
                },
            }
        },
    ),
    Case(
        "results come after their calls, whoever speaks between",
        "responses",
        "claude",
        lambda h: [b["type"] for b in asked(h)["messages"][2]["content"]] == ["tool_result", "text"],
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
        "a response's search of the web is Anthropic's tool",
        "responses",
        "claude",
        lambda h: asked(h)["tools"][0]["type"].startswith("web_search_"),
        {"tools": [{"type": "web_search"}]},
    ),
    Case(
        "a PDF by its address is a document",
        "responses",
        "claude",
        lambda h: (
            asked(h)["messages"][0]["content"][0]["source"] == {"type": "url", "url": "https://example.com/a.pdf"}
        ),
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "https://example.com/a.pdf"}]}]},
    ),
    Case(
        "calls of three turns with one id",
        "chat",
        "claude",
        lambda h: (
            [turn["content"][0].get("id") or turn["content"][0]["tool_use_id"] for turn in asked(h)["messages"][1:]]
            == ["c", "c", "c_2", "c_2", "c_3", "c_3"]
        ),
        {
            "messages": [
                USER,
                *[
                    {"role": "assistant", "content": None, "tool_calls": [CALL]},
                    {"role": "tool", "tool_call_id": "c", "content": "r"},
                ]
                * 3,
            ],
            "tools": [FUNCTION],
        },
    ),
]
