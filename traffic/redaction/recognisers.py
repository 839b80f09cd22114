"""Recognises personal data in a text by patterns and check digits.

    EMAIL    an address whose domain ends in letters (reserved and internal domains too)
    CARD     numbers in the ranges of card schemes that pass the Luhn check
    IBAN     country, length and check digits, at any case and spacing
    IP       addresses of hosts, except loopback addresses and version numbers
    PHONE    +CC anywhere; the national form of the configured regions
    NATIONAL_ID   social security, tax and identity numbers of people
    PERSON   wordings in which people name themselves

The router runs this on live requests: no NLP stack, and time linear in the length of the text.
"""

import bisect
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from importlib import metadata
from operator import attrgetter
from typing import NamedTuple

import regex

from traffic.redaction import PHONE_REGIONS, PersonalType, names
from traffic.redaction import national_ids as ids
from traffic.redaction.phones import phone_numbers
from traffic.redaction.plain_text import plain_text

_CONTEXT_CHARS = 30


class Finding(NamedTuple):
    """One value in a text; all spellings of a value have the same `key`."""

    type: PersonalType
    start: int
    end: int
    key: str


Span = tuple[int, int]

# Latin, Greek and Cyrillic, not \w: Japanese or Chinese words next to an address are not part of it. At most 64
# characters before the @ (RFC 5321); without a bound a long run of such characters would take quadratic time.
_LETTERS = r"A-Za-z\u00c0-\u024f\u0370-\u052f"
# Without / ? = & of RFC 5322: in a URL they separate the address from what is before it.
_ATOM = rf"[0-9{_LETTERS}!#$%'*+^_`{{|}}~-]"
_LABEL = rf"[0-9{_LETTERS}]+(?:-+[0-9{_LETTERS}]+)*"
_AT = r"(?:@|%40| ?[(\[](?:at|AT)[)\]] ?)"
_DOT = r"(?:\.| ?[(\[](?:dot|DOT)[)\]] ?)"
_IMAGE = r"(?i:png|jpe?g|gif|webp|svg)(?![0-9A-Za-z])"
"""logo@2x.png is a file; these are no domains."""
_EMAIL = re.compile(
    rf"(?<![0-9{_LETTERS}_])[0-9{_LETTERS}_+](?:\.?{_ATOM}){{0,63}}{_AT}"
    rf"(?:{_LABEL}{_DOT})+(?:(?!{_IMAGE})[{_LETTERS}]{{2,24}}|xn--[0-9A-Za-z-]{{2,20}})(?![0-9{_LETTERS}@])"
)
# An address in another script: what is not separated from it by a space or a mark cannot be told from it.
_OTHER = rf"[[\p{{L}}\p{{M}}]--[{_LETTERS}]]"
_EMAIL_IN_OTHER_SCRIPT = regex.compile(
    rf"(?V1)(?<![^\s<>()\[\]{{}},;:：，、。'\"])[\p{{L}}\p{{N}}][\p{{L}}\p{{M}}\p{{N}}_.+\-]{{0,63}}"
    rf"(?:(?<={_OTHER})@|@(?={_OTHER}))(?:[\p{{L}}\p{{M}}\p{{N}}\-]++\.){{1,8}}[\p{{L}}\p{{M}}]{{2,24}}+(?![\w\p{{M}}])"
)


def emails(text: str) -> Iterator[Span]:
    for form in (_EMAIL, _EMAIL_IN_OTHER_SCRIPT) if not text.isascii() else (_EMAIL,):
        yield from (match.span() for match in form.finditer(text))


