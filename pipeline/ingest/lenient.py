"""JSON that strict decoders refuse although its meaning is clear: NaN, Infinity, lone surrogates."""

import json
import math
import re
from typing import Any

import msgspec

MAX_DEPTH = 200
"""Objects and lists inside each other; no log is deeper, and decoders recurse."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def mend(line: bytes) -> bytes:
    """The same JSON with null for NaN and Infinity and U+FFFD for lone surrogates.

    Raises: ValueError if it is no JSON at all, RecursionError if it is too deep.
    """
    return msgspec.json.encode(_clean(json.loads(line.decode("utf-8", "surrogatepass")), 0))


def is_mendable(line: bytes) -> bool:
    """Whether the line holds anything that `mend` changes."""
    return any(mark in line for mark in (b"NaN", b"Infinity", b"\\ud", b"\\uD"))


def too_deep(line: bytes) -> bool:
    """Whether brackets outside strings nest deeper than `MAX_DEPTH`."""
    depth = 0
    for bracket in re.findall(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', line):
        if bracket in (b"[", b"{"):
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif bracket in (b"]", b"}"):
            depth -= 1
    return False


def _clean(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", key): _clean(item, depth + 1) for key, item in value.items()}
    return value
