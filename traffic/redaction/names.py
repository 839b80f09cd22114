"""Wordings in which people state their name, as patterns of the `regex` package (\\p{Lu}, \\K).

They recognise a name by its context, without a list of names or a model: introductions, titles, signatures and named
fields. `caseless_names.py` has those of scripts without upper case.
"""

import re
from functools import cache

from ahocorasick_rs import AhoCorasick, Implementation

from traffic.redaction import caseless_names

# Possessive or bounded: a long run would take quadratic time.
_WORD = r"\p{Lu}(?:['\u2019]\p{Lu})?\p{Ll}++(?:[-'\u2019]?\p{Lu}\p{Ll}++)*+"
_BETWEEN = r"(?: (?:\p{Lu}\.|van|von|der|den|de|da|dos|di|del|la|le|bin|al))*+"
_INITIALS = r"(?:\p{Lu}\. ?)++"
_FULL = rf"(?:{_INITIALS}{_WORD}|{_WORD}{_BETWEEN} {_WORD})(?:{_BETWEEN} {_WORD}){{0,2}}"
_ANY = rf"(?:{_INITIALS})?{_WORD}(?:{_BETWEEN} {_WORD}){{0,3}}"
_TITLE = r"(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herr|Frau|Mme|Sr|Sra)\b\.?"
_TITLES = rf"(?:{_TITLE} ){{0,3}}"
_TITLED = (
    r"(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herrn?|Frau|Mme|Mlle|Monsieur|Madame|(?i:señor(?:a|ita)?|signor(?:a|e|ina)?)"
    r"|Sra|Srta|Sig\.(?:ra|na)?"
    r"|(?<=(?i:\b(?:el|al|del|la|o|ao|do|da|hola|estimado|buen[oa]s \w{4,6}|prezado|bom dia),? ))(?i:sra?))"
)
"""Titles that hardly stand in front of anything but a name; `Sr.` is also a senior engineer."""
# \K excludes the text before it from the match.
_TITLED_FULL, _TITLED_ANY = rf"{_TITLES}\K{_FULL}", rf"{_TITLES}\K{_ANY}"

_INTRODUCED = "|".join(
    (
        r"my (?:full |first |last |sur)?name(?: is|'s|\u2019s|:)|i(?: am|['\u2019]m) called|i go by|you can call me",
        r"mein name ist|ich hei(?:\u00df|ss)e|mijn naam is|(?:jag|jeg) (?:heter|hedder)|nimeni on",
        r"je m['\u2019]appelle|mon nom est|mi nombre es|me llamo|mi chiamo|meu nome é|me chamo|mă numesc",
        r"mit navn er|navnet mitt er|mitt namn är|ik heet|my naam is|em dic|nama saya|mano vardas|minu nimi on",
        r"(?:mənim )?adım|ismim|зовем се|a nevem|mani sauc",
        r"nazywam się|mam na imię|jmenuji se|volám sa|zovem se|меня зовут|мене звати|казвам се",
        r"benim adım|με λένε|tên tôi là|tôi tên là",
    )
)
_I_AM = r"i(?: am|['\u2019]m)"
_I_AM_ANY = rf"{_I_AM}|ich bin|je suis|jestem|jag är|jeg er|ik ben|soy|sou|sono"
_IN_ANY_CASE = (
    r"my (?:full )?name(?: is|'s|\u2019s)|mein name ist|ich hei(?:\u00df|ss)e|je m['\u2019]appelle|me llamo|mi chiamo"
    r"|meu nome é|me chamo|ik heet"
)
_LOOSE_WORD = r"\p{L}[\p{L}'\u2019-]{1,30}+"
_GREETING = r"hi|hello|hey|hallo|guten tag|good (?:morning|afternoon|evening)|bonjour|hola"
_SIGN_OFF = (
    r"(?:many |kind |best |warm )?(?:thanks|regards|wishes)(?: (?:and|&) (?:best |kind )?regards| in advance)?"
    r"|thank you|best|cheers|(?:yours )?(?:sincerely|truly|faithfully)|sincerely yours|(?:mit )?(?:freundlich\w+"
    r"|viele\w*|liebe\w*|beste\w*|herzlich\w*) gr(?:\u00fc|ue?)(?:\u00df|ss)e?n?|mfg|cordialement|bien \u00e0 vous"
    r"|saludos(?: cordiales)?|atentamente|(?:cordiali |distinti )?saluti|met vriendelijke groet\w*"
)
_SIGNED = rf"(?i:(?:^|[.!?] ?)(?:{_SIGN_OFF}))[,.!]?[ \t]*\n\s*(?:[-\u2014~*] ?)?"
_FIELD = (
    r"(?:full|customer|contact|card ?holder|account ?holder|patient|guest|passenger|client|employee|billing|recipient)"
    r"['\u2019]?s?[ _-]?name|(?:first|last|given|family|middle|maiden|sur)[ _-]?name|prénom|nom de famille|apellidos?"
    r"|nombre completo|cognome|sobrenome|nome completo|imię|nazwisko|achternaam|voornaam|förnamn|efternamn|фамилия"
    r"|card ?holder|account ?holder|attn|attention|(?:vor- und )?nachname|vorname"
)
_CONTACT = r"e-?mail|phone|tel|mobile|address|adresse|date of birth|dob|birth|geburt|age|alter|gender|iban|ssn"
_LINE_END = r"(?=[ \t]*(?:[,.]?[ \t]*$|\n|\|))"

