"""Batch files of OpenAI and Gemini: output lines `{custom_id, response{status_code, body}, error}` and input lines.

An output file alone has no prompts; cost and volume still count. Ingested together with its input file
(`{custom_id, method, url, body}`) each answer is joined with its prompt. Gemini's have `{key, request}` and
`{key, response | error}`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.ingest.bodies import read_answer, read_prompt
from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Companions, Draft, NotARequest, Part, tree_format
from pipeline.ingest.values import Notes


def _recognises(tree: Mapping[str, Any]) -> bool:
    if "key" in tree and not tree.keys() - _GEMINI_KEYS:
        return "error" in tree or _contents_of(tree) is not None
    if "custom_id" not in tree or "request" in tree:
        return False
    response = tree.get("response")
    return (
        (isinstance(response, Mapping) and "body" in response)
        or (response is None and "error" in tree)
        or _is_input(tree)
    )


_GEMINI_KEYS = frozenset({"key", "request", "response", "error", "metadata"})


def _contents_of(tree: Mapping[str, Any]) -> Any:
    """Gemini's request or response of a line."""
    body = tree.get("request", tree.get("response"))
    return body if isinstance(body, Mapping) and body.keys() & {"contents", "candidates", "promptFeedback"} else None


def _is_input(tree: Mapping[str, Any]) -> bool:
    return ("method" in tree and isinstance(tree.get("body"), Mapping)) or ("key" in tree and "request" in tree)


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
        id=row.get("id") or row.get("custom_id") or row.get("key"),
        ts=pairs.created(response),
        prompt=read_prompt(request, notes) if isinstance(request, Mapping) else None,
        answer=answer,
        error=pairs.error_message(error) if error else None,
        provider="google" if "key" in row else "openai",
        service_tier="batch",
    )


def _own_key(row: Mapping[str, Any]) -> str | None:
    key = row.get("custom_id", row.get("key"))
    return None if key is None else str(key)


def _given(row: Mapping[str, Any]) -> list[Part]:
    key = _own_key(row)
    return [(key, 0, row.get("body", row.get("request")))] if key is not None and _is_input(row) else []


def _wanted(row: Mapping[str, Any]) -> Sequence[str]:
    is_output = ("response" in row or "error" in row) and not _is_input(row) and "body" not in row
    return (key,) if is_output and (key := _own_key(row)) is not None else ()


FORMAT = tree_format(
    "openai_batch",
    _recognises,
    _read,
    companions=Companions(_given, _wanted, lambda row, parts: {**row, "body": parts[0]}, wait=True),
)
