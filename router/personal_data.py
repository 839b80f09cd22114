"""Restores personal data in answers of own models, whose requests contain placeholders instead.

Values are restored before the answer is checked, so that the client gets exactly what was judged.
"""

from collections.abc import Mapping
from typing import Any

from router.deployed import Prepared
from router.request import ChatRequest
from router.wire import openai
from traffic.loose_json import encode, tree, trees
from traffic.redaction.placeholders import placeholders_in, restored


def restored_body(body: bytes, prepared: Prepared) -> bytes:
    """A chat completion with placeholders replaced by the request's values. Raises: Unreadable."""
    # Compared without the angle brackets, which some servers escape.
    if not any(placeholder[1:-1].encode() in body for placeholder in prepared.originals):
        return body
    completion, _ = openai.completion_of(body)
    choices = [
        choice | {"message": _restored(tree(choice.get("message")), prepared.originals)}
        for choice in trees(completion["choices"])
    ]
    return encode(completion | {"choices": choices})


def unknown_placeholder(text: str | None, request: ChatRequest, prepared: Prepared) -> str | None:
    """A placeholder in the restored answer that the adapter invented; None if there is none."""
    if not prepared.redacted or not text or not (remaining := placeholders_in(text)):
        return None
    # The prompt itself may mention placeholders.
    sent = placeholders_in(bytes(request.tree["messages"]).decode())
    return min(remaining - sent, default=None)


def _restored(node: Any, originals: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {key: _restored(value, originals) for key, value in node.items()}
    if isinstance(node, list):
        return [_restored(value, originals) for value in node]
    return restored(node, originals) if isinstance(node, str) else node
