"""Request and response bodies side by side, as applications and gateways log them around a call.

Which API the bodies are of is seen row by row; the formats that share this shape differ in the names around them.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Unreadable, read_answer, read_prompt
from pipeline.ingest.formats.format import Draft
from pipeline.ingest.values import Notes, amount, count, opened_value, text

_TIMES = (
    "timestamp",
    "ts",
    "time",
    "created_at",
    "createdAt",
    "requested_at",
    "request_time",
    "start_time",
    "startTime",
    "date",
    "@timestamp",
)
_RESPONSES = ("response", "response_body", "completion", "output")


def body(row: Mapping[str, Any], key: str) -> Any:
    """A body, decoded where it was logged as JSON text; HTTP wrappers (`{"method", "url", "body"}`) are opened."""
    value = opened_value(row.get(key))
    if isinstance(value, Mapping) and "body" in value and "messages" not in value and "choices" not in value:
        inside = opened_value(value["body"])
        return inside if isinstance(inside, Mapping) and key == "request" else value
    return value


def read_pair(row: dict[str, Any], notes: Notes) -> Draft:
    """A pair with whatever stands beside it. Raises: Unreadable, ValueError."""
    request = body(row, "request")
    if not isinstance(request, Mapping):
        raise Unreadable("wrong_types", f"request: expected an object, got {type(request).__name__}")
    prompt = read_prompt(request, notes)
    response = next((row[key] for key in _RESPONSES if row.get(key) is not None), None)
    if isinstance(response, bool | int | float):
        raise Unreadable("wrong_types", f"response: expected an object, got {type(response).__name__}")
    status = count(row.get("status", row.get("status_code")), "status", Notes())
    if isinstance(response, str) and status is not None and status >= 400:
        answer, failure = None, response
    else:
        answer, failure = read_answer(response, notes), None
    error = opened_value(row.get("error"))
    seconds = amount(row.get("latency_s", row.get("duration_s")), "latency_s", notes)
    return Draft(
        id=next((row[key] for key in ("id", "request_id", "custom_id") if row.get(key) is not None), None),
        ts=next((row[key] for key in _TIMES if row.get(key) is not None), created(response)),
        prompt=prompt,
        answer=answer,
        status=status,
        error=failure or (None if not error else text(error_message(error), "error", notes)),
        provider=text(row.get("provider"), "provider", notes),
        cost_usd=row.get("cost_usd", row.get("cost")),
        ttft_ms=row.get("ttft_ms"),
        latency_ms=row.get("latency_ms", row.get("duration_ms", None if seconds is None else seconds * 1000)),
        trace_id=row.get("trace_id"),
        cache_hit=row.get("cache_hit"),
    )


def created(response: Any) -> Any:
    response = opened_value(response)
    if not isinstance(response, Mapping):
        return None
    body = response.get("body", response)
    return (body.get("created") or body.get("created_at")) if isinstance(body, Mapping) else None


def error_message(error: Any) -> Any:
    if isinstance(error, Mapping):
        return ": ".join(str(error[key]) for key in ("type", "code", "message") if error.get(key)) or "error"
    return error


def request_of(tree: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The request body of a row that has a request and a response."""
    request = body(tree, "request")
    answered = any(key in tree for key in _RESPONSES) or "error" in tree
    return request if isinstance(request, Mapping) and answered else None


def is_anthropic(request: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
    """Whether a chat request is one of Anthropic's Messages API."""
    response = opened_value(tree.get("response"))
    if isinstance(response, Mapping) and (response.get("type") == "message" or "stop_reason" in response):
        return True
    if isinstance(response, Mapping) and "choices" in response:
        return False
    tools = request.get("tools")
    return "system" in request or (
        isinstance(tools, list) and any(isinstance(t, Mapping) and "input_schema" in t for t in tools)
    )
