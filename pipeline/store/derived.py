"""Columns that are computed when a record enters the store, so that aggregation never touches the bodies."""

from collections.abc import Sequence

from traffic import prompts
from traffic.prompts import PlainMessage, system_hash
from traffic.record import ArrowRow, Message, Record, decode_messages


def arrow_row(record: Record) -> ArrowRow:
    """A row of `ARROW_SCHEMA`. Raises: msgspec.ValidationError if the messages are no chat messages."""
    return read_row(record)[0]


def read_row(
    record: Record, plain: Sequence[PlainMessage] | None = None
) -> tuple[ArrowRow, Sequence[Message | PlainMessage]]:
    """A row of `ARROW_SCHEMA`, and the messages that were decoded for it; `plain`: those, if they are decoded already.

    Raises: as `arrow_row`.
    """
    if plain is None:
        plain = prompts.plain_messages(record.messages)
    messages: Sequence[Message | PlainMessage] = decode_messages(record.messages) if plain is None else plain
    # Where a log leaves the messages out, nothing says that two requests were the same.
    asker = record.call_site if messages else f"{record.call_site}\0{record.id}"
    if plain is None:
        request_hash = prompts.request_hash(asker, prompts.canonical_messages(record.messages), record.tools)
    else:
        request_hash = prompts.plain_request_hash(asker, plain, record.tools)
    row = ArrowRow(
        record,
        request_hash=request_hash,
        system_hash=system_hash(messages),
        input_chars=sum([len(message.text) for message in messages]),
    )
    return row, messages
