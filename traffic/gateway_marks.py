"""Marks that gateways and tracers leave in a text that they cut or hid: such a text is not what was sent.

Sources: LiteLLM's `(litellm_truncated ...)` and `redacted-by-litellm`, Langfuse's `<truncated due to size ...>`, and
the wording that other loggers share.
"""

import re
from collections.abc import Iterable
from typing import Literal

Mark = Literal["truncated", "redacted"]

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
_HINTS = (
    "truncated", "omitted", "skipped", "removed", "redacted", "masked", "hidden", "scrubbed", "withheld", "sanitized",
    "anonymized", "***", "█", "xxxxxx",
)  # fmt: skip


def is_cut(text: str) -> bool:
    """Whether the text holds the mark of a gateway that shortened it."""
    return _CUT.search(text) is not None


def is_hidden(text: str) -> bool:
    """Whether the text is nothing but the mark of a gateway that hid it."""
    return _HIDDEN_BY.search(text) is not None or _HIDDEN.fullmatch(text.strip()) is not None


def may_hold_mark(text: str) -> bool:
    """A quick look: False only where neither `is_cut` nor `is_hidden` holds of any part of the text."""
    lowered = text.lower()
    return any(map(lowered.__contains__, _HINTS))


def mark_in(texts: Iterable[str]) -> Mark | None:
    """The mark in the texts of a request and its answer; None if all look whole."""
    listed = list(texts)
    if any(map(is_hidden, listed)):
        return "redacted"
    return "truncated" if any(map(is_cut, listed)) else None
