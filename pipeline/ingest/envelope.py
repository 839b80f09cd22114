"""Rows inside other rows: `{"data": [...]}`, `{"hits": {"hits": [{"_source": {...}}]}}`, `{"log": "{...}"}`.

A path of keys leads to the application's rows; of a list on the path every item is followed. Rows with dotted keys
(`{"request.body": ...}`) are nested first. A row inherits the consent to training of the enclosing objects, and
their time if it has none.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeGuard

import msgspec

from pipeline.ingest import consent, lenient
from pipeline.ingest.consent_names import snake
from pipeline.ingest.mapping import INHERITED_TAGS
from pipeline.ingest.typed_values import untyped
from pipeline.ingest.values import opened_value

Path = tuple[str, ...]
FLAT = "."
"""Path step that expands dotted keys into nested objects."""
TYPED = "$"
"""Path step that unwraps the typed values of a database export."""
CAPITALS = "^"
"""Path step that writes keys with capitals or spaces in the usual way."""

_MAX_DEPTH = 4
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def find(tree: Mapping[str, Any], recognises: Callable[[Mapping[str, Any]], bool]) -> Path | None:
    """The shortest path to a recognised object, or None."""
    level = list(_shapes((), tree))
    for path, shape in level[1:]:
        if recognises(shape):
            return path
    for _ in range(_MAX_DEPTH):
        deeper: list[tuple[Path, Mapping[str, Any]]] = []
        for path, node in level:
            for key, value in node.items():
                for shape_path, shape in _shapes((*path, str(key)), _opened(value)):
                    if recognises(shape):
                        return shape_path
                    deeper.append((shape_path, shape))
        level = deeper
    return None


def keys_of(tree: Mapping[str, Any], depth: int = 0) -> tuple[Any, ...] | None:
    """The keys of an object and of the objects in which `find` searches; None if a text in it may hold an object."""
    inside: list[Any] = []
    for value in tree.values():
        if isinstance(value, str):
            if value.lstrip()[:1] in _OPENERS or value.rstrip()[-1:] == "}":
                return None
            continue
        item = next(filter(_is_object, value), None) if isinstance(value, list) else value
        if _is_object(item) and depth < _MAX_DEPTH:
            if (keys := keys_of(item, depth + 1)) is None:
                return None
            inside.append(keys)
        else:
            inside.append(None)
    return (*tree, *inside)


_OPENERS = ("{", "[", '"')


def _is_object(value: Any) -> TypeGuard[Mapping[str, Any]]:
    return isinstance(value, dict)


def _shapes(path: Path, value: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """An object (or the first of a list): unchanged, with dotted keys nested, and with types unwrapped."""
    if isinstance(value, list):
        value = next((item for item in value if isinstance(item, Mapping)), None)
    if isinstance(value, Mapping):
        yield path, value
        for step, reshaped in _RESHAPED.items():
            if (shape := reshaped(value)) is not None:
                yield (*path, step), shape


def _opened(value: Any) -> Any:
    """The object or list in a text, also after a prefix (a container's line), unless it is too deep; else the value."""
    if not isinstance(value, str):
        return value
    inside = opened_value(value)
    if isinstance(inside, str) and inside.rstrip().endswith("}"):
        repaired = lenient.repaired(inside.encode())
        inside = inside if repaired is None else msgspec.json.decode(repaired)
    return value if lenient.is_deep(inside) else inside


def list_path(tree: Mapping[str, Any], depth: int = 0) -> Path | None:
    """The path to the longest list of objects, or None."""
    best: tuple[int, Path] | None = None
    for key, value in tree.items():
        if isinstance(value, list) and value and all(map(_is_row, value)):
            if best is None or len(value) > best[0]:
                best = (len(value), (str(key),))
        elif (
            isinstance(value, Mapping)
            and depth < lenient.MAX_DEPTH
            and (inner := list_path(value, depth + 1)) is not None
        ):
            best = best or (1, (str(key), *inner))
    return None if best is None else best[1]


def _is_row(item: Any) -> bool:
    """Whether an item of a list may be a row: an object that is no message, choice or tool of a body."""
    return isinstance(item, Mapping) and not any(keys <= item.keys() for keys in _PARTS_OF_BODIES)


_PARTS_OF_BODIES: tuple[set[str], ...] = (
    *({"role", "content"}, {"role", "parts"}, {"role", "tool_calls"}),
    *({"index", "finish_reason"}, {"type", "function"}),
)


_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.(?:[A-Za-z_]\w*|\d+))*\.[A-Za-z_]\w*")


