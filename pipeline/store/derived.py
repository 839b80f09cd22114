"""Columns derived from a record when it enters the store, so that aggregation never reads the bodies."""

from collections.abc import Sequence

from traffic import prompts
from traffic.prompts import PlainMessage, system_hash
from traffic.record import ArrowRow, Message, Record, decode_messages


def arrow_row(record: Record) -> ArrowRow:
    """A row of `ARROW_SCHEMA`. Raises: msgspec.ValidationError if the messages are not chat messages."""
    return read_row(record)[0]


def read_row(record: Record, plain: Sequence[PlainMessage] | None = None) -> tuple[ArrowRow, list[str]]:
    """A row of `ARROW_SCHEMA` and the texts of its messages. `plain`: the messages, if the caller has decoded them.

    Raises: as `arrow_row`.
    """
    if plain is None:
        plain = prompts.plain_messages(record.messages)
    messages: Sequence[Message | PlainMessage] = decode_messages(record.messages) if plain is None else plain
    # Without logged messages no two requests can be known to be equal: each gets a hash of its own id.
    scope = record.call_site if messages else f"{record.call_site}\0{record.id}"
    if plain is None:
        request_hash = prompts.request_hash(scope, prompts.canonical_messages(record.messages), record.tools)
    else:
        request_hash = prompts.plain_request_hash(scope, plain, record.tools)
    texts = [message.text for message in messages] if plain is None else [message.content for message in plain]
    row = ArrowRow(
        record,
        request_hash=request_hash,
        system_hash=system_hash(messages),
        input_chars=sum(map(len, texts)),
    )
    return row, texts
