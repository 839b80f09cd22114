"""Ids of tool calls that carry what else belongs to a call: Gemini wants its signature of a call back with it, and only
chat completions have a place for that.
"""

import base64
import binascii
import hashlib

from traffic.loose_json import Tree, text, tree
from traffic.tool_calls import ToolCall

_MARK = "__signed_"


def with_signature(call: ToolCall) -> str:
    """The call's id for a client whose protocol has no other place for the signature."""
    signature = text(tree(tree(call.extra.get("extra_content")).get("google")).get("thought_signature"))
    if not signature:
        return call.id
    return f"{call.id}{_MARK}{base64.urlsafe_b64encode(signature.encode()).decode().rstrip('=')}"


def without_signature(identity: str) -> tuple[str, Tree]:
    """The id as its server gave it, and the keys of the call that it carried."""
    bare, mark, encoded = identity.partition(_MARK)
    if not mark:
        return identity, {}
    try:
        signature = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except (binascii.Error, ValueError):
        return identity, {}
    return bare, {"extra_content": {"google": {"thought_signature": signature}}}


def exact_id(identity: str, chars: int) -> str:
    """An id of so many letters and digits; one that is so stays, and the same one always becomes the same."""
    if len(identity) == chars and identity.isascii() and identity.isalnum():
        return identity
    return hashlib.sha512(identity.encode("utf-8", "replace")).hexdigest()[:chars]


def fitted_id(identity: str, most_chars: int | None) -> str:
    """An id that the API takes; the same one always becomes the same."""
    if most_chars is None or len(identity) <= most_chars:
        return identity
    tail = "_" + hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()[:12]
    return identity[: most_chars - len(tail)] + tail
