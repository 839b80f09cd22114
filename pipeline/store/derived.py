"""Columns that are computed when a record enters the store, so that aggregation never touches the bodies."""

from typing import Any

from traffic.prompts import request_hash, system_hash
from traffic.record import Record, decode_messages, to_arrow_row


def arrow_row(record: Record) -> dict[str, Any]:
    """A row of `ARROW_SCHEMA`. Raises: msgspec.ValidationError if the messages are no chat messages."""
    messages = decode_messages(record.messages)
    # Where a log leaves the messages out, nothing says that two requests were the same.
    asker = record.call_site if messages else f"{record.call_site}\0{record.id}"
    return to_arrow_row(
        record,
        request_hash=request_hash(asker, record.messages, record.tools),
        system_hash=system_hash(messages),
        input_chars=sum(len(message.text) for message in messages),
    )
