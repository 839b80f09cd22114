"""Where personal data stands in a text: presidio's recognisers, stricter or wider where logs need it.

    EMAIL    presidio's, but any domain with a letter-only last part counts (also reserved and internal ones)
    CARD     presidio's Luhn check on the number ranges of real card schemes
    IBAN     presidio's table of countries and its check digits, at any case and spacing
    IP       presidio's, without loopback addresses and version numbers
    PHONE    phonenumbers: +CC anywhere; the national way of writing of the configured regions
    PERSON   wordings in which people name themselves; a spaCy NER model as well where one is installed

presidio takes seconds to import: only what looks at texts loads this module.
"""

import ipaddress
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import phonenumbers
import spacy
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer, RecognizerResult
from presidio_analyzer.nlp_engine import NlpArtifacts
from presidio_analyzer.predefined_recognizers import (
    CreditCardRecognizer,
    EmailRecognizer,
    IbanRecognizer,
    IpRecognizer,
    PhoneRecognizer,
)
from presidio_analyzer.predefined_recognizers.generic.iban_patterns import regex_per_country

from pipeline.dataset import PersonalType
from pipeline.extract.config import PrivacyConfig
from pipeline.extract.privacy import names
from traffic.errors import NotFound

_FLAGS = re.DOTALL | re.MULTILINE
_CONTEXT_CHARS = 30
_NO_ARTIFACTS: Any = None
"""What an NLP engine would say of a text; none of the recognisers asks."""


class Found(NamedTuple):
    """One value in a text; `key` is the same for every way of writing the same value."""

    type: PersonalType
    start: int
    end: int
    key: str


class Email(EmailRecognizer):
    """Presidio asks a list of public suffixes, partly from the network; the form alone decides here."""

    def __init__(self) -> None:
        # presidio's \w would take the Japanese or Chinese words that touch an address for a part of it.
        atom = r"[0-9A-Za-z\u00c0-\u024f!#$%&'*+/=?^_`{|}~-]"
        label = r"[0-9A-Za-z\u00c0-\u024f]+(?:-+[0-9A-Za-z\u00c0-\u024f]+)*"
        first = r"(?<![0-9A-Za-z\u00c0-\u024f_])[0-9A-Za-z\u00c0-\u024f_+]"
        top = r"(?:[A-Za-z]{2,24}|xn--[0-9A-Za-z-]{2,20})(?![0-9A-Za-z_@])"
        regex = rf"{first}{atom}*(?:\.{atom}+)*@(?:{label}\.)+{top}"
        super().__init__(patterns=[Pattern("address", regex, 0.5)])

    def validate_result(self, pattern_text: str) -> bool | None:
        return None


class Card(CreditCardRecognizer):
    """Visa, Mastercard, Amex, Diners, Discover, JCB and UnionPay ranges: any 16 digits pass Luhn one time in ten."""

    def __init__(self) -> None:
        four = r"4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|6(?:011|5\d{2}|4[4-9]\d|2\d{2})|35(?:2[89]|[3-8]\d)"
        regexes = {
            "four groups": rf"(?:{four})(?:[ -]?\d{{4}}){{3}}",
            "Amex": r"3[47]\d{2}[ -]?\d{6}[ -]?\d{5}",
            "Diners": r"3(?:0[0-5]|[68]\d)\d[ -]?\d{6}[ -]?\d{4}",
        }
        # A year may stand before it, an expiry date behind: the first four groups are tried and the last.
        around = {
            "first": r"(?<![\d+-])(?<!(?<!\d)\d{{4}}[ .]){}(?!\d)",
            "last": r"(?<![\d+-]){}(?!\d|[ -]\d{{4}}(?!\d))",
        }
        super().__init__(
            patterns=[
                Pattern(f"{name}, {place}", form.format(f"(?:{r})"), 0.3)
                for name, r in regexes.items()
                for place, form in around.items()
            ]
        )


class Iban(IbanRecognizer):
    """As long as the country's numbers are, so that the words that follow are not taken for a part of it."""

    _START = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?=[ -]?[A-Za-z0-9]{2})")
    _FORMS: ClassVar = {
        country: re.compile(form.replace("[ ]?", "[ -]?"), re.I) for country, form in regex_per_country.items()
    }

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,
        regex_flags: int | None = None,
    ) -> list[RecognizerResult]:
        found = []
        for start in self._START.finditer(text):
            form = self._FORMS.get(start.group()[:2].upper())
            match = form.match(text, start.start()) if form else None
            if match is None:
                continue
            value = match.group().rstrip(" -")
            end = match.start() + len(value)
            if not text[end : end + 1].isalnum() and self.validate_result(value.upper()):
                found.append(_result(self, match.start(), end))
        return found


