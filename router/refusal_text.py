"""The error of a refused request, without what it repeats of the request. Pure.

RefusalText("Unknown parameter: 'store'.", sent=body).search(pattern)
"""

import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from traffic.loose_json import json_or, tree

_WORD = re.compile(r"[\w.$-]*")
_ECHO_CHARS = 16
"""Beginning of a text by which its repetition in an error is recognised, also if that is cut."""
_SHORTEST_ECHO = 4


class RefusalText:
    """The error of a refused request."""

    def __init__(self, text: str, param: Any = None, *, unsupported: bool = False, sent: bytes = b"") -> None:
        """`param`: the parameter that the error names in a field of its own; `unsupported`: another model may accept
        it; `sent`: the body of the request."""
        self.text = text
        self.param = param if isinstance(param, str) and param != "None" else ""
        self.unsupported = unsupported
        self.sent = sent

    def search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """The first match in `own_text` that is not the request's own text."""
        if pattern.search(self.text) is None:
            return None
        matches = pattern.finditer(self.own_text)
        return next((match for match in matches if match[0].lower() not in self._request_text), None)

    def names(self, *parts: str) -> bool:
        """Whether the error names a parameter with one of these parts in its field."""
        return any(part in self.param for part in parts)

    @property
    def names_a_field_of_the_request(self) -> bool:
        """Whether the field for the parameter has one; some servers write other words there."""
        return self.param.partition(".")[0].partition("[")[0] in tree(json_or(self.sent))

    @cached_property
    def own_text(self) -> str:
        """The text without repetitions of the request's texts; single words, which may be names of parameters, stay."""
        text = self.text
        for echo in dict.fromkeys(self._strings):
            # A shorter one is a mark or a word of the error itself. A longer one is longer than what replaces it.
            if len(echo) >= _SHORTEST_ECHO and echo[:_ECHO_CHARS] in text and not _WORD.fullmatch(echo):
                text = _without_echo(text, echo)
        return text

    @cached_property
    def _strings(self) -> list[str]:
        # As in `router.wire.errors.masked`.
        return [" ".join(string.split()) for string in _strings(json_or(self.sent))]

    @cached_property
    def _request_text(self) -> str:
        return "\n".join(self._strings).lower()


def _without_echo(text: str, echo: str) -> str:
    head, *parts = text.split(echo[:_ECHO_CHARS])
    kept = [head]
    for part in parts:
        rest = echo[_ECHO_CHARS:]
        same = next((n for n, (a, b) in enumerate(zip(part, rest, strict=False)) if a != b), min(len(part), len(rest)))
        kept.append(part[same:])
    return "''".join(kept)


def _strings(value: Any) -> Iterator[str]:
    """Texts and keys at any depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            yield from value
            waiting += value.values()
