"""Columns that are computed when a record enters the store, so that aggregation never touches the bodies."""

from collections.abc import Sequence

from traffic.prompts import PlainMessage, read_messages, request_hash, system_hash
from traffic.record import ArrowRow, Message, Record


def arrow_row(record: Record) -> ArrowRow:
    """A row of `ARROW_SCHEMA`. Raises: msgspec.ValidationError if the messages are no chat messages."""
    return read_row(record)[0]


def read_row(record: Record) -> tuple[ArrowRow, Sequence[Message | PlainMessage]]:
    """A row of `ARROW_SCHEMA`, and the messages that were decoded for it. Raises: as `arrow_row`."""
    messages, canonical = read_messages(record.messages)
    # Where a log leaves the messages out, nothing says that two requests were the same.
    asker = record.call_site if messages else f"{record.call_site}\0{record.id}"
    row = ArrowRow(
        record,
        request_hash=request_hash(asker, canonical, record.tools),
        system_hash=system_hash(messages),
        input_chars=sum(len(message.text) for message in messages),
    )
    return row, messages
