"""Decodes plain messages with the system prompts seen before, which begin most requests of a log and are long."""

from typing import NamedTuple

import msgspec

from traffic.prompts import SYSTEM_ROLES, PlainMessage, plain_messages

_BEGINNING = 256
_MAX_CHARS = 32_768
_MAX_KNOWN = 256
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Known(NamedTuple):
    raw: bytes
    """The messages' JSON up to the bracket of the second."""
    message: PlainMessage


_known: dict[bytes, _Known | None] = {}
"""By the first bytes of the messages' JSON; None: seen once."""


def read_plain_messages(raw: bytes) -> list[PlainMessage] | None:
    """The same messages as `plain_messages`. A known system prompt is compared, neither decoded nor hashed again."""
    begins = raw[:_BEGINNING]
    known = _known.get(begins)
    if known is not None and raw.startswith(known.raw):
        rest = plain_messages(b"[{" + raw[len(known.raw) :])
        return None if rest is None else [known.message, *rest]
    messages = plain_messages(raw)
    if known is None and messages and len(messages) > 1 and len(begins) == _BEGINNING:
        _remember(begins, raw, messages[0])
    return messages


def _remember(begins: bytes, raw: bytes, first: PlainMessage) -> None:
    if first.role not in SYSTEM_ROLES or len(first.content) > _MAX_CHARS:
        return
    if begins in _known:
        written = bytes(_decode_items(raw)[0])
        second = raw.index(b"{", raw.index(written) + len(written))
        _known[begins] = _Known(raw[: second + 1], first)
        return
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known[begins] = None
