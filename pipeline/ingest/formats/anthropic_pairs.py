"""Anthropic Messages request/response pairs, and the results of its batches.

{"request": {"model", "max_tokens", "system"?, "messages"}, "response": {"type": "message", ...}, "timestamp"}
{"custom_id", "result": {"type": "succeeded" | "errored" | ..., "message" | "error"}}
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import Answer, read_answer, read_prompt
from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes


def _recognises(tree: Mapping[str, Any]) -> bool:
    result = tree.get("result")
    if "custom_id" in tree and isinstance(result, Mapping):
        return "type" in result
    request = pairs.request_of(tree)
    return (
        request is not None
        and "messages" in request
        and "workload_id" not in tree
        and pairs.is_anthropic(request, tree)
    )


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    result = row.get("result")
    if "request" in row or not isinstance(result, Mapping):
        draft = pairs.read_pair(row, notes)
        draft.provider = draft.provider or "anthropic"
        return draft
    params = row.get("params")
    answer = read_answer(result.get("message"), notes)
    if answer is None:
        kind = str(result.get("type", "errored"))
        answer = Answer(
            error=kind
            if not result.get("error")
            else (read_answer({"error": result["error"]}, notes) or Answer()).error
        )
    prompt = read_prompt(params, notes) if isinstance(params, Mapping) else None
    return Draft(id=row.get("custom_id"), prompt=prompt, answer=answer, provider="anthropic")


FORMAT = tree_format("anthropic_pairs", _recognises, _read)
