"""Removes fields of earlier answers that an endpoint rejects: reasoning, Anthropic's blocks, Gemini's signatures, empty
lists of parts."""

from typing import Any

import msgspec

from router.request import ChatRequest
from router.target import Target
from traffic.loose_json import Tree, encode, trees
from traffic.tiers import Endpoint

_OURS = ("thinking_blocks", "provider_specific_fields")
"""Fields that routers add to answers of Anthropic endpoints."""
_TRACES = (
    *(b'"reasoning_content"', b'"thinking_blocks"', b'"provider_specific_fields"', b'"extra_content"'),
    *(b'"content":[]', b'"content": []'),
)


def fitted_messages(body: dict[str, Any], request: ChatRequest, target: Target) -> None:
    """Remove fields that the endpoint rejects; fields written by a chat completions client itself are kept."""
    raw = bytes(body["messages"]) if isinstance(body["messages"], msgspec.Raw) else b""
    endpoint = target.endpoint
    # Most requests have no earlier answers and need no more than this check. `in` is slow for bytes: it first tries
    # them as a number, and formats an exception.
    if raw.find(b"assistant") < 0 or not any(raw.find(trace) >= 0 for trace in _TRACES):
        return
    if endpoint.reasoning_history or endpoint.kind == "bedrock":
        return
    translated = request.dialect != "openai"
    messages = [_fitted(message, endpoint, translated=translated) for message in trees(msgspec.json.decode(raw))]
    body["messages"] = msgspec.Raw(encode(messages))


def _fitted(message: Tree, endpoint: Endpoint, *, translated: bool) -> Tree:
    left_out = {key for key in _OURS if key in message}
    if translated or "thinking_blocks" in message:
        left_out.add("reasoning_content")
    fitted = {key: value for key, value in message.items() if key not in left_out}
    calls = trees(fitted.get("tool_calls"))
    if calls and fitted.get("content") == []:
        # Cursor sends it beside calls.
        fitted["content"] = None
    if translated and calls and not _is_google(endpoint):
        fitted["tool_calls"] = [{key: value for key, value in c.items() if key != "extra_content"} for c in calls]
    return fitted


def _is_google(endpoint: Endpoint) -> bool:
    return endpoint.provider_name == "google" or "gemini" in (endpoint.model or "").lower()
