"""Request and response bodies side by side, as applications and gateways log them around a call.

The API is detected row by row; formats that share this shape differ in the names of other fields.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pipeline.ingest.bodies import Answer, Unreadable, failure_text, read_answer, read_prompt
from pipeline.ingest.bodies.prompts import PARAMETERS
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft
from pipeline.ingest.values import Notes, amount, count, elapsed_ms, opened_value, text
from traffic.record import Usage

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
    "@timestamp",
    "datetime",
    "logged_at",
    "event_time",
    "processed_time",
    "request_timestamp",
    "started_at",
    "timestamp_ms",
    "date",
    "created",
    "logging_time",
    "EventTime",
)
_REQUESTS = (
    "request",
    "request_body",
    "requestBody",
    "modelInput",
    "request_kwargs",
    "reqPayload",
    "req",
    "backendRequestBody",
    "full_request",
    "requestbody",
    "request_payload",
    "raw_request",
)
_RESPONSES = (
    "response",
    "response_body",
    "responseBody",
    "responsebody",
    "modelOutput",
    "backendResponseBody",
    "full_response",
    "response_obj",
    "respPayload",
    "resp",
    "res",
    "completion",
    "output",
    "response_payload",
    "raw_response",
)
"""Names of bodies; `recordId`, `modelInput` and `modelOutput` are Bedrock's (batches), `full_request` and
`request_payload` (a list of texts) Vertex's."""
_IDS = (
    *("id", "request_id", "requestId", "RequestId", "custom_id", "recordId", "databricks_request_id", "correlationId"),
    "key",
)
_ATTEMPTS = frozenset({"attempt", "attempt_number", "retry", "retry_count", "retry_attempt"})
_BODIES = ("body", "chatRequest", "chat_request")
"""Keys of the body in what is logged as the request."""


def read_pair(row: dict[str, Any], notes: Notes) -> Draft:
    """Reads a pair and the fields beside it. Raises: Unreadable, ValueError."""
    recorded, request = _request(row)
    if isinstance(request, str) and request.lstrip().startswith("{"):
        raise Unreadable("cut_text", "truncated request body; raise the logger's limit on lengths")
    if not isinstance(request, Mapping):
        raise Unreadable("wrong_types", f"request: expected an object, got {type(request).__name__}")
    prompt = read_prompt(request, notes)
    response = next((row[key] for key in _RESPONSES if row.get(key) is not None), None)
    if isinstance(response, bool | int | float):
        raise Unreadable("wrong_types", f"response: expected an object, got {type(response).__name__}")
    status = count(row.get("status", row.get("status_code", row.get("responseCode"))), "status", Notes())
    answer, failure = _answered(response, status, notes)
    if answer is None and status is None and isinstance(row.get("status"), str):
        # Vertex's batches put a row's error there: words, then an object with the code.
        failure = failure or row["status"] or None
        status = _status_in(row["status"])
    error = opened_value(row.get("error"))
    start = next((place[key] for place in (row, recorded) for key in _TIMES if place.get(key) is not None), None)
    return Draft(
        id=next((row[key] for key in _IDS if row.get(key) is not None), recorded.get("id")),
        ts=created(response) if start is None else start,
        prompt=prompt,
        answer=answer,
        status=status,
        error=failure or (None if not error else text(error_message(error), "error", notes)),
        provider=text(row.get("provider"), "provider", notes),
        model=None if prompt.model else text(row.get("model"), "model", notes),
        user_id=text(recorded.get("user_id"), "request.user_id", notes),
        usage=None if answer is None or answer.usage is not None else _usage(row, notes),
        cost_usd=row.get("cost_usd", row.get("cost")),
        ttft_ms=row.get("ttft_ms"),
        latency_ms=_latency(row, response, start, notes),
        trace_id=row.get("trace_id") or _request_of_attempts(row),
        cache_hit=row.get("cache_hit"),
    )


def _request_of_attempts(row: Mapping[str, Any]) -> Any:
    """The request's id in a row that has its own id and numbers its attempts: they share it. Others may not."""
    return row.get("request_id") if row.get("id") is not None and not _ATTEMPTS.isdisjoint(row) else None


def _answered(response: Any, status: int | None, notes: Notes) -> tuple[Answer | None, str | None]:
    """The answer, or the error in the body of a failed request."""
    is_failure = status is not None and status >= 400
    if is_failure and isinstance(response, str):
        return None, response
    try:
        return read_answer(response, notes), None
    except Unreadable:
        if not is_failure:
            raise
        return None, failure_text(response)


def _status_in(error_text: str) -> int | None:
    error = opened_value(error_text[max(0, error_text.find("{")) :])
    inside = error.get("error", error) if isinstance(error, Mapping) else None
    return count(inside.get("code"), "status", Notes()) if isinstance(inside, Mapping) else None


