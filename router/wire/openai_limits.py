"""Fits a request that was translated to a chat completion to the limits of its endpoint."""

from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from router.wire.call_ids import fitted_id
from router.wire.endpoint_limits import (
    OPENAI,
    OWN,
    Limits,
    fitted_name,
    fitted_names,
    fitted_user,
    function_schema,
    is_strict,
    split_stops,
)
from router.wire.turns import with_files_after, with_results
from traffic.loose_json import Tree, encode, text, tree, trees


def limits_of(target: Target) -> Limits:
    return OWN if target.endpoint.own else OPENAI


def original_names(request: ChatRequest, target: Target) -> dict[str, str]:
    """The client's tool names by the names sent to the endpoint."""
    names = [text(tree(tool.get("function")).get("name")) for tool in request.tools or ()]
    return fitted_names(filter(None, names), limits_of(target))


def applied_stops(request: ChatRequest, target: Target) -> list[str]:
    """Stop sequences that are applied to the answer because the endpoint does not accept them."""
    return split_stops(request.value("stop"), limits_of(target))[1]


def refused(request: ChatRequest, target: Target) -> str | None:
    """The parameter that the endpoint rejects and that cannot be adapted."""
    max_tools = limits_of(target).tools
    if max_tools is not None and len(request.tools or ()) > max_tools:
        return f"more than {max_tools} tools"
    return None


def fitted(request: ChatRequest, target: Target) -> ChatRequest:
    """The request with a body within the endpoint's limits."""
    limits = limits_of(target)
    paired = _paired(request, target)
    changed: dict[str, Any] = {} if paired is request else {"messages": paired.plain_messages}
    request = paired
    user = text(request.value("user"))
    if fitted_user(user, limits) != user:
        changed["user"] = fitted_user(user, limits)
    stop = request.value("stop")
    sent, applied = split_stops(stop, limits)
    if applied or (isinstance(stop, list) and sent != stop):
        changed["stop"] = sent
    names = original_names(request, target)
    tools = trees(request.value("tools"))
    fitted_tools = [_tool(tool, limits) for tool in tools]
    if fitted_tools != tools:
        changed["tools"] = fitted_tools
    if names or (b'"tool_call_id"' in bytes(request.tree["messages"]) and limits.call_id_chars is not None):
        changed["messages"] = [_message(message, limits) for message in request.plain_messages]
    if names and isinstance(choice := request.value("tool_choice"), dict):
        changed["tool_choice"] = _renamed(choice, limits)
    response_format = tree(request.value("response_format"))
    if response_format and (answer_form := _answer_form(response_format)) is not response_format:
        changed["response_format"] = answer_form
    if not changed:
        return request
    raw = {key: msgspec.Raw(encode(value)) for key, value in changed.items()}
    return msgspec.structs.replace(request, tree=request.tree | raw)


def _paired(request: ChatRequest, target: Target) -> ChatRequest:
    """The request with a result for each call and a call for each result, which have the files that they may have."""
    if b'"tool_call' not in bytes(request.tree["messages"]):
        return request
    messages = with_results(request.plain_messages)
    if target.endpoint.kind != "bedrock":
        messages = with_files_after(messages)
    if messages == request.plain_messages:
        return request
    return msgspec.structs.replace(request, tree=request.tree | {"messages": msgspec.Raw(encode(messages))})


def _answer_form(response_format: Tree) -> Tree:
    """The response format, strict only if its schema permits it."""
    schema = tree(response_format.get("json_schema"))
    if schema.get("strict") and not is_strict(schema.get("schema")):
        return response_format | {"json_schema": schema | {"strict": False}}
    return response_format


def _tool(tool: Tree, limits: Limits) -> Tree:
    tool = _renamed(tool, limits)
    function = tree(tool.get("function"))
    if tool.get("type") != "function":
        return tool
    function = function | {"parameters": function_schema(function.get("parameters"))}
    tool = tool | {"function": function}
    if function.get("strict") and not is_strict(function.get("parameters")):
        function = {key: value for key, value in function.items() if key != "strict"}
        tool = tool | {"function": function}
    return tool


def _renamed(item: Tree, limits: Limits) -> Tree:
    """A tool, tool call or tool choice with the name for the endpoint."""
    function = tree(item.get("function"))
    name = text(function.get("name"))
    return item | {"function": function | {"name": fitted_name(name, limits)}} if name else item


def _message(message: Tree, limits: Limits) -> Tree:
    calls = trees(message.get("tool_calls"))
    if calls:
        fitted_calls = [call | {"id": fitted_id(text(call.get("id")), limits.call_id_chars)} for call in calls]
        return message | {"tool_calls": [_renamed(call, limits) for call in fitted_calls]}
    if message.get("role") == "tool":
        return message | {"tool_call_id": fitted_id(text(message.get("tool_call_id")), limits.call_id_chars)}
    return message