_RUSSIAN_SURNAME = r"\p{Lu}\p{Ll}{1,20}(?:(?:[оеё]в|[иы]н)(?:а|у|ым|ой)?|ск(?:ий|ого|ому|им|ая|ой|ую)|енко|ук)"
PATTERNS = {
    "introduction": rf"(?i:(?<!\w)(?:{_INTRODUCED}))[ :,]+{_TITLED_ANY}",
    "introduction in any case": (
        rf"(?i:(?<!\w)(?:{_IN_ANY_CASE})) \K{_LOOSE_WORD}(?: {_LOOSE_WORD}){{0,2}}?"
        r"(?=[,.!?;]|[ \t]*$| (?i:and|und|et|y|e|en|from|i|we|here)\b)"
    ),
    "I am": (
        rf"(?:^|[.!?,;] )(?i:{_I_AM_ANY}) {_TITLED_FULL}"
        r"(?=[,.!?]|[ \t]*$| (?:from|of|with|and|calling|writing|aus|von|de|und|et|y)\b)"
    ),
    "titled": rf"(?<![\p{{L}}.]){_TITLED}\b\.? (?:{_TITLE} ){{0,3}}\K{_ANY}",
    "name is": rf"(?i:(?:^|[,;.(:]) ?(?:and )?(?:the )?name is) {_TITLED_FULL}",
    "ask for": rf"(?i:\bask for) {_TITLED_FULL}",
    "here": rf"(?:^|(?i:\b(?:{_GREETING}))[,.!]? ){_TITLED_FULL}(?= here\b)",
    "last name": rf"(?i:\b(?:first|last|family|sur)[ -]?name(?: is|:)?) {_TITLED_ANY}",
    "this is": (
        rf"(?i:\b(?:{_GREETING})[,.!]? (?:this is|it (?:is|['\u2019]s)|{_I_AM}|hier ist|ich bin)) {_TITLED_FULL}"
    ),
    "sign-off": rf"{_SIGNED}{_TITLED_ANY}{_LINE_END}",
    "sign-off with a degree or a role": rf"{_SIGNED}{_TITLED_FULL}(?=,[^\n]{{1,60}}$)",
    "signature": rf"^-- ?\n\s*{_TITLED_FULL}{_LINE_END}",
    "salutation": rf"^(?i:dear|sehr geehrte[rs]?) {_TITLED_FULL}(?=[,:])",
    "field": rf"(?i:(?:^|[\n{{,;|(\"'>])[ \t]*[\"']?(?:{_FIELD})[\"']?)[ \t]*[:=][ \t]*[\"']?{_TITLED_ANY}",
    # A product has a name too; a person's stands beside a way to reach or identify the person.
    "name beside contact data": (
        rf"(?i:^[ \t]*[\"'-]?(?:name|nom|nombre|nome)[\"']?)[ \t]*[:=][ \t]*[\"']?{_TITLED_ANY}"
        rf"(?=[^\n]{{0,80}}\n(?:[^\n]{{0,120}}\n){{0,2}}?[ \t]*[\"'-]?(?i:{_CONTACT})[^\n:=]{{0,20}}[:=])"
    ),
    "patronymic": (
        rf"(?<!\p{{L}})(?:{_RUSSIAN_SURNAME} )?\p{{Lu}}\p{{Ll}}++ \p{{Lu}}\p{{Ll}}{{1,20}}"
        r"(?:(?:ович|евич|ьич)(?:а|у|ем|е)?|(?:овн|евн|івн)[аыеуі]|ична)(?!\p{L})(?: \p{Lu}\p{Ll}++(?!\p{L}))?"
    ),
    **caseless_names.PATTERNS,
}

