"""Token usage of a response body: `traffic.usage`, with notes of unreadable counts."""

import ast
from collections.abc import Mapping
from typing import Any

from pipeline.ingest.values import Notes, amount
from traffic.record import Usage
from traffic.usage import MAX_COUNT, count, usage_of, usual_usage


def read_usage(tree: Any, notes: Notes) -> Usage | None:
    """Usage from an object of any API; None without counts."""
    if isinstance(tree, str):
        tree = _printed_object(tree)
    if type(tree) is not dict and not isinstance(tree, Mapping):
        if tree:
            notes.nulled.append("usage")
        return None
    if (usual := usual_usage(tree)) is not None:
        return usual if usual.input_total or usual.output else None
    if any(type(value) is str and value.endswith(")") for value in tree.values()):
        tree = {name: _printed_object(value) if type(value) is str else value for name, value in tree.items()}
    for name, value in tree.items():
        if type(value) is int and 0 <= value <= MAX_COUNT:
            continue
        if isinstance(value, str | int | float) and "oken" in str(name) and count(value) is None:
            notes.nulled.append(f"usage.{name}")
    return usage_of(tree)


_MAX_PRINTED = 2000


def _printed_object(value: str) -> Any:
    """The fields of an object as Python prints it, `Usage(prompt_tokens=9)`; other texts are unchanged."""
    if not value.endswith(")") or len(value) > _MAX_PRINTED:
        return value
    try:
        tree = _fields(ast.parse(value, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return value
    return tree if isinstance(tree, dict) else value


def _fields(node: ast.expr) -> Any:
    if isinstance(node, ast.Call) and node.keywords:
        return {field.arg: _fields(field.value) for field in node.keywords if field.arg is not None}
    return node.value if isinstance(node, ast.Constant) else None


def counts_of(tree: Mapping[str, Any]) -> Any:
    """The object with the token counts of a body."""
    for key in ("usage", "usageMetadata", "usage_metadata", "meta"):
        if tree.get(key):
            usage = tree[key]
            # Cohere puts its counts under `tokens`.
            return usage.get("tokens", usage) if isinstance(usage, Mapping) else usage
    if isinstance(inside := tree.get("message"), Mapping) and "usage_metadata" in inside:
        return inside["usage_metadata"]
    return tree if "prompt_eval_count" in tree or "tokens_evaluated" in tree else None


def cost_of(counts: Any) -> float | None:
    """What the caller pays in USD. With a key of their own (BYOK) they pay the provider, and the gateway a fee."""
    if not isinstance(counts, Mapping):
        return None
    stated, details = counts.get("cost"), counts.get("cost_details")
    if isinstance(stated, Mapping):
        stated = stated.get("total_cost")
    upstream = (
        details.get("upstream_inference_cost") if counts.get("is_byok") and isinstance(details, Mapping) else None
    )
    parts = [amount(part, "usage.cost", Notes()) for part in (stated, upstream)]
    return sum(part for part in parts if part) or None
