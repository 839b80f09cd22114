"""Rows whose contents a gateway cut or hid in its log: the answer belongs to a text that is not there."""

from collections.abc import Sequence

from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.errors import InputError
from traffic.gateway_marks import is_cut, is_hidden


def whole(rows: Sequence[Row], name: str, ledger: Ledger) -> list[Row]:
    """The rows whose contents are whole. Raises: InputError if the log of the call site is mostly without contents."""
    kept = ledger.split(
        rows,
        lambda row: not any(map(is_hidden, _texts(row))),
        "redacted_log",
        "the gateway logged a mark instead of the contents",
    )
    hidden = len(rows) - len(kept)
    if 2 * hidden > len(rows):
        shown = next(text for row in rows for text in _texts(row) if is_hidden(text))
        raise InputError(
            f"{name}: {hidden} of {len(rows)} answered requests are logged without their contents "
            f"({shown[:40]!r} stands in their place): switch on message logging in the gateway "
            "(LiteLLM: turn_off_message_logging: false) and ingest the log that it writes from then on"
        )
    return ledger.split(
        kept,
        lambda row: not any(map(is_cut, _texts(row))),
        "truncated_log",
        "the gateway shortened the prompt or the answer in its log",
    )


def _texts(row: Row) -> list[str]:
    contents = (message["content"] for message in row.messages)
    return [row.answer, *(content for content in contents if isinstance(content, str))]
