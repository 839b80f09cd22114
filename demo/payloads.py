"""Lines of LiteLLM's log (StandardLoggingPayload), as written by its S3 and GCS loggers."""

import datetime as dt
from typing import Any, NamedTuple

from demo import tokens
from demo.callsites import Site
from demo.mistakes import Answer

MODEL, PROVIDER, API_BASE = "gpt-4o", "openai", "https://api.openai.com"
INPUT_MTOK_USD, OUTPUT_MTOK_USD = 2.50, 10.00
"""Prices of the logged model, USD per million tokens."""

_ERRORS = {
    429: ("RateLimitError", "Rate limit reached for gpt-4o in organization org-brightdesk"),
    500: ("InternalServerError", "The server had an error while processing your request"),
}


class Asking(NamedTuple):
    """One attempt: user, request, call site and time."""

    id: str
    site: Site
    messages: list[dict[str, Any]]
    tags: dict[str, Any]
    """The application's `metadata`."""
    start: dt.datetime
    latency_s: float


def answered(
    asking: Asking, answer: Answer, tool_calls: list[dict[str, Any]] | None, *, hit: bool, counted: bool
) -> dict[str, Any]:
    """A successful attempt. `hit`: answered from the gateway's cache. `counted`: the stream reported its usage."""
    site = asking.site
    prompt = tokens.of_prompt(asking.messages, site.tools, site.response_format)
    completion = tokens.of_answer(answer.text or None, tool_calls)
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }
    message = {"role": "assistant", "content": None if tool_calls else answer.text, "tool_calls": tool_calls}
    finish = "tool_calls" if tool_calls else answer.finish_reason
    response: dict[str, Any] = {
        "id": asking.id,
        "created": int(asking.start.timestamp()),
        "model": MODEL,
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": finish, "message": message}],
    }
    if counted:
        response["usage"] = usage
    cost = 0.0 if hit or not counted else cost_usd(prompt, completion)
    first = asking.latency_s * (0.4 if site.streams else 1.0)
    row = _row(asking, first, cost, usage if counted else None)
    return row | {
        "status": "success",
        "cache_hit": hit,
        "response": response,
        "error_str": None,
        "error_information": None,
    }


def failed(asking: Asking, status: int) -> dict[str, Any]:
    """A failed attempt."""
    name, text = _ERRORS[status]
    row = _row(asking, asking.latency_s, 0.0, None)
    information = {"error_code": str(status), "error_class": name, "llm_provider": PROVIDER, "error_message": text}
    return row | {
        "status": "failure",
        "cache_hit": False,
        "response": None,
        "error_str": text,
        "error_information": information,
    }


def cost_usd(prompt: int, completion: int) -> float:
    """Price of one answer."""
    return round((prompt * INPUT_MTOK_USD + completion * OUTPUT_MTOK_USD) / 1e6, 9)


def _row(asking: Asking, first_s: float, cost: float, usage: dict[str, Any] | None) -> dict[str, Any]:
    site, start = asking.site, asking.start.timestamp()
    parameters: dict[str, Any] = {"temperature": site.temperature, "stream": site.streams}
    if site.max_tokens is not None:
        parameters["max_tokens"] = site.max_tokens
    if site.response_format is not None:
        parameters["response_format"] = site.response_format
    if site.tools is not None:
        parameters["tools"] = site.tools
    counts = usage or {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    return {
        "id": asking.id,
        "trace_id": asking.tags["session_id"],
        "call_type": "acompletion",
        "stream": site.streams,
        "custom_llm_provider": PROVIDER,
        "startTime": round(start, 6),
        "endTime": round(start + asking.latency_s, 6),
        "completionStartTime": round(start + first_s, 6),
        "model": MODEL,
        "model_group": MODEL,
        "api_base": API_BASE,
        "response_cost": cost,
        "prompt_tokens": counts["prompt_tokens"],
        "completion_tokens": counts["completion_tokens"],
        "total_tokens": counts["total_tokens"],
        "request_tags": [f"call_site:{site.name}", "env:production"],
        "end_user": asking.tags["user_id"],
        "messages": asking.messages,
        "model_parameters": parameters,
        "metadata": {"requester_metadata": asking.tags, "usage_object": usage},
    }
