"""OpenAI request/response pairs, as applications log them around their own calls.

{"id"?, "request": {body}, "response": {body | error} | null, "timestamp", "latency_ms"?, "status"?}
"""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.formats import pairs
from pipeline.ingest.formats.format import tree_format


def _recognises(tree: Mapping[str, Any]) -> bool:
    request = pairs.request_of(tree)
    if request is None or "workload_id" in tree:
        return False
    chat = "messages" in request and not pairs.is_anthropic(request, tree)
    return chat or ("messages" not in request and any(key in request for key in _PROMPTS))


_PROMPTS = ("prompt", "contents", "inputs", "message")
"""Of completions, Gemini, TGI and Cohere."""


FORMAT = tree_format("openai_pairs", _recognises, pairs.read_pair)