def unflattened(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object with keys `a.b` expanded to `b` inside `a`, also in lists of objects; None without dotted keys."""
    if not any(_DOTTED.fullmatch(str(key)) for key in tree):
        return None
    nested: dict[str, Any] = {}
    for key, value in tree.items():
        *parents, last = str(key).split(".") if _DOTTED.fullmatch(str(key)) else [str(key)]
        node = nested
        for parent in parents:
            child = node.get(parent)
            if not isinstance(child, dict):
                child = node[parent] = {}
            node = child
        known = node.get(last)
        if isinstance(value, list):
            node[last] = [(isinstance(item, dict) and unflattened(item)) or item for item in value]
        else:
            node[last] = {**known, **value} if isinstance(known, dict) and isinstance(value, Mapping) else value
    return nested


def uncapitalised(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """The object with keys such as `RequestBody` as `requestBody`, `Request Body` as `request_body`.

    None unless all keys begin with a capital.
    """
    if not tree or not all(_CAPITALISED.match(str(key)) for key in tree):
        return None
    if any(" " in key for key in tree):
        return {snake(key): value for key, value in tree.items()}
    return {key[:1].lower() + key[1:]: value for key, value in tree.items()}


_CAPITALISED = re.compile(r"[A-Z](?:[a-z]|$)")
_RESHAPED: dict[str, Callable[[Mapping[str, Any]], dict[str, Any] | None]] = {
    FLAT: unflattened,
    TYPED: untyped,
    CAPITALS: uncapitalised,
}


_TIMES = (
    *("@timestamp", "timestamp", "time", "ts", "started_at", "start_time", "startTime", "created_at", "createdAt"),
    *("created", "requested_at", "requestedAt", "request_created_at", "request_timestamp", "datetime", "date"),
    *("startTimeUnixNano", "start_time_unix_nano", "request_time", "timestamp_ms", "processed_time", "event_time"),
)
_INHERITED_TIMES = ("@timestamp", "timestamp", "time", "ts", "started_at", "created_at")
_INHERITED = (*_INHERITED_TIMES, "durationMs", "correlationId")


def inherited_time(row: Mapping[str, Any]) -> Any:
    """The time of an enclosing object, for a row without one; None if it has none either."""
    return next((row[key] for key in _INHERITED_TIMES if row.get(key) is not None), None)


def _completed(data: bytes, around: Mapping[str, msgspec.Raw]) -> bytes:
    """The row with what it inherits of its enclosing objects: consent, and times unless it has a time."""
    if not around or not data.startswith(b"{"):
        return data
    fields = _decode_object(data)
    if any(key in fields for key in _TIMES):
        if INHERITED_TAGS not in around:
            return data
        around = {INHERITED_TAGS: around[INHERITED_TAGS]}
    return msgspec.json.encode({**around, **fields})


_MAX_TAGS_BYTES = 65_536


def _consent_around(fields: Mapping[str, msgspec.Raw], inside: str) -> dict[str, msgspec.Raw]:
    """Consent to training beside the object `inside`, as tags that a row inherits."""
    tags = {
        key: msgspec.json.decode(raw)
        for key, raw in fields.items()
        if key != inside and len(data := bytes(raw)) < _MAX_TAGS_BYTES and consent.may_say(key + data.decode())
    }
    word = consent.strictest(consent.answers_of_row(tags))
    return {} if word is None else {INHERITED_TAGS: msgspec.Raw(msgspec.json.encode({"training_consent": word}))}


def rows_at(row: bytes, path: Path, around: Mapping[str, msgspec.Raw] | None = None) -> Iterator[bytes]:
    """The rows at a path; `around`: fields that a row inherits.

    Raises: msgspec.DecodeError, KeyError if the path does not exist.
    """
    data = row.strip()
    if data.startswith(b'"'):
        data = msgspec.json.decode(data, type=str).strip().encode()
        if data[:1] not in (b"{", b"[", b'"'):
            data = lenient.repaired(data) or data
    if data.startswith(b"["):
        for item in _decode_list(data):
            yield from rows_at(bytes(item), path, around)
    elif not path:
        yield _completed(data, around or {})
    elif path[0] in _RESHAPED:
        tree = msgspec.json.decode(data, type=dict[str, Any])
        yield from rows_at(msgspec.json.encode(_RESHAPED[path[0]](tree) or tree), path[1:], around)
    else:
        fields = _decode_object(data)
        if path[0] not in fields:
            raise KeyError(path[0])
        inherited = {key: fields[key] for key in _INHERITED if key in fields and _is_scalar(fields[key])}
        inherited |= _consent_around({**fields, **_tags_in(around)}, path[0])
        yield from rows_at(bytes(fields[path[0]]), path[1:], {**(around or {}), **inherited})


def _tags_in(around: Mapping[str, msgspec.Raw] | None) -> dict[str, msgspec.Raw]:
    return {INHERITED_TAGS: around[INHERITED_TAGS]} if around and INHERITED_TAGS in around else {}


def _is_scalar(raw: msgspec.Raw) -> bool:
    return bytes(raw)[:1] not in (b"{", b"[", b"n")
