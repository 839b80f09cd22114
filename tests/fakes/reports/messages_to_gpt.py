"""Requests of Anthropic's and of responses' clients as they are written, for endpoints of chat completions."""

import json
from typing import Any

from tests.fakes.raw_upstream import plain
from tests.fakes.reports import CALLED, RETURNED, TOOL, USER, Case, asked, roles


def from_claude(name: str, right: Any, body: dict[str, Any]) -> Case:
    return Case(name, "messages", "gpt", lambda h: h.status == 200 and right(h), body)


def responses(name: str, right: Any, body: dict[str, Any]) -> Case:
    return Case(name, "responses", "gpt", lambda h: h.status == 200 and right(h), body)


def returned(content: Any) -> dict[str, Any]:
    result = {"type": "tool_result", "tool_use_id": "t1"}
    result |= {} if content is ... else {"content": content}
    return {"messages": [USER, CALLED, {"role": "user", "content": [result]}], "tools": [TOOL]}


NO_FIELD = "Unknown name \"{}\" at 'tools[0].function_declarations[0].parameters': Cannot find field."
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
UNKNOWN_KEYWORDS = plain(
    [
        {
            "error": {
                "code": 400,
                "message": "Invalid JSON payload received. "
                + "\n".join(map(NO_FIELD.format, ("$schema", "additionalProperties"))),
                "status": "INVALID_ARGUMENT",
            }
        }
    ],
    status=400,
)
TOO_LONG = plain(
    {
        "error": {
            "message": "Invalid 'tools[0].function.description': string too long. Expected a string with maximum "
            "length 1024, but got a string with length 5000 instead.",
            "type": "invalid_request_error",
            "param": "tools[0].function.description",
            "code": "string_above_max_length",
        }
    },
    status=400,
)
NO_CONTENT = "Expected string or list of content parts, got: null"
IN_A_LIST = plain([{"error": {"code": 400, "message": NO_CONTENT, "status": "INVALID_ARGUMENT"}}], status=400)
SAID = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "ok", "annotations": []}]}
EVERYTHING_NULL = dict.fromkeys(
    """
    instructions reasoning text tools tool_choice max_output_tokens previous_response_id prompt
    conversation metadata temperature top_p include user service_tier background truncation
    parallel_tool_calls store stream max_tool_calls top_logprobs safety_identifier stream_options
    """.split()
)

