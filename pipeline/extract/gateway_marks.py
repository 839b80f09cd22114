"""Marks of a gateway that cut or hid contents in its log: the answer belongs to a text that is not there."""

import re
from collections.abc import Sequence

from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row
from traffic.errors import InputError

_CUT = re.compile(
    r"""litellm_truncated
    | <\s*truncated[^<>\n]{0,80}>
    | [\[(]\s*(?:\.{3}|…)?\s*(?:content\s+|text\s+|output\s+)?truncated\b[^\[\]()\n]{0,80}[\])]
    | (?:\.{3}|…)\s*truncated\b
    | [\[(<]\s*\+?[\d,.]+\s*(?:more\s+)?(?:characters|chars|bytes|tokens)\s+(?:were\s+)?
      (?:truncated|omitted|skipped|removed)\s*[\])>]
    """,
    re.VERBOSE | re.IGNORECASE,
)
_HIDDEN_BY = re.compile(r"\b(?:redacted|masked|hidden|removed|scrubbed)[-_]by[-_]\w+", re.IGNORECASE)
_HIDDEN = re.compile(
    r"[\[<({*_\s]*(?:message |messages |content |contents |prompt |response |text |data )?"
    r"(?:redacted|masked|hidden|scrubbed|withheld|sanitized|anonymized)"
    r"(?: message| messages| content| contents| prompt| response| text)?[\]>)}*_.\s]*|\*{3,}|█+|x{6,}",
    re.IGNORECASE,
)


def is_cut(text: str) -> bool:
    """Does the text hold the mark of a gateway that shortened it?"""
    return _CUT.search(text) is not None


def is_hidden(text: str) -> bool:
    """Is the text nothing but the mark of a gateway that hid it?"""
    return _HIDDEN_BY.search(text) is not None or _HIDDEN.fullmatch(text.strip()) is not None


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
