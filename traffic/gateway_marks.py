"""Marks that gateways and tracers leave in a text that they cut or blanked: such a text is not what was sent.

Sources: LiteLLM's `(litellm_truncated ...)` and `redacted-by-litellm`, Langfuse's `<truncated due to size ...>`, and
the wording that other loggers share.
"""

import re
from typing import Literal

Mark = Literal["truncated", "redacted"]

TRUNCATED = (
    r"litellm_truncated|<truncated due to size|\[truncated[^\]\n]{0,60}\]|\.\.\. ?\(?truncated[^)\n]{0,40}\)|"
    r"\(truncated,? \d+|<\.\.\.truncated|\d+ (?:chars|characters|bytes) (?:truncated|skipped|omitted)"
)
"""A part of the text is missing."""
REDACTED = r"redacted[-_]by[-_][a-z]+|\[redacted(?: by [^\]\n]{1,40})?\]|<redacted>|\*{2,}redacted\*{2,}|__redacted__"
"""The text was blanked as a whole (a single value inside a longer text is privacy, not a blank)."""

_TRUNCATED = re.compile(TRUNCATED, re.IGNORECASE)
_REDACTED = re.compile(rf'"content": ?"\s*(?:{REDACTED})\s*"|"text": ?"\s*(?:{REDACTED})\s*"', re.IGNORECASE)
_BLANK = re.compile(rf"\s*(?:{REDACTED})\s*", re.IGNORECASE)
_HINTS = ("runcated", "RUNCATED", "edacted", "EDACTED", "skipped", "omitted")


def mark_in(messages_json: str, answer: str | None) -> Mark | None:
    """The mark in a request's messages (as JSON text) or its answer; None if both look whole."""
    texts = (messages_json, answer or "")
    if not any(hint in text for text in texts for hint in _HINTS):
        return None
    if _REDACTED.search(messages_json) or (answer and _BLANK.fullmatch(answer)):
        return "redacted"
    return "truncated" if any(_TRUNCATED.search(text) for text in texts) else None
