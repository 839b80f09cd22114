"""Wordings in which people state their name, as patterns of the `regex` package (\\p{Lu}, \\K).

They recognise a name by its context, without a list of names or a model: introductions, signatures and named fields.
"""

import re

_WORD = r"\p{Lu}(?:['\u2019]\p{Lu})?\p{Ll}+(?:[-'\u2019]?\p{Lu}\p{Ll}+)*"
_BETWEEN = r"(?: (?:\p{Lu}\.|van|von|der|den|de|da|dos|di|del|la|le|bin|al))*"
_FULL = rf"{_WORD}(?:{_BETWEEN} {_WORD}){{1,3}}"
_ANY = rf"{_WORD}(?:{_BETWEEN} {_WORD}){{0,3}}"

_INTRODUCED = (
    r"my (?:full |first |last |sur)?name(?: is|'s|\u2019s)|mein name ist|ich hei(?:\u00df|ss)e|je m['\u2019]appelle"
    r"|mon nom est|mi nombre es|me llamo|mi chiamo|meu nome \u00e9|mijn naam is"
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

# \K excludes the text before it from the match.
PATTERNS = {
    "introduction": rf"(?i:(?<!\w)(?:{_INTRODUCED}))[ :,]+\K{_ANY}",
    "name is": rf"(?i:(?:^|[,;.(:]) ?(?:and )?(?:the )?name is) \K{_FULL}",
    "ask for": rf"(?i:\bask for) \K{_FULL}",
    "here": rf"(?:^|(?i:\b(?:{_GREETING}))[,.!]? )\K{_FULL}(?= here\b)",
    "last name": rf"(?i:\b(?:first|last|family|sur)[ -]?name(?: is|:)?) \K{_ANY}",
    "this is": rf"(?i:(?:\b(?:{_GREETING}))[,.!]? (?:this is|it (?:is|['\u2019]s)|{_I_AM}|hier ist|ich bin)) \K{_FULL}",
    "sign-off": rf"(?i:(?:^|[.!?] ?)(?:{_SIGN_OFF}))[,.!]?[ \t]*\n\s*\K{_ANY}{_LINE_END}",
    "signature": rf"^-- ?\n\s*\K{_FULL}{_LINE_END}",
    "salutation": rf"^(?i:dear|sehr geehrte[rs]?) (?:(?:Mr|Mrs|Ms|Dr|Herr|Frau)\.? )?\K{_FULL}(?=[,:])",
    "field": rf"(?i:(?:^|[\n{{,;|(\"'>])[ \t]*[\"']?(?:{_FIELD})[\"']?)[ \t]*[:=][ \t]*[\"']?\K{_ANY}",
}

MAY_HOLD = re.compile(
    r"(?i)name|naam|nombre|ich hei|m['\u2019]appelle|llamo|chiamo|\bask for|\bhere\b|this is|it['\u2019]s|it is|i am"
    r"|i['\u2019]m|\bhier|ich bin|thank|regards|wishes|\bbest|cheers|sincerely|truly|faithfully|mfg|cordial|salud"
    r"|gr(?:\u00fc|u|ue)(?:\u00df|ss)|bien \u00e0|atenta|saluti|groet|^--|\bdear|geehrte|holder|att(?:n|ention)",
    re.MULTILINE,
)

_NO_NAMES = frozenset(
    """account accounts advance advisor agent all anyone anybody apple app assistant bank banking billing card cards
    cash colleague customer customers department desk doctor everyone everybody friend google guest help
    helpdesk hello hi holder home king live madam manager member microsoft monday mr mrs ms new office online
    order our page pay payment please product sales samsung service services shop sir store street subscriber
    support team thanks the this to visa voucher winner your""".split()
)
"""Capitalised words in the position of a name that are never part of a name."""


def is_name(text: str) -> bool:
    return not any(word in _NO_NAMES for word in re.findall(r"[^\W\d_]+", text.casefold()))


COMMON_WORDS = frozenset(
    """Will Mark May April June Rose Grace Hope Bill Art Frank Grant Chase Young Long Rich Jack Summer Page Best King
    Day Park Love White Black Brown Green Gray Grey Short Small Little Price Banks Case Dean Drew Faith Joy Max Miles
    Penny Rob Ruby Sky Star Sue Wood Woods Hill Field Fields Stone Waters Bush Baker Cook Carter Hunter Mason""".split()
)
"""Parts of names that are also common words; alone they do not count as a name."""
