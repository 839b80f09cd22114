"""Finds marks of gateways and tracers in texts that they truncated or redacted before logging.

Sources: LiteLLM's `(litellm_truncated ...)`, `redacted-by-litellm` and `default-message-value` (of a pass-through),
Langfuse's `<truncated due to size ...>`, Logfire's `[Scrubbed due to ...]`, Sentry's `[Filtered]`, and wordings that
other loggers share.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
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
    r"(?: message| messages| content| contents| prompt| response| text)?[\]>)}*_.\s]*|\*{3,}|█+|x{6,}|\[object \w+\]"
    r"|\[filtered\]|\[scrubbed due to [^\[\]\n]{1,80}\]|default-message-value",
    re.IGNORECASE,
)
_CACHED_CHARS = 32_768


def is_cut(text: str) -> bool:
    """Whether the text contains a truncation mark."""
    return _is_cut(text, text.lower())


def is_hidden(text: str) -> bool:
    """Whether the text consists of a redaction mark only."""
    return _is_hidden(text, text.lower())


# Substring search is much faster than patterns, and most texts contain none of the words.
def _is_cut(text: str, lowered: str) -> bool:
    is_hinted = "truncated" in lowered or "omitted" in lowered or "skipped" in lowered or "removed" in lowered
    return is_hinted and _CUT.search(text) is not None


def _is_hidden(text: str, lowered: str) -> bool:
    if ("-by" in lowered or "_by" in lowered) and _HIDDEN_BY.search(text) is not None:
        return True
    return _HIDDEN.fullmatch(text.strip()) is not None


def mark_in(texts: Sequence[str]) -> Mark | None:
    """The mark in the texts of a request and its answer; None without one."""
    are_short = max(map(len, texts), default=0) <= _CACHED_CHARS
    marks = set(map(_mark_again if are_short else _mark, texts))
    return "redacted" if "redacted" in marks else "truncated" if "truncated" in marks else None


def _mark(text: str) -> Mark | None:
    lowered = text.lower()
    return "redacted" if _is_hidden(text, lowered) else "truncated" if _is_cut(text, lowered) else None


# System prompts recur with every request of their call site.
_mark_again = lru_cache(maxsize=512)(_mark)
