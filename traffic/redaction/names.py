"""Wordings in which people state their name, as patterns of the `regex` package (\\p{Lu}, \\K).

They recognise a name by its context, without a list of names or a model: introductions, signatures and named fields.
"""

import re

# Possessive or bounded: a long run would take quadratic time.
_WORD = r"\p{Lu}(?:['\u2019]\p{Lu})?\p{Ll}++(?:[-'\u2019]?\p{Lu}\p{Ll}++)*+"
_BETWEEN = r"(?: (?:\p{Lu}\.|van|von|der|den|de|da|dos|di|del|la|le|bin|al))*+"
_INITIALS = r"(?:\p{Lu}\. ?)++"
_FULL = rf"(?:{_INITIALS}{_WORD}|{_WORD}{_BETWEEN} {_WORD})(?:{_BETWEEN} {_WORD}){{0,2}}"
_ANY = rf"(?:{_INITIALS})?{_WORD}(?:{_BETWEEN} {_WORD}){{0,3}}"
_TITLE = r"(?:Mr|Mrs|Ms|Mx|Dr|Prof|Herr|Frau|Mme|Sr|Sra)\b\.?"
_TITLES = rf"(?:{_TITLE} ){{0,3}}"
# \K excludes the text before it from the match.
_TITLED_FULL, _TITLED_ANY = rf"{_TITLES}\K{_FULL}", rf"{_TITLES}\K{_ANY}"

_INTRODUCED = "|".join(
    (
        r"my (?:full |first |last |sur)?name(?: is|'s|\u2019s)",
        r"mein name ist|ich hei(?:\u00df|ss)e|mijn naam is|(?:jag|jeg) (?:heter|hedder)|nimeni on",
        r"je m['\u2019]appelle|mon nom est|mi nombre es|me llamo|mi chiamo|meu nome é|me chamo|mă numesc",
        r"nazywam się|mam na imię|jmenuji se|volám sa|zovem se|меня зовут|мене звати|казвам се",
        r"benim adım|με λένε|tên tôi là|tôi tên là",
    )
)
_I_AM = r"i(?: am|['\u2019]m)"
_GREETING = r"hi|hello|hey|hallo|guten tag|good (?:morning|afternoon|evening)|bonjour|hola"
_SIGN_OFF = (
    r"(?:many |kind |best |warm )?(?:thanks|regards|wishes)(?: (?:and|&) (?:best |kind )?regards| in advance)?"
    r"|thank you|best|cheers|(?:yours )?(?:sincerely|truly|faithfully)|sincerely yours|(?:mit )?(?:freundlich\w+"
    r"|viele\w*|liebe\w*|beste\w*|herzlich\w*) gr(?:\u00fc|ue?)(?:\u00df|ss)e?n?|mfg|cordialement|bien \u00e0 vous"
    r"|saludos(?: cordiales)?|atentamente|(?:cordiali |distinti )?saluti|met vriendelijke groet\w*"
)
_FIELD = (
    r"(?:full|customer|contact|card ?holder|account ?holder|patient|guest|passenger|client|employee|billing|recipient)"
    r"['\u2019]?s?[ _-]?name|card ?holder|account ?holder|attn|attention|(?:vor- und )?nachname|vorname"
)
_LINE_END = r"(?=[ \t]*(?:[,.]?[ \t]*$|\n|\|))"

PATTERNS = {
    "introduction": rf"(?i:(?<!\w)(?:{_INTRODUCED}))[ :,]+{_TITLED_ANY}",
    "name is": rf"(?i:(?:^|[,;.(:]) ?(?:and )?(?:the )?name is) {_TITLED_FULL}",
    "ask for": rf"(?i:\bask for) {_TITLED_FULL}",
    "here": rf"(?:^|(?i:\b(?:{_GREETING}))[,.!]? ){_TITLED_FULL}(?= here\b)",
    "last name": rf"(?i:\b(?:first|last|family|sur)[ -]?name(?: is|:)?) {_TITLED_ANY}",
    "this is": (
        rf"(?i:\b(?:{_GREETING})[,.!]? (?:this is|it (?:is|['\u2019]s)|{_I_AM}|hier ist|ich bin)) {_TITLED_FULL}"
    ),
    "sign-off": rf"(?i:(?:^|[.!?] ?)(?:{_SIGN_OFF}))[,.!]?[ \t]*\n\s*{_TITLED_ANY}{_LINE_END}",
    "signature": rf"^-- ?\n\s*{_TITLED_FULL}{_LINE_END}",
    "salutation": rf"^(?i:dear|sehr geehrte[rs]?) {_TITLED_FULL}(?=[,:])",
    "field": rf"(?i:(?:^|[\n{{,;|(\"'>])[ \t]*[\"']?(?:{_FIELD})[\"']?)[ \t]*[:=][ \t]*[\"']?{_TITLED_ANY}",
}

_STEMS = (
    "name|naam|heter|hedder|nimeni|appelle|nom est|nombre|llamo|chiamo|nome é|chamo|numesc|nazywam|mam na imi|jmenuji"
    "|volám|zovem|зовут|звати|казвам|benim ad|λένε|tên tôi|tôi tên|ich hei|ask for| here|this is|it is|it's|it\u2019s"
    "|i am|i'm|i\u2019m|hier ist|ich bin|thank|regards|wishes|best|cheers|sincerely|truly|faithfully|mfg|cordial|salud"
    "|grü|gruß|grus|grue|bien à|atenta|saluti|groet|--|dear|geehrte|holder|attn|attention"
).split("|")


def may_hold(text: str) -> bool:
    """Fast pre-filter; False only if no wording of `PATTERNS` is in the text."""
    lowered = text.lower()
    return any(stem in lowered for stem in _STEMS)


_NO_NAMES = frozenset(
    """account accounts advance advisor agent all anyone anybody apple app assistant bank banking billing card cards
    cash colleague customer customers department desk doctor everyone everybody friend google guest help
    helpdesk hello hi holder home king live madam manager member microsoft monday mr mrs ms new office online
    order our page pay payment please product sales samsung service services shop sir store street subscriber
    support team thanks the this to visa voucher winner your""".split()
)
"""Capitalised words in the position of a name that are never part of a name."""


_ONLY_TITLES = re.compile(rf"{_TITLE}(?: {_TITLE})*")


def is_name(text: str) -> bool:
    words = re.findall(r"[^\W\d_]+", text.casefold())
    return _NO_NAMES.isdisjoint(words) and _ONLY_TITLES.fullmatch(text) is None


COMMON_WORDS = frozenset(
    """Will Mark May April June Rose Grace Hope Bill Art Frank Grant Chase Young Long Rich Jack Summer Page Best King
    Day Park Love White Black Brown Green Gray Grey Short Small Little Price Banks Case Dean Drew Faith Joy Max Miles
    Penny Rob Ruby Sky Star Sue Wood Woods Hill Field Fields Stone Waters Bush Baker Cook Carter Hunter Mason""".split()
)
"""Parts of names that are also common words; alone they do not count as a name."""
