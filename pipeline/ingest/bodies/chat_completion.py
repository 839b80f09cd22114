"""Fast path for chat completions in their most common form; `answers` reads all other forms."""

from typing import Any

import msgspec

from pipeline.ingest.bodies.exchange import Answer
from pipeline.ingest.bodies.finish import finish_reason
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.values import Notes, identity


# Fields typed None are used by other forms: if one has a value, decoding fails and `answers` reads the body.
class _Message(msgspec.Struct):
    content: str | None = None
    tool_calls: list[dict[str, Any]] | None = None
    function_call: None = None
    refusal: None = None
    parts: None = None
    additional_kwargs: None = None
    response_metadata: None = None
    finish_reason: None = None
    stop_reason: None = None
    audio: None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    error: None = None


_OTHER_NAMES = {
    "other_id": "responseId",
    "other_model": "modelVersion",
    "usage_1": "usageMetadata",
    "usage_2": "usage_metadata",
}


class _Completion(msgspec.Struct, rename=_OTHER_NAMES):
    choices: list[_Choice]
    id: str | int | None = None
    model: str | None = None
    usage: dict[str, Any] | None = None
    service_tier: str | None = None
    error: None = None
    other_id: None = None
    other_model: None = None
    usage_1: None = None
    usage_2: None = None


_decode = msgspec.json.Decoder(_Completion).decode


def read_chat_completion(body: msgspec.Raw, notes: Notes) -> Answer | None:
    """The same answer as `answers.read_answer`; None for bodies of other forms."""
    try:
        tree = _decode(body)
    except msgspec.ValidationError:
        return None
    if len(tree.choices) != 1 or (tree.usage is not None and "tokens" in tree.usage):
        return None
    choice = tree.choices[0]
    calls = choice.message.tool_calls or None
    if choice.finish_reason == "error":
        return None
    if calls is not None and not all(_is_plain(call) for call in calls):
        return None
    return Answer(
        id=identity(tree.id),
        model=tree.model or None,
        text=choice.message.content,
        tool_calls=calls,
        finish_reason=finish_reason(choice.finish_reason, notes),
        usage=read_usage(tree.usage, notes),
        service_tier=tree.service_tier or (tree.usage or {}).get("service_tier"),
    )


def _is_plain(call: dict[str, Any]) -> bool:
    function = call.get("function")
    return isinstance(function, dict) and isinstance(function.get("arguments"), str)
