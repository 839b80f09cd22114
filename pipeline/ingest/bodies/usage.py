"""Token usage of an answer's body: `traffic.usage`, with a note of the counts that could not be read."""

from collections.abc import Mapping
from typing import Any

from pipeline.ingest.values import Notes
from traffic.record import Usage
from traffic.usage import MAX_COUNT, count, usage_of, usual_usage


def read_usage(tree: Any, notes: Notes) -> Usage | None:
    """From a usage object of any API; None where it holds no counts."""
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
