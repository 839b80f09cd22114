"""Reading JSON that somebody else wrote: decoded without a schema, and looked at field by field.

A field of an unexpected type is absent, not an error: what is not needed must not cost an answer.
"""

import json
import math
import re
from typing import Any

import msgspec

Tree = dict[str, Any]

_decode = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(\\u[dD][89a-fA-F][0-9a-fA-F]{2})|\\.", re.DOTALL
)


class NotJson(ValueError):
    """The data is no JSON in any reading."""


def loads(data: bytes) -> Any:
    """A JSON text; bytes that are no UTF-8, lone surrogates, NaN and huge numbers are taken. Raises: NotJson."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return _without_surrogates(json.loads(data.decode("utf-8-sig", "replace")))
    except ValueError:
        raise NotJson("no JSON") from None


def json_or(text: str | bytes, otherwise: Any = None) -> Any:
    """The value of a text that is JSON; `otherwise` for any other text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return otherwise


def read_json(data: bytes) -> tuple[Any, bytes]:
    """A JSON text as `loads` reads it, and the bytes for a client: those that came, where any JSON reader takes them.

    Raises: NotJson.
    """
    try:
        return _decode(data), data
    except (msgspec.DecodeError, UnicodeDecodeError):
        tree = loads(data)
        return tree, encode(tree)


def without_half_characters(data: bytes) -> bytes:
    """A JSON text with U+FFFD for escapes that are one half of a character: clients cut texts between the two."""
    return _ESCAPES.sub(lambda found: b"\\ufffd" if found[1] else found[0], data)


def dumped(value: Any) -> str:
    """Compact JSON."""
    return encode(value).decode()


def text(value: Any) -> str:
    """The value where it is a text, else an empty one."""
    return value if isinstance(value, str) else ""


def tree(value: Any) -> Tree:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def trees(value: Any) -> list[Tree]:
    """The objects of a list; anything else is an empty list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def index(value: Any) -> int | None:
    """A position as servers write it (1, 1.0, "1"); None where it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        return int(value[:9])
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**31:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def is_object(data: str) -> bool:
    """Whether the text is a whole JSON object: more text behind it cannot belong to it."""
    return data.rstrip().endswith("}") and isinstance(json_or(data), dict)


def _without_surrogates(value: Any) -> Any:
    """Half characters and numbers that are none, which cannot be encoded again, replaced."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
