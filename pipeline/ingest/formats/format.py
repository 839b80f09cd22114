"""What a log format is: how it is recognised and how one line becomes a record."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from pipeline.ingest.mapping import Feedback, TagMapping
from traffic.record import Record


class Reading(NamedTuple):
    """What one line says."""

    record: Record
    feedback: Feedback | None = None
    consumed_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    """Unset: not tracked; None: tracked and not seen yet."""


class Unreadable(ValueError):
    """A line that is JSON but no record; `reason` is a short code, the message says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


LineReader = Callable[[bytes], Reading]
"""One line, UTF-8, to a reading. Raises: msgspec.DecodeError, msgspec.ValidationError, Unreadable, ValueError."""


class Format(NamedTuple):
    """One entry of the registry."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    """Whether a decoded line looks like this format."""
    reader: Callable[[TagMapping], LineReader]


class RowType(NamedTuple):
    """A struct that decodes only what is needed of a line, and how to get at the places of tags in it."""

    decode: Callable[[bytes], Any]
    tag_fields: dict[str, str]
    """Top-level key of the log -> attribute."""

    def tagged(self, row: Any) -> dict[str, Any]:
        """The part of a line that a `TagReader` looks at."""
        return {key: getattr(row, attribute) for key, attribute in self.tag_fields.items()}


def row_type(fields: Iterable[tuple[Any, ...]], roots: frozenset[str]) -> RowType:
    """`fields` (name, type[, default]) and whatever else the mapping's `roots` need, decoded untyped."""
    fields = list(fields)
    known = {field[0] for field in fields}
    # A log's key need not be a Python name.
    added = {root: f"tag_{n}" for n, root in enumerate(sorted(roots - known))}
    row = msgspec.defstruct(
        "Row",
        [*fields, *((name, Any, None) for name in added.values())],
        kw_only=True,
        rename={name: root for root, name in added.items()},
    )
    return RowType(msgspec.json.Decoder(row).decode, {root: root for root in sorted(roots & known)} | added)
