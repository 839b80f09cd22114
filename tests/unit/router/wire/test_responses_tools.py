"""Tools of OpenAI's Responses API as functions of chat completions."""

import msgspec

from router.wire import responses_requests
from router.wire.responses_tools import offered_in, tools_by_name

SCHEMA = {"type": "object", "properties": {"q": {"type": "string"}}}


def test_a_tool_that_is_offered_again_is_sent_once_with_its_last_definition() -> None:
    deferred = {"type": "function", "name": "f", "defer_loading": True}
    other = {"type": "function", "name": "g", "parameters": SCHEMA}
    loaded = {"type": "function", "name": "f", "parameters": SCHEMA}
    found = {"type": "tool_search_output", "call_id": "s1", "execution": "client", "tools": [loaded]}
    space = {"type": "namespace", "name": "n", "tools": [loaded, other]}
    body = {"tools": [deferred, other, space, space], "input": [{"role": "user", "content": "x"}, found, found]}
    request = responses_requests.parse(msgspec.json.encode(body), {})
    functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in request.tools or ()}
    assert [tool["function"]["name"] for tool in request.tools or ()] == ["f", "g", "n__f", "n__g"]
    assert functions["f"] == SCHEMA


def test_a_name_that_is_too_long_is_restored_with_or_without_a_namespace() -> None:
    name = "mcp__" + "server_" * 10 + "tool"
    space = {"type": "namespace", "name": "n", "tools": [{"type": "function", "name": name, "parameters": SCHEMA}]}
    for tool, called in (
        ({"type": "function", "name": name, "parameters": SCHEMA}, {"name": name}),
        (space, {"name": name, "namespace": "n"}),
    ):
        body = {"tools": [tool], "input": "x", "tool_choice": {"type": "function", "name": name}}
        request = responses_requests.parse(msgspec.json.encode(body), {})
        (sent,) = [tool["function"]["name"] for tool in request.tools or ()]
        assert len(sent) <= 64
        assert tools_by_name(offered_in(request.native))[sent].as_called() == called
