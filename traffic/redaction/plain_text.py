"""Plain form of a text in which recognisers search: ASCII digits, spaces and hyphens, no invisible characters.

People paste numbers with no-break spaces, type them full-width or in the digits of their script, and copy addresses
with zero-width characters in them. Spans in the plain form are mapped back to the text.
"""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe63"
# Spaces except line breaks, digits other than 0-9, hyphens, full-width forms.
_REPLACED = re.compile(rf"[^\S\n\t\v\f\x1c-\x1f\x85\u2028\u2029 ]|[^\D0-9]|[{_HYPHENS}\uff01-\uff5e]")
# Composed and removed characters shift positions; the other replacements keep them.
_SHIFTING = re.compile(
    "[A-Za-z\u00c0-\u024f\u0370-\u052f][\u0300-\u036f]+"
    "|[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]+"
)


class PlainText(NamedTuple):
    """The plain form, and the positions where the text has more characters."""

    text: str
    positions: Sequence[int] = ()
    """Twice the index of the plain character that follows; one less if the one before it contains them."""
    extra: Sequence[int] = (0,)
    """Number of such characters before the first position, and after each."""

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text, without invisible characters around it."""
        before_start = self.extra[bisect_right(self.positions, 2 * start)]
        return start + before_start, end + self.extra[bisect_left(self.positions, 2 * end)]


def plain_text(text: str) -> PlainText:
    if text.isascii() and "\r" not in text:
        return PlainText(text)
    text = _REPLACED.sub(_plain, text)
    parts, positions, extra, at = [], list[int](), [0], 0
    for match in _SHIFTING.finditer(text):
        composed = unicodedata.normalize("NFC", match[0]) if match[0][0].isalpha() else ""
        parts += [text[at : match.start()], composed]
        positions.append(2 * (match.start() - extra[-1] + len(composed)) - bool(composed))
        extra.append(extra[-1] + len(match[0]) - len(composed))
        at = match.end()
    return PlainText("".join([*parts, text[at:]]) if parts else text, positions, extra)


def _plain(character: re.Match[str]) -> str:
    value = character[0]
    if value.isspace():
        return " "
    if value in _HYPHENS:
        return "-"
    return chr(ord(value) - 0xFEE0) if "\uff01" <= value <= "\uff5e" else str(unicodedata.decimal(value))