class Ip(IpRecognizer):
    # What else has four numbers with dots. An address that is named as one is an address all the same.
    _NUMBERED = re.compile(
        r"""(?ix)(?:\bv|\b(?:version\w*|release\w*|revision|rev|ver|build\w*|firmware\w*|fw|software|bios|kernel|driver
        |patch\w*|update\w*|upgrade\w*|sdk|section|chapter|clause|paragraph|kapitel|abschnitt|versión|versione|versão)\b)
        \.?(?:["'`*:=#()\s,-]|\b(?:is|was|to|of|from|on|number|no|nr|now|the|id|and|or|with|currently|running)\b)*$"""
    )

    def invalidate_result(self, pattern_text: str) -> bool:
        try:
            address = ipaddress.ip_interface(pattern_text.partition("%")[0]).ip
        except ValueError:
            return True
        # No machine of anybody in particular; and `::` stands in program text.
        return address.is_loopback or address.is_unspecified or address.is_multicast or len(pattern_text) < 7

    def analyze(
        self,
        text: str,
        entities: list[str],
        nlp_artifacts: NlpArtifacts | None = None,
        regex_flags: int | None = None,
    ) -> list[RecognizerResult]:
        found = super().analyze(text, entities, nlp_artifacts, regex_flags)
        return [r for r in found if not self._NUMBERED.search(text[max(0, r.start - _CONTEXT_CHARS) : r.start])]


