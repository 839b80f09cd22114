"""Decodes plain messages with the system prompts seen before, which begin most requests of a log and are long."""

from collections import OrderedDict

import msgspec

from traffic.prompts import SYSTEM_ROLES, PlainMessage, plain_messages

_BEGINNING = 256
_MAX_CHARS = 32_768
_MAX_KNOWN = 256
_MISSES = 2
"""A prompt is decoded this often before it is kept, also in the place of another one with the same beginning."""
_decode_items = msgspec.json.Decoder(list[msgspec.Raw]).decode


class _Known(msgspec.Struct, eq=False):
    """The last system prompt with one beginning."""

    message: PlainMessage | None = None
    raw: bytes = b""
    """The messages' JSON up to the bracket of the second."""
    misses: int = 0
    """Other prompts with this beginning in a row."""


_known: OrderedDict[bytes, _Known] = OrderedDict()
"""By the first bytes of the messages' JSON, the least recently used first."""


def read_plain_messages(raw: bytes) -> list[PlainMessage] | None:
    """The same messages as `plain_messages`. A known system prompt is compared, neither decoded nor hashed again."""
    begins = raw[:_BEGINNING]
    known = _known.get(begins)
    if known is not None and known.message is not None and raw.startswith(known.raw):
        known.misses = 0
        _known.move_to_end(begins)
        rest = plain_messages(b"[{" + raw[len(known.raw) :])
        return None if rest is None else [known.message, *rest]
    messages = plain_messages(raw)
    if messages and len(messages) > 1 and len(begins) == _BEGINNING:
        _remember(begins, raw, messages[0])
    return messages


def _remember(begins: bytes, raw: bytes, first: PlainMessage) -> None:
    if first.role not in SYSTEM_ROLES or len(first.content) > _MAX_CHARS:
        return
    known = _known.setdefault(begins, _Known())
    _known.move_to_end(begins)
    known.misses += 1
    if known.misses >= _MISSES:
        item = bytes(_decode_items(raw)[0])
        second = raw.index(b"{", raw.index(item) + len(item))
        known.message, known.raw, known.misses = first, raw[: second + 1], 0
    if len(_known) > _MAX_KNOWN:
        _known.popitem(last=False)
