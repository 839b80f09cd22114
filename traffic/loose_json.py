"""Tolerant access to JSON from other systems: decoded without a schema, and read field by field.

A field of an unexpected type counts as absent: an unused field must not make an answer unusable.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any

import msgspec

Tree = dict[str, Any]

_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode
_decode_first = json.JSONDecoder(strict=False).raw_decode


_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


class NotJson(ValueError):
    """The data cannot be read as JSON."""


def loads(data: bytes) -> Any:
    """Parse JSON; accepts invalid UTF-8, lone surrogates, raw line breaks in strings, NaN and huge numbers.

    Raises: NotJson.
    """
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return _without_surrogates(json.loads(data.decode("utf-8-sig", "replace"), strict=False))
    except ValueError:
        raise NotJson("no JSON") from None


def first_object(text: str, start: int = 0) -> tuple[Tree, int] | None:
    """The JSON object that begins at a position, and the position after it; None if there is none."""
    try:
        value, end = _decode_first(text, start)
        return (_without_surrogates(value), end) if isinstance(value, dict) else None
    except (ValueError, RecursionError):
        return None


def json_or(text: str | bytes, otherwise: Any = None) -> Any:
    """The parsed text; `otherwise` if it is not JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return otherwise


def read_json(data: bytes) -> tuple[Any, bytes]:
    """Parse JSON like `loads`; also return bytes for a client: the original ones if valid, else encoded again.

    Raises: NotJson.
    """
    try:
        return _decode(data), data
    except (msgspec.DecodeError, UnicodeDecodeError):
        tree = loads(data)
        return tree, encode(tree)


def without_half_characters(data: bytes) -> bytes:
    """Replace escaped lone surrogates by U+FFFD: clients truncate texts between the two halves of a character."""
    return _ESCAPES.sub(lambda match: b"\\ufffd" if match[1] else match[0], data)


def dumped(value: Any) -> str:
    """Compact JSON."""
    return encode(value).decode()


def text(value: Any) -> str:
    """The value if it is a string, else an empty string."""
    return value if isinstance(value, str) else ""


def tree(value: Any) -> Tree:
    """The value if it is an object, else an empty object."""
    return value if isinstance(value, dict) else {}


def trees(value: Any) -> list[Tree]:
    """The objects of a list; empty for other values."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def distinct(items: Iterable[Tree]) -> list[Tree]:
    """The objects in their order, without repetitions."""
    return list({msgspec.json.encode(item, order="sorted"): item for item in items}.values())


def index(value: Any) -> int | None:
    """A position in any spelling of servers (1, 1.0, "1"); None for other values."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:9])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**31:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_object(data: str) -> bool:
    """Whether the text is a complete JSON object, so that further text cannot belong to it."""
    return data.rstrip().endswith("}") and isinstance(json_or(data), dict)


def _without_surrogates(value: Any) -> Any:
    """Replace lone surrogates and non-finite numbers, which cannot be encoded again."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
