"""Adapts a body to an endpoint's configuration before it is sent: renames, extra fields, `leave_out`. Pure.

adapted({"max_tokens": 9, "messages": ...}, endpoint)  # endpoint.rename: {max_tokens: max_completion_tokens}
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from router.wire.call_ids import exact_id
from router.wire.endpoint_limits import SCHEMA_VALUES, SCHEMAS_BY_NAME
from router.wire.thinking import adaptive, nearest_effort, with_budget
from router.wire.turns import ruled
from traffic.loose_json import Tree, encode, text, tree, trees
from traffic.tiers import Endpoint


def adapted_payload(payload: bytes, endpoint: Endpoint) -> bytes:
    """`adapted` for an encoded body."""
    if not _adapts(endpoint):
        return payload
    return msgspec.json.encode(adapted(msgspec.json.decode(payload, type=dict[str, msgspec.Raw]), endpoint))


def adapted(body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The body after applying the endpoint's configuration; values may be `msgspec.Raw`. The argument is not modified.

    `leave_out` comes last, so that it also applies to translated, renamed and added fields.
    """
    if not _adapts(endpoint):
        return body
    sent = dict(body)
    if endpoint.tool_schema_leave_out or endpoint.tool_description_chars is not None:
        _fit_tools(sent, endpoint)
    if "messages" in sent:
        _fit_messages(sent, endpoint)
    _fit_thinking(sent, endpoint)
    for ours, theirs in endpoint.rename.items():
        if ours in sent:
            value = sent.pop(ours)
            sent.setdefault(theirs, value)
    for name, value in endpoint.body.items():
        sent.setdefault(name, value)
    _leave_out(sent, [*endpoint.leave_out, *excluded(sent, endpoint)])
    return sent


def excluded(sent: Collection[str], endpoint: Endpoint) -> list[str]:
    """Parameters of a request that are not sent because they exclude an earlier one."""
    return [name for name in endpoint.exclusive if name in sent][1:]


def _adapts(endpoint: Endpoint) -> bool:
    return bool(
        endpoint.rename
        or endpoint.exclusive
        or endpoint.roles
        or endpoint.body
        or endpoint.leave_out
        or endpoint.tool_schema_leave_out
        or endpoint.tool_description_chars is not None
        or endpoint.tool_call_id_chars is not None
        or endpoint.turn_rules
        or endpoint.adaptive_thinking is not None
        or endpoint.reasoning_history
        or endpoint.efforts
        or endpoint.tools_effort is not None
    )


def _fit_messages(sent: dict[str, Any], endpoint: Endpoint) -> None:
    """Apply what the server requires of call ids, roles, turns and reasoning."""
    if endpoint.tool_call_id_chars is not None:
        sent["messages"] = _with_call_ids(sent["messages"], endpoint.tool_call_id_chars)
    if endpoint.roles:
        sent["messages"] = _with_roles(sent["messages"], endpoint.roles)
    if endpoint.turn_rules:
        sent["messages"] = ruled(_plain(sent["messages"]), endpoint.turn_rules)
    if endpoint.reasoning_history:
        sent["messages"] = _with_reasoning(sent["messages"])


def _fit_thinking(sent: dict[str, Any], endpoint: Endpoint) -> None:
    """Express effort and thinking budget as the model takes them."""
    if endpoint.tools_effort is not None and _plain(sent.get("tools")):
        sent["reasoning_effort"] = endpoint.tools_effort
    elif endpoint.efforts and "reasoning_effort" in sent:
        sent["reasoning_effort"] = nearest_effort(_plain(sent["reasoning_effort"]), endpoint.efforts)
    config, thinking = tree(_plain(sent.get("output_config"))), tree(_plain(sent.get("thinking")))
    if endpoint.efforts and "effort" in config:
        config = sent["output_config"] = config | {"effort": nearest_effort(config["effort"], endpoint.efforts)}
    if endpoint.adaptive_thinking and thinking:
        sent["thinking"], config = adaptive(thinking, config)
        if config:
            sent["output_config"] = config
    if endpoint.adaptive_thinking is False and thinking.get("type") == "adaptive":
        plain = with_budget({key: _plain(value) for key, value in sent.items()})
        sent.clear()
        sent.update(plain)


