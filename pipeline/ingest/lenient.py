"""Repairs lines that strict JSON decoders refuse although their meaning is clear.

NaN, lone surrogates, byte order marks, a logger's prefix before the object, JSON inside a JSON string, Python literals.
"""

import ast
import json
import math
import re
from typing import Any

import msgspec

MAX_DEPTH = 200
"""Maximum nesting of objects and lists; decoders recurse, and no known log is deeper."""
MAX_LITERAL_CHARS = 1 << 20

_BOM = b"\xef\xbb\xbf"
_BLANK = b" \t\r\n,"
_COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
_SURROGATE = re.compile("[\ud800-\udfff]")


def repaired(line: bytes) -> bytes | None:
    """The object or list in the line as strict JSON; None without a complete one, or if it is too deep.

    NaN and Infinity become null, lone surrogates U+FFFD.
    """
    if b"\x1b" in line:
        line = _COLOUR.sub(b"", line)
    body = line.removeprefix(_BOM).strip(_BLANK)
    if body.startswith(b'"'):
        body = _unquoted(body)
    elif not body.startswith((b"{", b"[{")):
        # A logger's prefix; nothing may follow the object.
        start = body.find(b"{")
        if start < 0:
            return None
        body = body[start:]
    try:
        tree = _tree(body)
        return msgspec.json.encode(_clean(tree, 0)) if isinstance(tree, dict | list) and tree else None
    except (ValueError, RecursionError):
        return None


def literal(text: str) -> Any:
    """Parse a Python literal of an object or list. Raises: ValueError."""
    if len(text) > MAX_LITERAL_CHARS or not text.startswith(("{", "[", "(")):
        raise ValueError("no literal")
    try:
        return ast.literal_eval(text)
    except (SyntaxError, MemoryError, RecursionError, TypeError) as error:
        raise ValueError("no literal") from error


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


def is_deep(tree: Any) -> bool:
    """Whether a decoded value nests deeper than `MAX_DEPTH`."""
    level = [tree]
    for _ in range(MAX_DEPTH):
        nested = [node for node in level if isinstance(node, dict | list)]
        if not nested:
            return False
        level = [inner for node in nested for inner in (node.values() if isinstance(node, dict) else node)]
    return any(isinstance(node, dict | list) for node in level)


def _unquoted(body: bytes) -> bytes:
    try:
        return msgspec.json.decode(body, type=str).strip().encode()
    except msgspec.DecodeError:
        return b""


def _tree(body: bytes) -> Any:
    text = body.decode("utf-8", "surrogatepass")
    try:
        # Not strict: databases export raw line ends inside strings.
        return json.loads(text, strict=False)
    except ValueError:
        if "'" not in text:
            raise
        return literal(text)


def _clean(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list | tuple | set):
        return [_clean(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {_SURROGATE.sub("\ufffd", str(key)): _clean(item, depth + 1) for key, item in value.items()}
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value
