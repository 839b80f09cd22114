"""OpenAI's batch files: output lines `{custom_id, response{status_code, body}, error}` and their input lines.

An output file alone has no prompts; cost and volume still count. Ingested together with its input file
(`{custom_id, method, url, body}`) each answer is joined with its prompt.
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.bodies import read_answer, read_prompt
from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.values import Notes


def _recognises(tree: Mapping[str, Any]) -> bool:
    if "custom_id" not in tree or "request" in tree:
        return False
    response = tree.get("response")
    return (
        (isinstance(response, Mapping) and "body" in response)
        or (response is None and "error" in tree)
        or _is_input(tree)
    )


def _is_input(tree: Mapping[str, Any]) -> bool:
    return "method" in tree and isinstance(tree.get("body"), Mapping)


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    if _is_input(row) and "response" not in row:
        raise NotARequest("batch input")
    response = row.get("response")
    # One that never ran has an object with a body of null, and its error beside it.
    is_answered = not isinstance(response, Mapping) or response.get("body") is not None or not row.get("error")
    answer = read_answer(response, notes) if is_answered else None
    error = row.get("error")
    request = row.get("body")
    return Draft(
        id=row.get("id") or row.get("custom_id"),
        ts=pairs.created(response),
        prompt=read_prompt(request, notes) if isinstance(request, Mapping) else None,
        answer=answer,
        error=pairs.error_message(error) if error else None,
        provider="openai",
        service_tier="batch",
    )


def _given(row: Mapping[str, Any]) -> list[Part]:
    return [(str(row["custom_id"]), 0, row["body"])] if "custom_id" in row and _is_input(row) else []


def _wanted(row: Mapping[str, Any]) -> str | None:
    return str(row["custom_id"]) if "custom_id" in row and "response" in row and "body" not in row else None


FORMAT = tree_format(
    "openai_batch",
    _recognises,
    _read,
    companions=Companions(_given, _wanted, lambda row, parts: {**row, "body": parts[0]}, wait=True),
)
