"""Anthropic's message batches: results `{custom_id, result{type, message | error}}` and their requests.

Results alone have no prompts; cost and volume still count. Ingested together with the requests
(`{custom_id, params}`) each answer is joined with its prompt.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.ingest.bodies import Answer, read_answer, read_prompt
from pipeline.ingest.formats.format import Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.values import Notes


def _recognises(tree: Mapping[str, Any]) -> bool:
    result = tree.get("result")
    return "custom_id" in tree and ((isinstance(result, Mapping) and "type" in result) or _is_request(tree))


def _is_request(tree: Mapping[str, Any]) -> bool:
    params = tree.get("params")
    return isinstance(params, Mapping) and "messages" in params and "result" not in tree


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if _is_request(row):
        raise NotARequest("batch input")
    result = row.get("result")
    result = result if isinstance(result, Mapping) else {}
    answer = read_answer(result.get("message"), notes)
    if answer is None:
        failure = read_answer({"error": result["error"]}, notes) if result.get("error") else None
        answer = failure or Answer(error=str(result.get("type", "errored")))
    params = row.get("params")
    prompt = read_prompt(params, notes) if isinstance(params, Mapping) else None
    return Draft(id=row.get("custom_id"), prompt=prompt, answer=answer, provider="anthropic", service_tier="batch")


def _given(row: Mapping[str, Any]) -> list[Part]:
    return [(str(row["custom_id"]), 0, row["params"])] if "custom_id" in row and _is_request(row) else []


def _wanted(row: Mapping[str, Any]) -> Sequence[str]:
    return (str(row["custom_id"]),) if "custom_id" in row and "result" in row and "params" not in row else ()


FORMAT = tree_format(
    "anthropic_batch",
    _recognises,
    _read,
    companions=Companions(_given, _wanted, lambda row, parts: {**row, "params": parts[0]}, wait=True),
)
