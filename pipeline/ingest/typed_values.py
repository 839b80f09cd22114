"""Unwraps typed values in database exports: MongoDB's extended JSON, DynamoDB's attribute values, times as objects."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Any


def untyped(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object without MongoDB's or DynamoDB's type wrappers; None if it has none."""
    if tree and all(_dynamo_type(value) for value in tree.values()):
        return {key: _plain_dynamo(value) for key, value in tree.items()}
    plain = _plain_mongo(tree)
    return plain if isinstance(plain, dict) and plain != tree else None


def time_of(tree: Mapping[str, Any]) -> Any:
    """The time in an object of MongoDB, Firestore (`_seconds`) or protobuf (`seconds`); None without one."""
    plain = _plain_mongo(tree)
    if not isinstance(plain, Mapping):
        return plain
    return plain.get("_seconds", plain.get("seconds")) if len(plain) <= 2 else None


_MONGO: dict[str, Callable[[Any], Any]] = {
    "$oid": str,
    "$date": lambda date: date,
    "$numberInt": int,
    "$numberLong": int,
    "$numberDouble": float,
    "$numberDecimal": float,
}


def _plain_mongo(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain_mongo(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1 and (converter := _MONGO.get(next(iter(value)))) is not None:
        content = _plain_mongo(next(iter(value.values())))
        with contextlib.suppress(ValueError, TypeError):
            return converter(content)
    return {key: _plain_mongo(item) for key, item in value.items()}


_DYNAMO: dict[str, type] = {"S": str, "N": str, "BOOL": bool, "NULL": bool, "M": dict, "L": list, "SS": list}


def _dynamo_type(value: Any) -> str | None:
    kind = next(iter(value)) if isinstance(value, Mapping) and len(value) == 1 else None
    return kind if kind in _DYNAMO and isinstance(value[kind], _DYNAMO[kind]) else None


def _plain_dynamo(value: Any) -> Any:
    content = value[kind] if (kind := _dynamo_type(value)) else value
    if kind == "M":
        return {key: _plain_dynamo(item) for key, item in content.items()}
    if kind == "L":
        return [_plain_dynamo(item) for item in content]
    if kind == "N":
        return float(content) if "." in content or "e" in content.casefold() else int(content)
    return None if kind == "NULL" else content
