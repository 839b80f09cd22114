"""Prompts of a call site: what stays the same in every request, and what varies.

A `Template` is the fixed text around one slot per message. It is found in the log by `extract`,
stored in `adapter.yaml`, and matched against live requests: a request that matches none does not go
to the adapter, because the adapter never saw its like.
"""

from typing import Annotated, Any

import msgspec


class MessagePattern(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One message of a template: `prefix + slot + suffix`, or the prefix alone when `slot` is false."""

    role: str
    prefix: str = ""
    suffix: str = ""
    slot: bool = False


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a call site sends (`original`) and what the adapter is asked instead (`pruned`).

    Both have the same number of slots; the n-th slot of one is the n-th of the other.
    """

    id: Annotated[str, msgspec.Meta(min_length=8, max_length=8)]
    """First 8 hex digits of the SHA-256 of `original`."""
    original: tuple[MessagePattern, ...]
    pruned: tuple[MessagePattern, ...]


Messages = list[dict[str, Any]]
"""Chat messages as JSON objects with at least `role` and `content`."""