def _fit_tools(sent: dict[str, Any], endpoint: Endpoint) -> None:
    """Remove rejected schema keywords and shorten descriptions; the full text moves to the system prompt."""
    offered = _plain(sent.get("tools"))
    if not offered:
        return
    tools, full_descriptions = [], []
    max_chars = endpoint.tool_description_chars
    for tool in offered:
        function = tree(tree(tool).get("function"))
        if not function:
            tools.append(tool)
            continue
        fitted = function | {"parameters": _without(function.get("parameters"), endpoint.tool_schema_leave_out)}
        description = text(function.get("description"))
        if max_chars is not None and len(description) > max_chars:
            full_descriptions.append(f"Tool {function.get('name')}: {description}")
            fitted["description"] = description[:max_chars]
        tools.append(tool | {"function": fitted})
    sent["tools"] = tools
    if full_descriptions and "messages" in sent:
        messages = _plain(sent["messages"])
        # After the existing system messages, whose beginning may be in the provider's cache.
        position = next((n for n, message in enumerate(messages) if message.get("role") not in _SYSTEM), len(messages))
        messages.insert(position, {"role": "system", "content": "\n\n".join(full_descriptions)})
        sent["messages"] = messages


def _without(schema: Any, keywords: Sequence[str]) -> Any:
    """A schema without some keywords; properties of the same names are kept."""
    if isinstance(schema, list):
        return [_without(item, keywords) for item in schema]
    if not isinstance(schema, dict) or not keywords:
        return schema
    kept = {key: value for key, value in schema.items() if key not in keywords}
    return {
        key: {name: _without(inner, keywords) for name, inner in value.items()}
        if key in SCHEMAS_BY_NAME and isinstance(value, dict)
        else value
        if key in SCHEMA_VALUES
        else _without(value, keywords)
        for key, value in kept.items()
    }


_SYSTEM = ("system", "developer")
_REASONING = frozenset({"reasoning", "reasoning_details", "thinking_blocks"})


def _plain(value: Any) -> Any:
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _with_call_ids(messages: Any, chars: int) -> Any:
    """Tool calls and results with ids of exactly `chars` letters and digits; deterministic."""
    if isinstance(messages, msgspec.Raw) and b'"tool_call' not in bytes(messages):
        return messages
    fitted = []
    for message in trees(_plain(messages)):
        changed: Tree = {}
        if "tool_call_id" in message:
            changed["tool_call_id"] = exact_id(text(message["tool_call_id"]), chars)
        if calls := trees(message.get("tool_calls")):
            changed["tool_calls"] = [call | {"id": exact_id(text(call.get("id")), chars)} for call in calls]
        fitted.append(message | changed)
    return fitted


def _with_reasoning(messages: Any) -> Any:
    """Tool calls with a reasoning: servers that require it reject calls of another model or turn without one."""
    if isinstance(messages, msgspec.Raw) and b'"tool_calls"' not in bytes(messages):
        return messages
    return [
        # An empty text counts as missing (Kimi).
        message | {"reasoning_content": text(message.get("reasoning_content")) or " "}
        if tree(message).get("tool_calls") and not _REASONING.intersection(message)
        else message
        for message in _plain(messages)
    ]


def _with_roles(messages: Any, roles: dict[str, str]) -> Any:
    if isinstance(messages, msgspec.Raw):
        encoded = bytes(messages)
        if not any(role.encode() in encoded for role in roles):
            return messages
        messages = msgspec.json.decode(encoded)
    return [
        message | {"role": roles.get(message["role"], message["role"])}
        if isinstance(message, dict) and isinstance(message.get("role"), str)
        else message
        for message in messages
    ]


def _leave_out(sent: dict[str, Any], names: Sequence[str]) -> None:
    """Remove parameters, and fields at dotted paths."""
    copied = set[str]()
    for name in names:
        parameter, *path = name.split(".")
        if parameter in sent and path and parameter not in copied:
            # Other attempts send the same request to other endpoints.
            value = sent[parameter]
            sent[parameter] = msgspec.json.decode(value if isinstance(value, msgspec.Raw) else encode(value))
            copied.add(parameter)
        _remove(sent, [parameter, *path])
        if path and sent.get(parameter) == {}:
            # A server that does not know its field may not know the object either.
            del sent[parameter]


def _remove(tree: Any, path: Sequence[str]) -> None:
    """Remove the key at a path; a list applies the path to each element."""
    if isinstance(tree, list):
        for item in tree:
            _remove(item, path)
    elif isinstance(tree, dict) and len(path) == 1:
        tree.pop(path[0], None)
    elif isinstance(tree, dict):
        _remove(tree.get(path[0]), path[1:])
