"""Packs Gemini's signature of a tool call into the call's id: Gemini requires it back, and only chat completions have a
field for it. Also shortens ids to the limits of an API.
"""

import base64
import binascii
import hashlib
import re

from traffic.loose_json import Tree, text, tree
from traffic.tool_calls import ToolCall

_UNSAFE = re.compile(r"[^a-zA-Z0-9_-]")
_MARK = "__signed_"


def with_signature(call: ToolCall) -> str:
    """The call's id with the signature appended, for protocols without a field for it."""
    signature = text(tree(tree(call.extra.get("extra_content")).get("google")).get("thought_signature"))
    if not signature:
        return call.id
    return f"{call.id}{_MARK}{base64.urlsafe_b64encode(signature.encode()).decode().rstrip('=')}"


def without_signature(identity: str) -> tuple[str, Tree]:
    """The original id, and the fields of the call that were packed into it."""
    bare, mark, encoded = identity.partition(_MARK)
    if not mark:
        return identity, {}
    try:
        signature = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, ValueError):
        return identity, {}
    return bare, {"extra_content": {"google": {"thought_signature": signature}}}


def exact_id(identity: str, chars: int) -> str:
    """An id of exactly `chars` letters and digits; deterministic, and unchanged if it has that form already."""
    if len(identity) == chars and identity.isascii() and identity.isalnum():
        return identity
    return hashlib.sha512(identity.encode("utf-8", "replace")).hexdigest()[:chars]


def safe_id(identity: str) -> str:
    """An id of letters, digits, `_` and `-` alone, as Anthropic and Bedrock require.

    The same id is always mapped to the same one; ids that differ in other characters alone stay apart.
    """
    fitted = _UNSAFE.sub("_", identity)
    if identity and fitted == identity:
        return identity
    return f"{fitted}_{hashlib.sha256(identity.encode('utf-8', 'replace')).hexdigest()[:8]}"


def fitted_id(identity: str, most_chars: int | None) -> str:
    """An id that the API accepts; deterministic."""
    if most_chars is None or len(identity) <= most_chars:
        return identity
    tail = "_" + hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:12]
    return identity[: most_chars - len(tail)] + tail
