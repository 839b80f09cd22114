"""The last step before a body is sent: what this endpoint calls differently, wants in addition, or does not take. Pure.

adapted({"max_tokens": 9, "messages": ...}, endpoint)  # endpoint.rename: {max_tokens: max_completion_tokens}
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from traffic.tiers import Endpoint


def adapted_payload(payload: bytes, endpoint: Endpoint) -> bytes:
    """`adapted` for an encoded body."""
    if not (endpoint.rename or endpoint.roles or endpoint.body or endpoint.leave_out):
        return payload
    return msgspec.json.encode(adapted(msgspec.json.decode(payload, type=dict[str, msgspec.Raw]), endpoint))


def adapted(body: dict[str, Any], endpoint: Endpoint) -> dict[str, Any]:
    """The body as the endpoint's configuration has it; values may be `msgspec.Raw`. The given body is not changed.

    `leave_out` comes last, so that it also holds for what was translated, renamed or added here.
    """
    if not (endpoint.rename or endpoint.roles or endpoint.body or endpoint.leave_out):
        return body
    sent = dict(body)
    for ours, theirs in endpoint.rename.items():
        if ours in sent:
            value = sent.pop(ours)
            sent.setdefault(theirs, value)
    if endpoint.roles and "messages" in sent:
        sent["messages"] = _with_roles(sent["messages"], endpoint.roles)
    for name, value in endpoint.body.items():
        sent.setdefault(name, value)
    for name in endpoint.leave_out:
        _remove(sent, name.split("."))
    return sent


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


def _remove(tree: Any, path: Sequence[str]) -> None:
    """Remove the key at a path; a step into a list means each of its elements."""
    if isinstance(tree, list):
        for item in tree:
            _remove(item, path)
        return
    if not isinstance(tree, dict) or path[0] not in tree:
        return
    if len(path) == 1:
        del tree[path[0]]
        return
    inner = tree[path[0]]
    # Decoded anew: other attempts send the same request to other endpoints.
    tree[path[0]] = msgspec.json.decode(inner if isinstance(inner, msgspec.Raw) else msgspec.json.encode(inner))
    _remove(tree[path[0]], path[1:])
