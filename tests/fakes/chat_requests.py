"""Features and types of requests that a test writes as a system prompt and turns."""

from typing import Any

from traffic.features import Features, features_of, request_type
from traffic.record import Message

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def features_for(system: str | None, *turns: str, **shape: Any) -> Features:
    roles = ("user", "assistant")
    head = [Message("system", system)] if system else []
    return features_of([*head, *(Message(roles[n % 2], turn) for n, turn in enumerate(turns))], **shape)


def type_of(system: str | None, *turns: str, **shape: Any) -> str:
    messages = [Message("user", turn) for turn in turns]
    return request_type(features_for(system, *turns, **shape), messages)


def schema(**properties: Any) -> dict[str, Any]:
    body = {"type": "object", "properties": properties}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": body}}