_GAP = "[ ._-]{0,3}"
# Visa, Mastercard, Discover and UnionPay, JCB: 16 digits. Any 16 digits pass Luhn one time in ten.
_FOUR = (
    r"(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6(?:011|5\d{2}|4[4-9]\d|2\d{2})|35(?:2[89]|[3-8]\d))"
    rf"(?:{_GAP}\d{{4}}){{3}}"
)
_UNIONPAY = rf"62\d{{2}}(?:{_GAP}\d{{4}}){{3}}{_GAP}\d{{1,3}}"
_AMEX = rf"3[47]\d{{2}}{_GAP}\d{{6}}{_GAP}\d{{5}}"
_DINERS = rf"3(?:0[0-5]|[68]\d)\d{_GAP}\d{{6}}{_GAP}\d{{4}}"
# A year may precede a number and an expiry date may follow it: both ends of a run of groups are tried.
_CARDS = [
    re.compile(around.format(f"(?:{form})"))
    for form in (_FOUR, _UNIONPAY, _AMEX, _DINERS)
    for around in (r"(?<![\d+-])(?<!(?<!\d)\d{{4}}[ .]){}(?!\d)", r"(?<![\d+-]){}(?!\d|[ -]\d{{4}}(?!\d))")
]


def cards(text: str) -> Iterator[Span]:
    for form in _CARDS:
        yield from (match.span() for match in form.finditer(text) if _luhn(_without_gaps(match.group())))


def _without_gaps(number: str) -> str:
    return re.sub("[ ._-]", "", number)


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * 2 for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(n - 9 if n > 9 else n for n in doubled)) % 10 == 0


_IBAN_START = re.compile(rf"(?<![A-Za-z0-9])([A-Za-z]{{2}})\d{{2}}(?={_GAP}[A-Za-z0-9]{{2}})")
_IBAN_CHARS = {
    entry[:2]: int(entry[2:])
    for entry in """AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
    DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27
    JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU28 NI28 NL18 NO15 OM23
    PK24 PL28 PS25 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29
    VA22 VG24 XK20 YE30""".split()
}
"""Characters of a country's numbers, by the IBAN registry of SWIFT."""


def ibans(text: str) -> Iterator[Span]:
    """Spans of IBANs, with the length of the country's numbers so that following words are excluded."""
    for start in _IBAN_START.finditer(text):
        chars = _IBAN_CHARS.get(start.group(1).upper())
        match = _iban_of(chars).match(text, start.start()) if chars is not None else None
        if match is not None and _iban_check(_without_gaps(match.group()).upper()):
            yield match.span()


@lru_cache(maxsize=64)
def _iban_of(chars: int) -> re.Pattern[str]:
    return re.compile(rf"[A-Za-z]{{2}}\d{{2}}(?:{_GAP}[A-Za-z0-9]){{{chars - 4}}}(?![A-Za-z0-9])")


def _iban_check(iban: str) -> bool:
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97 == 1


_IPV4 = r"\b(?:\d{1,3}\.){3}\d{1,3}(?:/(?:[0-2]?\d|3[0-2]))?\b"
_IPV6 = (
    r"(?<![\w:])(?=[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:)[0-9A-Fa-f:]{2,39}(?:(?<=:)\d{1,3}(?:\.\d{1,3}){3})?"
    r"(?:%[0-9a-zA-Z]+)?(?:/(?:12[0-8]|1[01]\d|[1-9]?\d))?(?![\w:]|\.\d)"
)
_IPS = re.compile(f"{_IPV6}|{_IPV4}")
# Version and section numbers also consist of four numbers with dots.
_VERSION_BEFORE = re.compile(
    r"""(?ix)(?:\bv|\b(?:version\w*|release\w*|revision|rev|ver|build\w*|firmware\w*|fw|software|bios|kernel|driver
    |patch\w*|update\w*|upgrade\w*|sdk|section|chapter|clause|paragraph|kapitel|abschnitt|versión|versione|versão)\b)
    \.?(?:["'`*:=#()\s,-]|\b(?:is|was|to|of|from|on|number|no|nr|now|the|id|and|or|with|currently|running)\b)*$"""
)


def ip_addresses(text: str) -> Iterator[Span]:
    for match in _IPS.finditer(text):
        start, end = match.span()
        if _is_host(match.group()) and not _VERSION_BEFORE.search(text[max(0, start - _CONTEXT_CHARS) : start]):
            yield start, end


def _is_host(candidate: str) -> bool:
    try:
        address = ipaddress.ip_interface(candidate.partition("%")[0]).ip
    except ValueError:
        return False
    # Not addresses of a particular machine; `::` also occurs in program text.
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or len(candidate) < 7)


_WORDINGS = {name: regex.compile(wording, regex.DOTALL | regex.MULTILINE) for name, wording in names.PATTERNS.items()}