_INTRODUCTION_STEMS = (
    "name|naam|navn|namn|heet|heter|hedder|nimeni|appelle|nom est|nombre|llamo|chiamo|nome é|chamo|numesc|nazywam"
    "|mam na imi|jmenuji|volám|zovem|зовем|зовут|звати|казвам|adım|ismim|em dic|nama saya|vardas|nimi on|a nevem"
    "|mani sauc|called|i go by|call me|λένε|tên tôi|tôi tên|ich hei"
)
_SIGN_OFF_STEMS = (
    "thank|regards|wishes|best|cheers|sincerely|truly|faithfully|mfg|cordial|salud|grü|gruß|grus|grue|bien à|atenta"
    "|saluti|groet"
)
_I_AM_STEMS = "i am|i'm|i\u2019m|ich bin|je suis|jestem|jag är|jeg er|ik ben|soy|sou |sono"
_STEMS = {
    "introduction": _INTRODUCTION_STEMS,
    "introduction in any case": _INTRODUCTION_STEMS,
    "I am": _I_AM_STEMS,
    "titled": "Mr|Ms|Mx|Dr|Prof|Herr|Frau|Mme|Mlle|Monsieur|Madame|señor|signor|Sr|l sr|a sr|o sr|Sig.",
    "name is": "name is",
    "ask for": "ask for",
    "here": " here",
    "last name": "name",
    "this is": f"this is|it is|it's|it\u2019s|hier ist|{_I_AM_STEMS}",
    "sign-off": _SIGN_OFF_STEMS,
    "sign-off with a degree or a role": _SIGN_OFF_STEMS,
    "signature": "--",
    "salutation": "dear|geehrte",
    "field": (
        "name|holder|attn|attention|prénom|nom de famille|apellido|nombre completo|cognome|nome completo|imię|nazwisko"
        "|naam|namn|фамилия"
    ),
    "name beside contact data": "name|nom|nome",
    "patronymic": "ович|евич|ьич|овн|евн|івн|ична",
    **{name: "|".join(caseless_names.STEMS) for name in caseless_names.PATTERNS},
}
"""Texts between bars, in lower case or as written; without one of them in the text the pattern does not match."""
_STEM_PATTERNS = [(stem, name) for name, stems in _STEMS.items() for stem in stems.split("|")]


@cache
def _search() -> AhoCorasick:
    return AhoCorasick([stem for stem, _ in _STEM_PATTERNS], implementation=Implementation.DFA, store_patterns=False)


def possible(text: str) -> set[str]:
    """Names of the patterns that may match: a fast pre-filter."""
    hits = _search().find_matches_as_indexes(f"{text}\n{text.lower()}", overlapping=True)
    return {_STEM_PATTERNS[index][1] for index, _, _ in hits}


def may_hold(text: str) -> bool:
    """False only if no wording of `PATTERNS` is in the text."""
    return bool(possible(text))


_NO_NAMES = frozenset(
    """account accounts advance advisor agent all anyone anybody apple app assistant bank banking billing card cards
    cash colleague customer customers department desk developer director doctor engineer everyone everybody friend
    google guest help
    helpdesk hello hi holder home king kunde kundin live madam manager member microsoft monday mr mrs ms new office
    online order our page pay payment please product sales samsung service services shop sie sir store street subscriber
    support team thanks the this to visa voucher winner your""".split()
)
"""Capitalised words in the position of a name that are never part of a name."""


_NO_LOOSE_NAMES = frozenset(
    """a about above also always an and are as at be been being below but by can called changed come correct cut deleted
    different displayed empty for from given gone hidden in incorrect invalid is it known listed long lost missing
    misspelled my no not now off on only or out printed public registered removed required same short shown so spelled
    spelt still taken that their there too under unknown up used valid very was what with without wrong written your
    auf aus bei das dem der die ein eine falsch im in ist leider mit nicht noch und von willkommen zu el en es la
    le les los mal no pas que""".split()
)
"""Words that are no part of a name where upper case does not tell."""
_ONLY_TITLES = re.compile(rf"{_TITLE}(?: {_TITLE})*")


def is_name(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    without_case = text.isupper() or text.rpartition(" ")[2][:1].islower()
    if without_case and not _NO_LOOSE_NAMES.isdisjoint(words):
        return False
    if without_case and any(len(word) > 5 and word.endswith(("ed", "ing", "ly")) for word in words):
        return False
    return _NO_NAMES.isdisjoint(words) and _ONLY_TITLES.fullmatch(text) is None


COMMON_WORDS = frozenset(
    """Will Mark May April June Rose Grace Hope Bill Art Frank Grant Chase Young Long Rich Jack Summer Page Best King
    Day Park Love White Black Brown Green Gray Grey Short Small Little Price Banks Case Dean Drew Faith Joy Max Miles
    Penny Rob Ruby Sky Star Sue Wood Woods Hill Field Fields Stone Waters Bush Baker Cook Carter Hunter Mason""".split()
)
"""Parts of names that are also common words; alone they do not count as a name."""
