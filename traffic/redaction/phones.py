"""Finds phone numbers in a text with Google's libphonenumber.

Dates, amounts and order numbers are digits too: a number in its national form needs the country's grouping or a word
such as "call" in front. Invented numbers (555-01xx) are not assigned, so behind a + every possible number counts.
"""

import re
from collections.abc import Iterator

import phonenumbers

_CONTEXT_CHARS = 30
_INTERNATIONAL = re.compile(
    r"(?<![0-9A-Za-z_+])(?:\+|(?<!(?<!\d)\d{4}[ -])00(?=[1-9]))"
    r"\s?\(?[1-9](?:[\s().\-/]{0,3}\d){6,14}"
)
_NATIONAL = re.compile(
    r"(?<!(?<!\d)\d{4}[ -])(?<![0-9A-Za-z_+#$\u20ac\u00a3.,/-])(?<!\d:)"
    r"\(?\d(?:[ ().\-/]{0,3}\d){7,13}(?![0-9A-Za-z_\u00c0-\u024f])"
)
_WORD = re.compile(
    r"(?i)(?:\b(?:tele)?phones?|\bcell|\bmobile|\btel|\bfax|\bcall(?:ing)?|\bring|\bdial|\bte?xt|\bsms|\bwhats\s?app"
    r"|\bmy number|\btelefon\w*|\bhandy\w*|\brufnummer|\bmobil\w*|\berreichbar|\bportable|\bt\u00e9l\w*"
    r"|\u96fb\u8a71\S{0,2}|\u643a\u5e2f\S{0,2})"
    # Words for numbers of another kind.
    r"(?:(?!order|invoice|ticket|case|\bref|account|booking|\bids?\b|policy|parcel|bestell|rechnung|konto)[^\n\d]){0,20}$"
)
_OTHER_NUMBER = re.compile(
    r"(?i)\b(?:part|item|article|model|serial|batch|lot|sku|order|invoice|ticket|case|ref(?:erence)?|tracking|artikel\w*"
    r"|bestell\w*|rechnungs?\w*|serien\w*)[ .-]{0,2}(?:no|nr|num(?:ber)?|nummer|id|code|#)[.:#]{0,2} ?$"
)
"""Directly in front of a number of another kind."""
_DATE = re.compile(r"(?:19|20)\d\d([-./ ])\d\d?\1\d\d?|\d\d?([-./ ])\d\d?\2(?:19|20)\d\d")


class TooManyValues(ValueError):
    """The text has too many candidates to examine during a request."""


def phone_numbers(
    text: str, regions: tuple[str, ...], max_candidates: int | None = None
) -> Iterator[tuple[int, int, str]]:
    """Start, end and key of each number; `regions`: countries whose national form counts.

    Raises: TooManyValues for more than `max_candidates` candidates: each takes up to a millisecond.
    """
    candidates = 0
    for match in _INTERNATIONAL.finditer(text):
        candidates = _checked_count(candidates, max_candidates)
        number = _international(match.group())
        if number is not None:
            yield match.start(), match.start() + number[0], number[1]
    for match in _NATIONAL.finditer(text):
        candidates = _checked_count(candidates, max_candidates)
        key = _national(match.group(), text[max(0, match.start() - _CONTEXT_CHARS) : match.start()], regions)
        if key is not None:
            yield match.start(), match.end(), key


def _checked_count(candidates: int, max_candidates: int | None) -> int:
    if max_candidates is not None and candidates >= max_candidates:
        raise TooManyValues
    return candidates + 1


def _international(candidate: str) -> tuple[int, str] | None:
    """Length and key; trailing groups of digits are cut off while that makes the number valid."""
    ends = [len(candidate), *(m.start() for m in reversed(list(re.finditer(r"[^\d+(]+", candidate))))]
    possible: tuple[int, str] | None = None
    for end in ends:
        text = candidate[:end].rstrip()
        number = _parsed("+" + text[2:] if text.startswith("00") else text)
        if number is None or not phonenumbers.is_possible_number(number):
            continue
        if phonenumbers.is_valid_number(number):
            return len(text), _key(number)
        possible = possible or (len(text), _key(number))
    return possible


def _national(candidate: str, before: str, regions: tuple[str, ...]) -> str | None:
    if _DATE.search(candidate) or _OTHER_NUMBER.search(before):
        return None
    named = _WORD.search(before) is not None
    grouped = re.search(r"\d[^\d]+\d", candidate) is not None
    if not named and not grouped:
        return None
    leniency = phonenumbers.Leniency.VALID if named else phonenumbers.Leniency.STRICT_GROUPING
    for region in regions:
        for match in phonenumbers.PhoneNumberMatcher(candidate, region, leniency=leniency):
            if match.end - match.start >= len(candidate.strip("() ")):
                return _key(match.number)
    return None


def _parsed(text: str) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        return None


def _key(number: phonenumbers.PhoneNumber) -> str:
    return f"+{number.country_code} {phonenumbers.national_significant_number(number)}"