def _request(row: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """What is logged around the body (`{"method", "url", "body"}`, OCI's serving mode), else nothing, and the body."""
    value = next((opened_value(row[key]) for key in _REQUESTS if row.get(key) is not None), None)
    if value is None and _is_request(row):
        return {}, {key: row[key] for key in _BESIDE_RESPONSE if key in row}
    if isinstance(value, list) and len(value) == 1:
        value = opened_value(value[0])
    if isinstance(value, Mapping) and "messages" not in value and "choices" not in value:
        inside = next((body for key in _BODIES if isinstance(body := opened_value(value.get(key)), Mapping)), None)
        if inside is not None:
            return value, inside
    return {}, value


_BESIDE_RESPONSE = (
    *("messages", "system", "tools", "tool_choice", "functions", "function_call", "response_format", "model"),
    *("temperature", "max_tokens", "max_completion_tokens", "top_p", "stream", "stop", "seed", "n", "user", "metadata"),
    *PARAMETERS,
)
"""Fields of a request that is not logged as one object."""


def _is_request(row: Mapping[str, Any]) -> bool:
    """Whether the messages are beside the response in a row that has no other form (LiteLLM's have `startTime`)."""
    messages = opened_value(row.get("messages"))
    response = next((row[key] for key in ("response", "completion", "response_body") if key in row), None)
    return (
        bool(response)
        and isinstance(messages, list)
        and all(isinstance(message, Mapping) and "role" in message for message in messages)
        and "startTime" not in row
        and "call_type" not in row
    )


def _usage(row: Mapping[str, Any], notes: Notes) -> Usage | None:
    """Token counts beside the bodies, as an object or as fields."""
    stated = next((opened_value(row[key]) for key in ("usage", "token_usage", "tokens") if row.get(key)), None)
    if isinstance(stated, Mapping):
        return read_usage(stated, notes)
    return read_usage({key: value for key, value in row.items() if _TOKENS.search(key)}, notes)


_TOKENS = re.compile(r"[tT]okens|[tT]oken_?[cC]ount")


def _latency(row: Mapping[str, Any], response: Any, start: Any, notes: Notes) -> Any:
    """Milliseconds, as logged beside the bodies or the response, else from start and end."""
    for key, is_seconds in _latencies(tuple(row)):
        value = row[key]
        if is_seconds:
            seconds = amount(value, key, notes)
            value = None if seconds is None else seconds * 1000
        if value is not None:
            return value
    if isinstance(response, Mapping) and "body" in response:
        return next((response[key] for key in _RESPONSE_TIMES if response.get(key) is not None), None)
    return elapsed_ms(start, row.get("end_time", row.get("endTime")), "end_time", notes)


@lru_cache(maxsize=512)
def _latencies(keys: tuple[Any, ...]) -> tuple[tuple[Any, bool], ...]:
    """Keys of durations, the plain names first, and whether they are in seconds: `latency_ms`, `duration_seconds`."""
    matches = [(key, _LATENCY.fullmatch(str(key).replace("_", "").casefold())) for key in keys]
    durations = sorted(
        ((key, match) for key, match in matches if match is not None), key=lambda item: item[1]["plain"] is None
    )
    return tuple((key, match["seconds"] is not None) for key, match in durations)


# `time_ms` and `request_time_ms` are as often points in time.
_LATENCY = re.compile(
    r"(?:(?P<plain>latency|duration|elapsed|took)"
    r"|(?:total|request|response|execution|llm|api|call)(?:latency|duration|elapsed|took)"
    r"|(?:total|response|execution|llm|api)time)"
    r"(?:in)?(?:(?P<seconds>s|secs?|seconds)|ms|millis|milliseconds)"
)
_RESPONSE_TIMES = ("delay_ms", "latency_ms", "response_time", "responseTime")
"""Of recorders, in milliseconds."""


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
    if "request_created_at" in tree or "ai_org" in tree:
        # Helicone's and Portkey's, which say more.
        return None
    _, request = _request(tree)
    answered = any(key in tree for key in _RESPONSES) or "error" in tree
    return request if isinstance(request, Mapping) and answered else None


def is_anthropic(request: Mapping[str, Any], tree: Mapping[str, Any]) -> bool:
    """Whether a chat request is one of Anthropic's Messages API."""
    response = next((opened_value(tree[key]) for key in _RESPONSES if tree.get(key) is not None), None)
    if isinstance(response, Mapping) and (response.get("type") == "message" or "stop_reason" in response):
        return True
    if isinstance(response, Mapping) and "choices" in response:
        return False
    tools = request.get("tools")
    return "system" in request or (
        isinstance(tools, list) and any(isinstance(t, Mapping) and "input_schema" in t for t in tools)
    )
