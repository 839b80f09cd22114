"""Rows inside other rows: `{"data": [...]}`, `{"hits": {"hits": [{"_source": {...}}]}}`, `{"log": "{...}"}`.

A path of keys leads to the application's own rows; a list on the way stands for each of its items.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from pipeline.ingest.values import opened_value

Path = tuple[str, ...]

_MAX_DEPTH = 4
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def find(tree: Mapping[str, Any], recognises: Callable[[Mapping[str, Any]], bool]) -> Path | None:
    """The shortest path to an object that is recognised; None if there is none."""
    level: list[tuple[Path, Any]] = [((), tree)]
    for _ in range(_MAX_DEPTH):
        deeper: list[tuple[Path, Any]] = []
        for path, node in level:
            for key, value in node.items():
                inside = opened_value(value)
                if isinstance(inside, list):
                    inside = next((item for item in inside if isinstance(item, Mapping)), None)
                if isinstance(inside, Mapping):
                    if recognises(inside):
                        return (*path, str(key))
                    deeper.append(((*path, str(key)), inside))
        level = deeper
    return None


def list_path(tree: Mapping[str, Any]) -> Path | None:
    """The path to the longest list of objects; None if there is none."""
    best: tuple[int, Path] | None = None
    for key, value in tree.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            if best is None or len(value) > best[0]:
                best = (len(value), (str(key),))
        elif isinstance(value, Mapping) and (inner := list_path(value)) is not None:
            best = best or (1, (str(key), *inner))
    return None if best is None else best[1]


def rows_at(row: bytes, path: Path) -> Iterator[bytes]:
    """The rows that a path leads to. Raises: msgspec.DecodeError, KeyError when it leads nowhere."""
    data = row.strip()
    if data.startswith(b'"'):
        data = msgspec.json.decode(data, type=str).strip().encode()
    if data.startswith(b"["):
        for item in _decode_list(data):
            yield from rows_at(bytes(item), path)
    elif not path:
        yield data
    else:
        fields = _decode_object(data)
        if path[0] not in fields:
            raise KeyError(path[0])
        yield from rows_at(bytes(fields[path[0]]), path[1:])