MESSAGES_TO_GPT = [
    Case(
        "a server tool beside the client's own is left out by name",
        "messages",
        "gpt",
        lambda h: "tools.web_search" in h.headers["x-fasttier-left-out"] and len(asked(h)["tools"]) == 1,
        {"tools": [TOOL, {"type": "web_search_20260318", "name": "web_search"}]},
    ),
    Case(
        "a server tool that must be used is refused by name",
        "messages",
        "gpt",
        lambda h: h.status == 400 and b"web_search" in h.body and not h.asked,
        {
            "tools": [TOOL, {"type": "web_search_20260318", "name": "web_search"}],
            "tool_choice": {"type": "tool", "name": "web_search"},
        },
    ),
    from_claude(
        "a choice among no tools",
        lambda h: not {"tools", "tool_choice"} & asked(h).keys(),
        {"tools": [], "tool_choice": {"type": "auto"}},
    ),
    from_claude(
        "one call at a time",
        lambda h: asked(h)["parallel_tool_calls"] is False and asked(h)["tool_choice"] == "required",
        {"tools": [TOOL], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}},
    ),
    from_claude(
        "one call at a time of a named tool",
        lambda h: asked(h)["tool_choice"] == {"type": "function", "function": {"name": "f"}},
        {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
    ),
    from_claude(
        "no call may be made",
        lambda h: asked(h)["tool_choice"] == "none",
        {"tools": [TOOL], "tool_choice": {"type": "none"}},
    ),
    from_claude(
        "a system message among the turns",
        lambda h: "agents" in str([m for m in asked(h)["messages"] if m["role"] in ("system", "developer", "user")]),
        {"messages": [USER, {"role": "system", "content": "Available agents: a"}]},
    ),
    *[
        from_claude(
            f"a result of a tool that is {what}",
            lambda h: isinstance(asked(h)["messages"][2]["content"], str) and roles(h) == ["user", "assistant", "tool"],
            returned(content),
        )
        for what, content in (("absent", ...), ("null", None), ("an empty text", ""), ("an empty list", []))
    ],
    from_claude(
        "turns without content",
        lambda h: roles(h) == ["user"],
        {"messages": [USER, {"role": "assistant", "content": []}]},
    ),
    from_claude(
        "no stop sequences",
        lambda h: not asked(h).get("stop"),
        {"stop_sequences": [], "system": [], "temperature": 1, "metadata": {}, "thinking": {"type": "disabled"}},
    ),
    from_claude(
        "an empty stop sequence is none",
        lambda h: asked(h)["stop"] == ["END"],
        {"stop_sequences": ["", "END"]},
    ),
    from_claude(
        "adaptive thinking with an effort",
        lambda h: asked(h)["reasoning_effort"] in ("high", "xhigh"),
        {"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}},
    ),
    from_claude(
        "the greatest effort",
        lambda h: asked(h)["reasoning_effort"] in ("high", "xhigh", "max"),
        {"output_config": {"effort": "max"}},
    ),
    from_claude(
        "an image by its URL",
        lambda h: asked(h)["messages"][0]["content"][0]["image_url"]["url"] == "https://example.com/a.png",
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}],
                }
            ]
        },
    ),
    from_claude(
        "a tool that says its type",
        lambda h: asked(h)["tools"][0]["function"]["name"] == "f",
        {"tools": [TOOL | {"type": "custom", "cache_control": {"type": "ephemeral"}, "eager_input_streaming": True}]},
    ),
    from_claude(
        "a schema with a dialect and a default of null",
        lambda h: asked(h)["tools"][0]["function"]["parameters"]["properties"]["a"]["type"] == ["string", "null"],
        {
            "tools": [
                TOOL
                | {
                    "input_schema": {
                        "$schema": "http://json-schema.org/draft-07/schema#",
                        "type": "object",
                        "properties": {"a": {"type": ["string", "null"], "default": None}},
                        "additionalProperties": False,
                    }
                }
            ]
        },
    ),
    from_claude(
        "a text after the results of tools",
        lambda h: roles(h) == ["user", "assistant", "tool", "user"],
        {
            "messages": [
                USER,
                CALLED,
                {"role": "user", "content": [*RETURNED["content"], {"type": "text", "text": "go on"}]},
            ]
        },
    ),
    Case(
        "an id of a file is refused by name",
        "messages",
        "gpt",
        lambda h: h.status == 400 and b"file" in h.body and not h.asked,
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f1"}}]}]},
    ),
    Case(
        "servers of tools are refused by name",
        "messages",
        "gpt",
        lambda h: h.status == 400 and b"mcp_servers" in h.body and not h.asked,
        {"mcp_servers": [{"type": "url", "url": "https://example.com", "name": "n"}]},
    ),
    responses(
        "parameters that are null ask for nothing",
        lambda h: set(asked(h)) <= {"model", "messages"},
        EVERYTHING_NULL,
    ),
    responses(
        "what Codex and the SDK add",
        lambda h: roles(h) == ["system", "user"] or roles(h) == ["developer", "user"],
        {
            "instructions": "Be brief.",
            "include": ["reasoning.encrypted_content"],
            "store": False,
            "stream_options": {"include_obfuscation": False},
            "truncation": "auto",
            "background": False,
            "top_logprobs": 0,
            "prompt_cache_key": "k",
            "client_metadata": {"x": "y"},
            "text": {"format": {"type": "text"}, "verbosity": "medium"},
            "reasoning": {"effort": None, "summary": "auto"},
        },
    ),
    responses(
        "reasoning whose fields are null",
        lambda h: roles(h) == ["user", "assistant", "tool"],
        {
            "input": [
                USER,
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [],
                    "content": None,
                    "encrypted_content": None,
                    "status": None,
                },
                {"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{}", "status": None},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
    ),
    responses(
        "arguments as an object",
        lambda h: asked(h)["messages"][1]["tool_calls"][0]["function"]["arguments"] in ('{"a":1}', '{"a": 1}'),
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}},
                {"type": "function_call_output", "call_id": "c", "output": "r"},
            ]
        },
    ),
    responses(
        "an output that is no text",
        lambda h: '"b"' in asked(h)["messages"][2]["content"],
        {
            "input": [
                USER,
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": {"b": 1}},
            ]
        },
    ),
    responses(
        "the answer before",
        lambda h: roles(h) == ["user", "assistant", "user"] and asked(h)["messages"][1]["content"] == "ok",
        {"input": [USER, SAID | {"id": "msg_1", "status": "completed", "phase": "final_answer"}, USER]},
    ),
    responses(
        "parts in the words of chat completions",
        lambda h: "hello" in str(asked(h)["messages"]),
        {"input": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}]},
    ),
    responses(
        "usage has all its details",
        lambda h: (
            "cached_tokens" in h.json["usage"]["input_tokens_details"]
            and "reasoning_tokens" in h.json["usage"]["output_tokens_details"]
        ),
        {},
    ),
    responses("no input", lambda h: h.asked, {"input": "", "instructions": "Say hello."}),
    responses(
        "an effort of the model's own",
        lambda h: asked(h)["reasoning_effort"] == "high",
        {"reasoning": {"effort": "high", "summary": "auto"}},
    ),
    Case(
        "a response's effort reaches Anthropic",
        "responses",
        "claude",
        lambda h: h.status == 200 and asked(h)["output_config"]["effort"] == "high",
        {"reasoning": {"effort": "high", "summary": "auto"}},
    ),
    Case(
        "tools that only OpenAI runs are left out by name",
        "responses",
        "claude",
        lambda h: (
            h.status == 200 and [t["name"] for t in asked(h)["tools"]] == ["f"] and "image_generation" in str(h.headers)
        ),
        {
            "tools": [
                {"type": "image_generation", "output_format": "png"},
                {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
            ]
        },
    ),
    Case(
        "keywords of schemas that the endpoint does not know are left out",
        "messages",
        "gpt",
        lambda h: (
            h.status == 200
            and asked(h)["tools"][0]["function"]["parameters"]["properties"]["$schema"] == {"type": "string"}
        ),
        {
            "tools": [
                TOOL
                | {
                    "input_schema": {
                        "$schema": "http://json-schema.org/draft-07/schema#",
                        "type": "object",
                        "properties": {
                            "$schema": {"type": "string"},
                            "b": {"type": "object", "properties": {}, "additionalProperties": False},
                        },
                    }
                }
            ]
        },
        refusing=lambda head, body: (
            UNKNOWN_KEYWORDS if b"additionalProperties" in body or b"draft-07" in body else None
        ),
    ),
    Case(
        "a description of a tool that is too long is cut",
        "messages",
        "gpt",
        lambda h: h.status == 200 and "d" * 5000 in asked(h)["messages"][0]["content"],
        {"tools": [TOOL | {"description": "d" * 5000}]},
        refusing=lambda head, body: (
            TOO_LONG if len(json.loads(body)["tools"][0]["function"]["description"]) > 1024 else None
        ),
    ),
    Case(
        "an error in a list is said in the client's form",
        "messages",
        "gpt",
        lambda h: h.status == 400 and h.json["error"]["message"] == NO_CONTENT,
        refusing=lambda head, body: IN_A_LIST,
    ),
    from_claude(
        "a PDF in a result follows it",
        lambda h: (
            roles(h) == ["user", "assistant", "tool", "user"]
            and asked(h)["messages"][3]["content"][1]["file"]["file_data"] == "data:application/pdf;base64,JVBERg=="
        ),
        returned([{"type": "document", "source": PDF}]),
    ),
    responses(
        "an image's detail that only Responses know",
        lambda h: asked(h)["messages"][0]["content"][0]["image_url"]["detail"] == "high",
        {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "original"}
                    ],
                }
            ]
        },
    ),
]
