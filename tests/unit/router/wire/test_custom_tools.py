"""Custom tools of chat completions for Anthropic's endpoints, in both directions."""

from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from router.request import ChatRequest, parse
from router.target import Target
from router.wire import anthropic_requests, chat_answers, chat_requests
from traffic.tiers import Endpoint
from traffic.tool_calls import ToolCalls

CLAUDE = Target(Endpoint(name="claude", kind="anthropic", base_url="https://a.b", model="claude-haiku-4-5"), 2)
RUN: dict[str, Any] = {"type": "custom", "custom": {"name": "run", "description": "d", "format": {"type": "text"}}}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def request_for(**changes: Any) -> ChatRequest:
    body = {"messages": [{"role": "user", "content": "hello"}], "tools": [RUN]} | changes
    return parse(msgspec.json.encode(body), {})


def sent(**changes: Any) -> Any:
    return msgspec.json.decode(chat_requests.payload(request_for(**changes), CLAUDE, stream=False))


def test_a_custom_tool_with_its_choice_and_calls_becomes_a_function() -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "run", "input": "ls\n"}}
    messages = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a b"},
    ]
    body = sent(messages=messages, tool_choice={"type": "custom", "custom": {"name": "run"}})
    (tool,) = body["tools"]
    assert (tool["name"], tool["input_schema"]["required"]) == ("run", ["input"])
    assert body["tool_choice"] == {"type": "tool", "name": "run"}
    assert body["messages"][1]["content"][0]["input"] == {"input": "ls\n"}


def test_only_allowed_tools_are_sent() -> None:
    function = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    allowed = {"mode": "required", "tools": [{"type": "custom", "custom": {"name": "run"}}]}
    body = sent(tools=[RUN, function], tool_choice={"type": "allowed_tools", "allowed_tools": allowed})
    assert [tool["name"] for tool in body["tools"]] == ["run"]


@given(TEXT)
def test_a_function_call_is_returned_as_a_custom_tool_call(given_text: str) -> None:
    blocks = [
        {"type": "tool_use", "id": "t1", "name": "run", "input": {"input": given_text}},
        {"type": "tool_use", "id": "t2", "name": "f", "input": {"n": 1}},
    ]
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "m", "type": "message", "role": "assistant", "content": blocks, "stop_reason": "tool_use"}
    whole = msgspec.json.encode(message | {"usage": usage})
    expected = {"id": "t1", "type": "custom", "custom": {"name": "run", "input": given_text}}
    answer = msgspec.json.decode(chat_answers.read(whole, request_for(), CLAUDE).body)
    (choice,) = answer["choices"]
    custom, function = choice["message"]["tool_calls"]
    assert (custom, function["type"], choice["finish_reason"]) == (expected, "function", "tool_calls")
    stream, calls = chat_answers.stream(request_for(stream=True), CLAUDE), ToolCalls()
    wire = b"".join(stream.feed(anthropic_requests.as_stream(whole, usage=True))) + stream.end()
    for line in wire.splitlines():
        if line.startswith(b"data: {"):
            for chosen in msgspec.json.decode(line[6:])["choices"]:
                for part in chosen["delta"].get("tool_calls", ()):
                    assert (part["type"] == "custom") is (part["index"] == 0) if "type" in part else True
                    calls.add(part)
    texts = {call.name: call.arguments for call in calls.calls}
    assert texts["run"] == given_text
    assert msgspec.json.decode(texts["f"]) == {"n": 1}
