"""Token usage of a response body: `traffic.usage`, with notes of unreadable counts."""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.values import Notes
from traffic.record import Usage
from traffic.usage import MAX_COUNT, count, usage_of, usual_usage


def read_usage(tree: Any, notes: Notes) -> Usage | None:
    """Usage from an object of any API; None without counts."""
    if type(tree) is not dict and not isinstance(tree, Mapping):
        if tree:
            notes.nulled.append("usage")
        return None
    if (usual := usual_usage(tree)) is not None:
        return usual if usual.input_total or usual.output else None
    for name, value in tree.items():
        if type(value) is int and 0 <= value <= MAX_COUNT:
            continue
        if isinstance(value, str | int | float) and "oken" in str(name) and count(value) is None:
            notes.nulled.append(f"usage.{name}")
    return usage_of(tree)
