"""Pairs of OpenAI's Responses API: `input` and `instructions` in, `output` items out.

{"request": {"model", "instructions"?, "input"}, "response": {"object": "response", "output": [...]}, "timestamp"}
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import read_answer, read_prompt
from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes, opened_value


def _recognises(tree: Mapping[str, Any]) -> bool:
    request = pairs.request_of(tree)
    if request is not None:
        return "input" in request and "messages" not in request and "workload_id" not in tree
    return tree.get("object") == "response" and isinstance(tree.get("output"), list)


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if pairs.request_of(row) is not None:
        return pairs.read_pair(row, notes)
    # A stored response, with its input items if they were fetched.
    items = opened_value(row.get("input", row.get("input_items")))
    items = items.get("data") if isinstance(items, dict) else items
    request = {**row, "input": items} if items else None
    keep = (
        "model",
        "instructions",
        "tools",
        "text",
        "temperature",
        "metadata",
        "tool_choice",
        "max_output_tokens",
        "user",
        "previous_response_id",
        "conversation",
        "prompt",
    )
    answer = read_answer(row, notes)
    return Draft(
        id=row.get("id"),
        ts=row.get("created_at", row.get("created")),
        prompt=read_prompt({k: request[k] for k in ("input", *keep) if k in request}, notes) if request else None,
        answer=answer,
        provider="openai",
    )


FORMAT = tree_format("openai_responses", _recognises, _read)
