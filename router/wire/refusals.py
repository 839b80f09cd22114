"""Why a server refused a request, where another one might take it: read from the error that it sent. Pure.

    classify_refusal(400, b'{"error": {"code": "context_length_exceeded", ...}}') == "context_length"

Servers of both protocols are read: OpenAI and Azure (codes), Anthropic, vLLM, Gemini and others (their wording).
"""

import re
from typing import Any, Literal

import msgspec

Refusal = Literal["context_length", "content_policy"]
"""`context_length`: the prompt, or prompt and answer together, are too long for this model; `content_policy`: a filter
of the provider stopped the request or its answer."""

CONTENT_POLICY_FINISH = "content_filter"
"""The finish reason of an answer (status 200) that a provider's filter stopped."""

_CODES: dict[str, Refusal] = {
    "context_length_exceeded": "context_length",
    "string_above_max_length": "context_length",
    "request_too_large": "context_length",
    "content_policy_violation": "content_policy",
    "content_filter": "content_policy",
    "responsibleaipolicyviolation": "content_policy",
    "moderation_blocked": "content_policy",
    "sexual_content_violation": "content_policy",
}
_CONTEXT = re.compile(
    r"context (?:length|window|limit)|prompt is too long|input is too long|longer than the (?:maximum )?model(?:'s)? "
    r"(?:context|length)|maximum model length|too many (?:input )?tokens|input (?:token count|tokens) .{0,60}exceed"
    r"|exceed.{0,40}(?:maximum|max)[^.]{0,30}tokens allowed|reduce the length of the (?:messages|prompt|input)"
)
_POLICY = re.compile(
    r"content (?:filter|management|moderation) ?(?:ing)?|content polic|usage polic|safety (?:system|filter|polic)"
    r"|flagged as potentially violating|prohibited_content|blocked by .{0,40}(?:filter|policy)"
)


def classify_refusal(status: int, body: bytes) -> Refusal | None:
    """The reason of a 4xx by its body; None where it is another one, or where the body does not say."""
    if not 400 <= status < 500 or status in (401, 403, 404, 429):
        return None
    error = _error(body)
    for key in ("code", "type"):
        found = _CODES.get(str(error.get(key) or "").lower())
        if found is not None:
            return found
    message = str(error.get("message") or "").lower()
    if _CONTEXT.search(message):
        return "context_length"
    if _POLICY.search(message):
        return "content_policy"
    return "context_length" if status == 413 else None


def _error(body: bytes) -> dict[str, Any]:
    """The object that describes the error; vLLM and others leave out the `error` around it, Gemini sends a list."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {"message": body.decode("utf-8", "replace")}
    if isinstance(tree, list) and tree:
        tree = tree[0]
    if not isinstance(tree, dict):
        return {"message": str(tree)}
    error = tree.get("error", tree)
    return error if isinstance(error, dict) else {"message": str(error)}
