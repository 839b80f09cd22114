"""Portkey's log export: bodies under `request` and `response`, or under `request.body` and `response.body`.

Costs are in cents. Source: https://portkey.ai/docs/product/observability/logs-export.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from pipeline.ingest.bodies.usage import read_usage
from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes, amount, count, opened_value, text


def _recognises(tree: Mapping[str, Any]) -> bool:
    return ("ai_org" in tree or "ai_model" in tree) and any(key in tree for key in ("request", "request.body"))


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    request, response = (_body(row, name) for name in ("request", "response"))
    status = count(row.get("response_status_code"), "response_status_code", notes)
    cents = amount(row.get("cost"), "cost", notes)
    currency = row.get("cost_currency")
    is_usd = currency in ("USD", "usd", "", None)
    if not is_usd:
        notes.unknown.append(f"cost_currency={str(currency)[:40]}")
    tokens = {"prompt_tokens": row.get("req_units"), "completion_tokens": row.get("res_units")}
    draft = pairs.read_pair(
        {
            "id": row.get("id"),
            "timestamp": row.get("created_at"),
            "request": request,
            "response": response,
            "status": status,
            "latency_ms": row.get("response_time"),
            "trace_id": row.get("trace_id"),
            "cache_hit": str(row.get("cache_status", "")).upper() in ("HIT", "SEMANTIC HIT"),
        },
        notes,
    )
    return msgspec.structs.replace(
        draft,
        provider=text(row.get("ai_org"), "ai_org", notes),
        model=text(row.get("ai_model"), "ai_model", notes),
        cost_usd=cents / 100 if cents and is_usd else None,
        usage=(draft.answer.usage if draft.answer else None)
        or (read_usage(tokens, notes) if any(tokens.values()) else None),
    )


def _body(row: Mapping[str, Any], name: str) -> Any:
    """The body without its wrappers."""
    whole = opened_value(row.get(f"{name}.body", row.get(name)))
    if isinstance(whole, Mapping) and "body" in whole and not whole.keys() & {"messages", "choices", "content"}:
        return opened_value(whole["body"])
    return whole


FORMAT = tree_format("portkey", _recognises, _read)
