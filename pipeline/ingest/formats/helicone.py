"""Helicone's request export: `request_body` and `response_body` with the proxy's measurements."""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Answer, Unreadable, read_answer, read_prompt
from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes, count, opened_value, text


def _recognises(tree: Mapping[str, Any]) -> bool:
    return "request_created_at" in tree and (
        "request_body" in tree or "response_body" in tree or "request_path" in tree
    )


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    request = opened_value(row.get("request_body"))
    status = count(row.get("response_status", row.get("status")), "response_status", notes)
    # Helicone writes -1, -2, -3 and -4 for requests that it cancelled, timed out or lost.
    status = status if status and status >= 100 else None
    if request in (None, {}, ""):
        prompt = None
        if row.get("signed_body_url"):
            raise Unreadable("body_elsewhere", "the bodies are stored at signed_body_url; export the log with bodies")
    else:
        prompt = read_prompt(request, notes)
    response = opened_value(row.get("response_body"))
    answer: Answer | None = None
    failure = None
    if status is not None and status >= 400 and isinstance(response, str):
        failure = response
    else:
        if isinstance(response, bool | int | float):
            raise Unreadable("wrong_types", f"response_body: expected an object, got {type(response).__name__}")
        answer = read_answer(response, notes)
    return Draft(
        id=row.get("request_id") or row.get("response_id"),
        ts=row.get("request_created_at"),
        prompt=prompt,
        answer=answer,
        status=status,
        error=failure,
        user_id=text(row.get("request_user_id", row.get("user_id")), "request_user_id", notes),
        provider=(text(row.get("provider"), "provider", notes) or "").casefold() or None,
        model=text(row.get("request_model") or row.get("model"), "model", notes) if prompt is None else None,
        usage=None if answer and answer.usage else _usage(row, notes),
        cost_usd=next((row[key] for key in ("cost", "cost_usd", "costUSD") if row.get(key) is not None), None),
        ttft_ms=row.get("time_to_first_token"),
        latency_ms=row.get("latency", row.get("delay_ms")),
        cache_hit=row.get("cache_hit"),
    )


def _usage(row: Mapping[str, Any], notes: Notes) -> Any:
    if not (row.get("prompt_tokens") or row.get("completion_tokens")):
        return None
    return read_usage(
        {
            "prompt_tokens": row.get("prompt_tokens"),
            "completion_tokens": row.get("completion_tokens"),
            "prompt_tokens_details": {
                "cached_tokens": row.get("prompt_cache_read_tokens"),
                "cache_creation_tokens": row.get("prompt_cache_write_tokens"),
            },
        },
        notes,
    )


FORMAT = tree_format("helicone", _recognises, _read)