class Phone(PhoneRecognizer):
    """Dates, amounts and order numbers are digits too: a national number needs its country's grouping or a word for it.

    Invented numbers (555-01xx) are not assigned, so behind a + whatever is possible counts.
    """

    _INTERNATIONAL = re.compile(
        r"(?<![0-9A-Za-z_+])(?:\+|(?<!(?<!\d)\d{4}[ -])00(?=[1-9]))"
        r"\s?\(?[1-9](?:[\s\u00a0().\-/\u2010-\u2013]{0,3}\d){6,14}"
    )
    _NATIONAL = re.compile(
        r"(?<!(?<!\d)\d{4}[ -])(?<![0-9A-Za-z_+#$\u20ac\u00a3.,:/-])"
        r"\(?\d(?:[ \u00a0().\-/\u2010-\u2013]{0,2}\d){7,13}(?![\d\w])"
    )
    _WORD = re.compile(
        r"(?i)(?:\b(?:tele)?phones?|\bcell|\bmobile|\btel|\bfax|\bcall(?:ing)?|\bring|\bdial|\bte?xt|\bsms|\bwhats\s?app"
        r"|\bmy number|\btelefon\w*|\bhandy\w*|\brufnummer|\bmobil\w*|\berreichbar|\bportable|\bt\u00e9l\w*"
        r"|\u96fb\u8a71\S{0,2}|\u643a\u5e2f\S{0,2})"
        # What numbers something else than a telephone.
        r"(?:(?!order|invoice|ticket|case|\bref|account|booking|\bids?\b|policy|parcel|bestell|rechnung|konto)[^\n\d]){0,20}$"
    )
    _DATE = re.compile(r"(?:19|20)\d\d([-./ ])\d\d?\1\d\d?|\d\d?([-./ ])\d\d?\2(?:19|20)\d\d")

    def __init__(self, regions: tuple[str, ...]) -> None:
        super().__init__(supported_regions=regions)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        return [_result(self, start, end) for start, end, _ in self.numbers(text)]

    def numbers(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Start, end and key of each number."""
        taken = 0
        for match in self._INTERNATIONAL.finditer(text):
            number = self._international(match.group())
            if number is not None:
                taken = match.start() + number[0]
                yield match.start(), taken, number[1]
        for match in self._NATIONAL.finditer(text):
            key = self._national(match.group(), text[max(0, match.start() - _CONTEXT_CHARS) : match.start()])
            if key is not None:
                yield match.start(), match.end(), key

    @staticmethod
    def _international(candidate: str) -> tuple[int, str] | None:
        """Its length and key; digits that follow in a group of their own are cut off while that makes it valid."""
        ends = [len(candidate), *(m.start() for m in reversed(list(re.finditer(r"[^\d+(]+", candidate))))]
        possible: tuple[int, str] | None = None
        for end in ends:
            text = candidate[:end].rstrip()
            number = _parsed("+" + text[2:] if text.startswith("00") else text, None)
            if number is None or not phonenumbers.is_possible_number(number):
                continue
            if phonenumbers.is_valid_number(number):
                return len(text), _phone_key(number)
            possible = possible or (len(text), _phone_key(number))
        return possible

    def _national(self, candidate: str, before: str) -> str | None:
        if self._DATE.search(candidate):
            return None
        named = self._WORD.search(before) is not None
        grouped = re.search(r"\d[^\d]+\d", candidate) is not None
        if not named and not grouped:
            return None
        leniency = phonenumbers.Leniency.VALID if named else phonenumbers.Leniency.STRICT_GROUPING
        for region in self.supported_regions:
            for match in phonenumbers.PhoneNumberMatcher(candidate, region, leniency=leniency):
                if match.end - match.start >= len(candidate.strip("() ")):
                    return _phone_key(match.number)
        return None


def _parsed(text: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        return phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None


def _phone_key(number: phonenumbers.PhoneNumber) -> str:
    return f"+{number.country_code} {phonenumbers.national_significant_number(number)}"


class Ner(EntityRecognizer):
    """Names by a spaCy pipeline."""

    def __init__(self, model: str) -> None:
        self._model = model
        super().__init__(supported_entities=["PERSON"], name="Ner")

    def load(self) -> None:
        self._nlp = spacy.load(self._model, exclude=["lemmatizer"])

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        people = (ent for ent in self._nlp(text).ents if ent.label_ in ("PERSON", "PER"))
        return [_result(self, ent.start_char, ent.end_char) for ent in people]


def _result(recogniser: EntityRecognizer, start: int, end: int) -> RecognizerResult:
    metadata_ = {RecognizerResult.RECOGNIZER_NAME_KEY: type(recogniser).__name__}
    return RecognizerResult(recogniser.supported_entities[0], start, end, 1.0, recognition_metadata=metadata_)


# Cheap tests by which most texts never reach a recogniser.
_MAY_HOLD = {
    "EMAIL": re.compile(r"@"),
    "IBAN": re.compile(r"[A-Za-z]{2}\d\d[ -]?[A-Za-z0-9]{2}"),
    "CARD": re.compile(r"\d(?:[ -]?\d){12}"),
    "IP": re.compile(r"\d\.\d{1,3}\.\d{1,3}\.\d|[0-9A-Fa-f:]:[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:]"),
    "PHONE": re.compile(r"\d(?:[\s\u00a0().\-/\u2010-\u2013]{0,3}\d){6}"),
    "PERSON": names.MAY_HOLD,
}


class Finder:
    """Looks for every type in a text. Raises: NotFound if the NER model that was asked for is not there."""

    def __init__(self, config: PrivacyConfig) -> None:
        self._phone = Phone(config.phone_regions)
        # In the order in which they claim a stretch of text: an IBAN has a card's and a phone's digits in it.
        self._patterns: tuple[tuple[PersonalType, EntityRecognizer], ...] = (
            ("EMAIL", Email()),
            ("IBAN", Iban()),
            ("CARD", Card()),
            ("IP", Ip()),
            ("PHONE", self._phone),
            ("PERSON", PatternRecognizer("PERSON", name="Names", patterns=_name_patterns(), global_regex_flags=_FLAGS)),
        )
        self.ner_model = ner_model(config)
        self._ner = Ner(self.ner_model) if self.ner_model else None

    def may_hold(self, text: str) -> bool:
        return self._ner is not None or any(test.search(text) for test in _MAY_HOLD.values())

    def find(self, text: str) -> tuple[Found, ...]:
        """Values in the order of the text; none overlaps another."""
        found: list[Found] = []
        for kind, recogniser in self._patterns:
            if _MAY_HOLD[kind].search(text):
                found += self._of(kind, recogniser, text, found)
        if self._ner is not None:
            found += self._of("PERSON", self._ner, text, found)
        return tuple(sorted(found, key=lambda each: each.start))

    def _of(self, kind: PersonalType, recogniser: EntityRecognizer, text: str, taken: list[Found]) -> list[Found]:
        if kind == "PHONE":
            spans = [Found(kind, start, end, key) for start, end, key in self._phone.numbers(text)]
        else:
            results = recogniser.analyze(text, [recogniser.supported_entities[0]], _NO_ARTIFACTS)
            spans = [Found(kind, r.start, r.end, key_of(kind, text[r.start : r.end])) for r in results]
        if kind == "PERSON":
            spans = [span for span in spans if names.is_name(text[span.start : span.end])]
        kept: list[Found] = []
        for span in sorted(spans, key=lambda each: (each.start, -each.end)):
            if all(span.end <= other.start or other.end <= span.start for other in (*taken, *kept)):
                kept.append(span)
        return kept


def key_of(kind: PersonalType, value: str) -> str:
    """What is the same for every way of writing a value."""
    if kind in ("CARD", "IBAN"):
        return re.sub(r"[ -]", "", value).upper()
    return " ".join(value.lower().split())


def _name_patterns() -> list[Pattern]:
    return [Pattern(name, regex, 0.6) for name, regex in names.PATTERNS.items()]


def ner_model(config: PrivacyConfig) -> str | None:
    """The spaCy pipeline to use, None without one. Raises: NotFound if the one asked for is not there."""
    model = config.ner_model
    if model == "none":
        return None
    if model is None:
        return min(spacy.util.get_installed_models(), default=None)
    if not spacy.util.is_package(model) and not (Path(model) / "meta.json").exists():
        raise NotFound(
            f"privacy.ner_model: no spaCy pipeline {model!r} is installed; install it beside fasttier, "
            "or leave the key out"
        )
    return model


def versions(model: str | None) -> dict[str, str]:
    """Packages whose recognisers run, and the NER model if there is one, by version."""
    used = {name: metadata.version(name) for name in ("presidio-analyzer", "phonenumbers")}
    if model is not None:
        folder = spacy.util.get_package_path(model) if spacy.util.is_package(model) else Path(model)
        meta = spacy.util.load_meta(folder / "meta.json")
        used |= {"spacy": metadata.version("spacy"), f"{meta['lang']}_{meta['name']}": meta["version"]}
    return used