def people(text: str) -> Iterator[Span]:
    for name in names.possible(text):
        yield from (match.span() for match in _WORDINGS[name].finditer(text) if names.is_name(match.group()))


# Cheap pre-filters: most texts skip the recognisers.
_MAY_HOLD: dict[PersonalType, Callable[[str], object]] = {
    "EMAIL": re.compile(_AT).search,
    "IBAN": re.compile(rf"[A-Za-z]{{2}}\d\d{_GAP}[A-Za-z0-9]{{2}}").search,
    "CARD": re.compile(rf"\d(?:{_GAP}\d){{12}}").search,
    "IP": re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f:]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]").search,
    "PHONE": re.compile(r"\d(?:[\s().\-/]{0,3}\d){6}").search,
    "NATIONAL_ID": ids.may_hold,
    "PERSON": names.may_hold,
}
# In order of precedence: an IBAN also contains the digits of a card or a phone number.
_BEFORE_PHONES: tuple[tuple[PersonalType, Callable[[str], Iterable[Span]]], ...] = (
    ("EMAIL", emails),
    ("IBAN", ibans),
    ("CARD", cards),
    ("IP", ip_addresses),
    ("NATIONAL_ID", ids.national_ids),
)


def may_hold(text: str) -> bool:
    """Fast pre-filter; False only if `find` returns nothing."""
    plain = plain_text(text).text
    return any(test(plain) for test in _MAY_HOLD.values())


def find(
    text: str, phone_regions: tuple[str, ...] = PHONE_REGIONS, *, most_phones: int | None = None
) -> tuple[Finding, ...]:
    """Non-overlapping values in text order.

    Raises: TooManyValues for more than `most_phones` candidates for phone numbers.
    """
    plain = plain_text(text)
    values: list[Finding] = []
    for kind, recogniser in _BEFORE_PHONES:
        if _MAY_HOLD[kind](plain.text):
            values += without_overlaps(_keyed(kind, plain.text, recogniser(plain.text)), values)
    if _MAY_HOLD["PHONE"](plain.text):
        numbers = phone_numbers(_masked(plain.text, values), phone_regions, most_phones)
        values += without_overlaps((Finding("PHONE", *number) for number in numbers), values)
    if _MAY_HOLD["PERSON"](plain.text):
        values += without_overlaps(_keyed("PERSON", plain.text, people(plain.text)), values)
    values.sort(key=_start)
    return tuple(Finding(value.type, *plain.span(value.start, value.end), value.key) for value in values)


def _masked(text: str, values: Iterable[Finding]) -> str:
    """The text with values blanked, so that their digits do not extend a number beside them."""
    parts, at = [], 0
    for value in sorted(values, key=_start):
        parts += [text[at : value.start], "\0" * (value.end - value.start)]
        at = value.end
    return "".join([*parts, text[at:]])


def _keyed(kind: PersonalType, text: str, spans: Iterable[Span]) -> Iterator[Finding]:
    return (Finding(kind, start, end, key_of(kind, text[start:end])) for start, end in spans)


_start = attrgetter("start")


def without_overlaps(spans: Iterable[Finding], taken: Iterable[Finding]) -> list[Finding]:
    """Spans that overlap neither `taken` nor an earlier or longer span."""
    kept: list[Finding] = []
    others = sorted(taken, key=_start)
    for span in sorted(spans, key=lambda value: (value.start, -value.end)):
        at = bisect.bisect_right(others, span.start, key=_start)
        free = at == len(others) or span.end <= others[at].start
        if free and (at == 0 or others[at - 1].end <= span.start) and (not kept or kept[-1].end <= span.start):
            kept.append(span)
    return kept


def key_of(kind: PersonalType, value: str) -> str:
    """Key shared by all spellings of a value (for phone numbers see `phones`)."""
    if kind in ("CARD", "IBAN", "NATIONAL_ID"):
        return re.sub("[ ./_-]", "", value).upper()
    return " ".join(value.lower().split())


def versions() -> dict[str, str]:
    """Versions of the packages that the recognisers use."""
    return {name: metadata.version(name) for name in ("phonenumbers", "python-stdnum", "regex")}
