"""National ids of people (social security, tax and identity numbers), by shape, name and check digits.

A number of nine to eleven digits passes a check one time in ten, so it counts only behind the name of its kind
("PESEL: 44051401359"). Shapes that hardly occur otherwise (a Brazilian CPF with its points, an Italian codice fiscale)
count anywhere. The checks are those of python-stdnum.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from ahocorasick_rs import AhoCorasick, Implementation

_GAP = "[ ./-]?"


class _Kind(NamedTuple):
    module: str
    """Module of python-stdnum that checks the number."""
    shape: str
    """`9` for a digit, `A` for a letter, `*` for either; a space for one separator or none. Bars between shapes."""
    names: str = ""
    """Names that must precede the number, between bars; without any it counts everywhere. In capitals: only so."""


_KINDS = (
    _Kind("ar.dni", "99 999 999", "dni argentino"),
    _Kind("at.vnr", "9999 999999", "svnr|sv-nummer|sozialversicherungsnummer|versicherungsnummer"),
    _Kind("au.tfn", "999 999 999", "TFN|tax file number"),
    _Kind("be.nn", "99 99 99 999 99", "rijksregister|rijksregisternummer|insz|registre national|numéro national"),
    _Kind("bg.egn", "9999999999", "егн|EGN"),
    _Kind("br.cpf", "999 999 999 99", "cpf"),
    _Kind("ca.sin", "999 999 999", "SIN|social insurance|NAS|assurance sociale"),
    _Kind("ch.ssn", "999 9999 9999 99", "ahv|avs|ahv-nummer|ahv-nr|numéro avs"),
    _Kind("cl.rut", "99 999 999 *|9 999 999 *", "rut|RUN"),
    _Kind("cz.rc", "999999 9999|999999 999", "rodné číslo|r č|rč|rodne cislo"),
    _Kind("de.idnr", "99 999 999 999", "steuer-id|steuerid|steuer-idnr|idnr|identifikationsnummer|tax id|steuernummer"),
    _Kind("dk.cpr", "999999 9999", "cpr|cpr-nummer|cpr-nr|personnummer"),
    _Kind("do.cedula", "999 9999999 9", "cédula|cedula"),
    _Kind("ec.ci", "999999999 9", "cédula|cedula"),
    _Kind("ee.ik", "99999999999", "isikukood"),
    _Kind("es.dni", "99 999 999 A", "dni|nif"),
    _Kind("es.nie", "A 9999999 A", "nie|nif"),
    _Kind("fi.hetu", "999999*****", "hetu|henkilötunnus|henkilötunnukseni"),
    _Kind("fr.nir", "9 99 99 ** 999 999 99", "nir|sécu|sécurité sociale|insee"),
    _Kind("gb.nhs", "999 999 9999", "nhs|nhs number|nhs no"),
    _Kind("gr.amka", "99999999999", "αμκα|amka"),
    _Kind("hr.oib", "99999999999", "oib"),
    _Kind("id.nik", "9999999999999999", "nik|ktp"),
    _Kind("ie.pps", "9999999A|9999999AA", "pps|ppsn|pps number"),
    _Kind("il.idnr", "999999999", "teudat zehut|תעודת זהות|ת ז"),
    _Kind("in_.aadhaar", "9999 9999 9999", "aadhaar|aadhar|adhaar|uidai|आधार"),
    _Kind("in_.pan", "AAAAA9999A", "PAN|pan card|pan number|permanent account number"),
    _Kind("is_.kennitala", "999999 9999", "kennitala"),
    _Kind("jp.in_", "9999 9999 9999", "マイナンバー|個人番号|my number"),
    _Kind("kr.rrn", "999999 9999999", "주민등록번호|주민번호|rrn"),
    _Kind("lt.asmens", "99999999999", "asmens kodas|a k"),
    _Kind("my.nric", "999999 99 9999", "nric|mykad|ic number|ic no|no kp"),
    _Kind("nl.bsn", "9999 99 999|999 999 999", "bsn|burgerservicenummer|sofinummer"),
    _Kind("no.fodselsnummer", "999999 99999", "fødselsnummer|personnummer|fnr"),
    _Kind("pk.cnic", "99999 9999999 9", "cnic"),
    _Kind("pl.pesel", "99999999999", "pesel"),
    _Kind("pt.nif", "999 999 999", "nif|contribuinte"),
    _Kind("ro.cnp", "9999999999999", "cnp|cod numeric personal"),
    _Kind("ru.inn", "999999999999", "инн|INN"),
    _Kind("se.personnummer", "999999 9999|99999999 9999", "personnummer|pnr|samordningsnummer"),
    _Kind("si.emso", "9999999999999", "emšo|emso|jmbg|jмбг|јмбг"),
    _Kind("sk.rc", "999999 9999|999999 999", "rodné číslo|rodne cislo"),
    _Kind("th.pin", "9 9999 99999 99 9", "เลขประจำตัวประชาชน|thai id"),
    _Kind("tr.tckimlik", "99999999999", "tc kimlik|t c kimlik|tckn|kimlik no|TC"),
    _Kind("ua.rntrc", "9999999999", "рнокпп|іпн"),
    _Kind("us.itin", "999 99 9999", "itin"),
    _Kind("us.ssn", "999 99 9999", "ssn|social security|social security number|my social"),
    _Kind("za.idnr", "9999999999999", "sa id|south african id|id number|rsa id"),
)
_DISTINCT = (
    ("br.cpf", ("999.999.999-99",)),
    ("be.nn", ("99.99.99-999.99",)),
    ("ch.ssn", ("999.9999.9999.99",)),
    ("cl.rut", ("99.999.999-9", "99.999.999-A", "9.999.999-9", "9.999.999-A")),
    ("cn.ric", ("999999999999999999", "99999999999999999A")),
    ("es.dni", ("99.999.999-A", "99.999.999A")),
    ("fi.hetu", ("999999-999A", "999999-9999", "999999A999A", "999999A9999")),
    ("fr.nir", ("9 99 99 99 999 999 99", "9 99 99 9A 999 999 99")),
    ("it.codicefiscale", ("AAAAAA99A99A999A",)),
    ("kr.rrn", ("999999-9999999",)),
    ("mx.curp", ("AAAA999999AAAAAA99", "AAAA999999AAAAAAA9")),
    ("se.personnummer", ("999999-9999", "99999999-9999", "999999+9999")),
    ("us.ssn", ("999-99-9999",)),
)
"""Shapes that count without a name: the check, or the way they are written, is enough."""

_RUNNING_NUMBER = re.compile(r"(?:20)?(?:1[5-9]|2\d)(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])-\d{4}")
"""A day from 2015 on and a number: an order or invoice, and only behind a name the id of a child."""
_NINO = r"[ABCEGHJ-PRSTW-Z][ABCEGHJ-NPRSTW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"
"""British National Insurance number; it has no check digit."""
_SHAPE_OF = {code: "9" if chr(code).isdigit() else "A" for code in range(128) if chr(code).isalnum()}
_START = re.compile(r"(?<![0-9A-Za-z])(?=[A-Za-z]{0,6}[ -]?\d)[0-9A-Za-z]")
_AFTER_NAME_CHARS = 32
_LATIN = r"[0-9A-Za-z\u00c0-\u024f]"


def _pattern(shape: str) -> str:
    return shape.replace(" ", _GAP).replace("9", r"\d").replace("A", "[A-Za-z]").replace("*", "[0-9A-Za-z+-]")


def _by_name() -> dict[str, list[_Kind]]:
    kinds: dict[str, list[_Kind]] = {}
    for kind in (*_KINDS, _Kind("", "", "NINO|national insurance|ni number|NI no")):
        for name in kind.names.split("|"):
            kinds.setdefault(name, []).append(kind)
    return kinds


_NAMES = _by_name()
_NAME_LIST = tuple(_NAMES)


@cache
def _search() -> AhoCorasick:
    return AhoCorasick([name.lower() for name in _NAME_LIST], implementation=Implementation.DFA, store_patterns=False)


_MAY_HOLD = re.compile(r"\d(?:[ ./-]?\d){4}|\d[A-Za-z]\d{3}|\d{4}[A-Za-z]")
"""Most kinds have five digits in a row, but for separators; the Italian and the Indian one have fewer."""


def may_hold(text: str) -> bool:
    return _MAY_HOLD.search(text) is not None


def national_ids(text: str) -> Iterator[tuple[int, int]]:
    """Spans of national ids, in time linear in the length of the text."""
    shape = text.translate(_SHAPE_OF)
    for module, forms in _DISTINCT:
        for form in forms:
            at = shape.find(form)
            while at >= 0:
                end = at + len(form)
                number = text[at:end]
                if _stands_alone(shape, at, end) and not _RUNNING_NUMBER.fullmatch(number) and _valid(module, number):
                    yield at, end
                at = shape.find(form, end)
    for name in {_NAME_LIST[n] for n, _, _ in _search().find_matches_as_indexes(text.lower(), overlapping=True)}:
        for named in _named(name).finditer(text):
            yield from _behind(text, named.end(), _NAMES[name])


def _stands_alone(shape: str, at: int, end: int) -> bool:
    """Whether a number is not a part of a longer one."""
    before, after = shape[max(0, at - 2) : at], shape[end : end + 2]
    return not (
        before.endswith(("9", "A", "9.", "9,", "9-", "9+")) or after.startswith(("9", "A", ".9", ",9", "-9", "+9"))
    )


def _behind(text: str, at: int, kinds: list[_Kind]) -> Iterator[tuple[int, int]]:
    """The id that begins with the first number behind a name, or with the letters in front of it."""
    for start in _START.finditer(text, at, at + _AFTER_NAME_CHARS):
        if any(char.isdigit() or char == "\n" for char in text[at : start.start()]):
            return
        for kind in kinds:
            match = _compiled(kind).match(text, start.start())
            if match is not None and (not kind.module or _valid(kind.module, match.group())):
                yield match.span()
                return


@lru_cache(maxsize=256)
def _named(name: str) -> re.Pattern[str]:
    wording = re.escape(name).replace(r"\ ", r"[. ]{1,2}")
    # Particles follow a name without a space where a script has no spaces.
    return re.compile(rf"(?<!{_LATIN}){wording}(?!{_LATIN})", 0 if name.isupper() else re.IGNORECASE)


@lru_cache(maxsize=64)
def _compiled(kind: _Kind) -> re.Pattern[str]:
    shapes = "|".join(map(_pattern, kind.shape.split("|"))) if kind.module else _NINO
    return re.compile(rf"(?:{shapes})(?![0-9A-Za-z])", re.IGNORECASE)


def _valid(module: str, number: str) -> bool:
    # Imported on the first number of its kind: most processes meet none.
    checker: Any = import_module(f"stdnum.{module}")
    # Signs between the parts have a meaning in some countries; other separators are not known in all.
    return bool(checker.is_valid(number) or checker.is_valid(re.sub("[ ./]", "", number)))
