"""Anthropic Messages request/response pairs.

{"request": {"model", "max_tokens", "system"?, "messages"}, "response": {"type": "message", ...}, "timestamp"}
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import Draft, tree_format
from pipeline.ingest.values import Notes


def _recognises(tree: Mapping[str, Any]) -> bool:
    request = pairs.request_of(tree)
    return (
        request is not None
        and "messages" in request
        and "workload_id" not in tree
        and pairs.is_anthropic(request, tree)
    )


def _read(row: dict[str, Any], notes: Notes) -> Draft:
    draft = pairs.read_pair(row, notes)
    draft.provider = draft.provider or "anthropic"
    return draft


FORMAT = tree_format("anthropic_pairs", _recognises, _read)
