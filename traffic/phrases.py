"""Signs in an instruction of what it asks for: a label, an extraction, a proof, a summary.

A sign is found by wordings (`phrases.yaml`). Most are English; common output contracts ("answer with exactly one word")
are also in German, French, Spanish, Portuguese, Japanese, Chinese, Arabic and Hindi. Negated clauses, conditions and
remarks on the past are removed before the search.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from traffic import config
from traffic.stated_answers import (
    ORDER_STARTS,
    RATING_STARTS,
    begins_order,
    is_only_contract,
    lists_many,
    names_fields,
    states_options,
    states_rating,
    states_scale,
    without_records,
)
from traffic.wording_search import Literals, Removal, WordingSearch, after, pattern_text

_ENDS = ((". ", ".\n"), ("! ", "!\n"), ("? ", "?\n"), ("; ", ";\n"))
_ALL_ENDS = (*_ENDS, ("。", "\n"), ("！", "\n"), ("？", "\n"))
_PAST = re.compile(
    r"\b(?:no longer|any ?more|used to (?:be|have|return|send|support|exist|ask)|earlier|previously|formerly|legacy|"
    r"previous (?:version|variant)|historic\w*|withdrawn|retired|deprecated|obsolete|switched off|turned off|kept for|"
    r"abolished|abgeschafft|altbestand|früher\w*|ancienne(?:ment)?|antiguamente|removed in|"
    r"(?:until|up to) (?:v|version|build))\b|旧|以前|過去"
)
_PAST_HINTS = (
    " no longer", " anymore", " any more", " used to ", " earlier", " previous", " formerly", " legacy", " historic",
    " withdrawn", " retired", " deprecated", " obsolete", " switched off", " turned off", " kept for", " abolished",
    " abgeschafft", " altbestand", " früher", " ancienne", " antiguamente", " removed in", " until v", " until build",
    " up to v", " up to build", "旧", "以前", "過去",
)  # fmt: skip
"""Texts without which `_PAST` cannot match."""
_CONDITIONS = ("if", "unless", "case", "wenn", "falls", "sofern", "si")
_LONE_ITEM = re.compile(r"\n[-*•][ \-*•\t]*+[^ \n]*+[ \-*•\t]*+(?=\n|$)")
"""A list item of one word: a label, not an instruction."""
_NEGATIONS = (
    "no", "not", "never", "without", "nor", "don t", "doesn t", "cannot", "can t", "avoid", "instead of", "rather than",
    "kein", "keine", "keinen", "keiner", "keinem", "keines", "nicht", "ohne", "sans", "pas de", "sin",
)  # fmt: skip
"""Words without which `_NEGATED` cannot match, as `WordIndex` takes them."""
_REMARK_WORDS = (
    "if", "when", "whenever", "where", "wherever", "wenn", "wo", "falls", "si", "quand", "cuando", "se", "quando",
)  # fmt: skip
_FORMS = (
    "word", "letter", "label", "number", "digit", "line", "wort", "buchstabe", "buchstaben", "zahl", "zeile", "mot",
    "lettre", "chiffre", "palabra", "letra", "número", "palavra", "parola", "lettera",
)  # fmt: skip
_FORM_CHARS = 40
"""Characters before a condition in which the form is looked for that it is about."""
_FORM = re.compile(
    rf"\b(?:(?:an?|one|just|only|single|nur|eine?[mnrs]?|einzige[snr]?|une?|seule?|una?|sol[ao]|um|uma|só|única?) )+"
    rf"(?:{'|'.join(_FORMS)}),?(?: only)?,? $"
)
_ON_DEMAND = re.compile(
    rf"(?:{'|'.join(_REMARK_WORDS)}) [^.,;:\n]{{0,40}}?"
    r"\b(?:ask(?:s|ed)?|says?|want(?:s|ed)?|request(?:s|ed)?|require[sd]?|demand(?:s|ed)?|needed|wished|calls(?= for)|"
    r"verlangt|gefragt|gewünscht|gefordert|demandée?|demande|voulue?|pide|piden|pedid[ao]|pede|chiede|richiest[ao])"
    rf"(?: (?:for|ist|wird|by|it|so|an?|one|just|only|single|une?|seule?|una?|sol[ao]|uma?|{'|'.join(_FORMS)}))*"
    r"(?=\s*(?:[.,;:!)\n]|$))"
)
"""`if one word is asked`, `when the task asks for one`: it depends on the message whether the form is due."""
_CONDITION = re.compile(r"[\s\-*•>\d.)(]*(?:if|unless|in case|wenn|falls|sofern|si)\b")
_NEGATED = re.compile(
    r"\b(?<!\bor )(?<!\bvs )(?<!\byes[/-])(?:no(?= [a-z]{2,})|not|never|without|nor|don't|doesn't|cannot|can't|"
    r"avoid|instead of|rather than|kein\w*|nicht|ohne|sans|pas de|sin)\b[^,.:\n()]{0,60}"
)


_LISTING = ("reply", "output", "answer", "return", "respond", "say", "print", "write")
"""Words after which labels in capitals may stand."""
_WORDS: dict[str, tuple[str, ...]] = {
    "past": _PAST_HINTS,
    "condition": tuple(f" {word} " for word in _CONDITIONS),
    "remark": tuple(f" {word} " for word in _REMARK_WORDS),
    "negation": tuple(f" {word} " for word in _NEGATIONS),
    "listing": tuple(f" {word} " for word in _LISTING),
    "rating": RATING_STARTS,
    "order": ORDER_STARTS["order"],
    "analysis": ORDER_STARTS["analysis"],
}
"""By kind, what is searched for besides the wordings, in the same pass."""
_Positions = Mapping[str, Sequence[int]]
"""Starts of the words of each kind of `_WORDS` in a text."""


class _After(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A wording that must follow one of some words, which are too frequent to search for."""

    after: tuple[str, ...]
    wording: str


class Phrases(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`phrases.yaml`."""

    schema_version: Literal[1]
    fragments: dict[str, str]
    wordings: dict[str, tuple[str | _After, ...]]
    spaceless: dict[str, tuple[str, ...]]

    def resolved(self) -> dict[str, tuple[str, ...]]:
        """Wordings by sign, with the fragments filled in."""
        return {sign: tuple(w for item in items for w in self._texts(item)) for sign, items in self.wordings.items()}

    def _texts(self, item: str | _After) -> tuple[str, ...]:
        if isinstance(item, str):
            return (self._filled(item),)
        return after(item.after, self._filled(item.wording))

    def _filled(self, wording: str) -> str:
        return _FRAGMENT.sub(lambda match: self._filled(self.fragments[match.group(1)]), wording)


_FRAGMENT = re.compile(r"<([a-z_]+)>")
_PHRASES = config.load(Path(__file__).with_name("phrases.yaml"), Phrases)
_SEARCH = WordingSearch(_PHRASES.resolved(), _WORDS)
_SPACELESS_SIGNS = [(name, re.compile(pattern_text(wordings))) for name, wordings in _PHRASES.spaceless.items()]
# These search text whose sentences are not cut: they depend on line ends, those in capitals on the original text.
_LABEL_LIST = re.compile(
    r"[:(]\s*(?:(?:\n?[ \t]*[-*•\d][^\n]{1,80}\n(?!\0)){2}|(?:[\w\"'`&-]++(?: [\w\"'`&-]++){0,2}+\s?[,|/]\s*){2})"
)
_CAPITAL_LABELS = re.compile(
    r"\w++[^.\n]{0,20}\b[A-Z_]{2,}(?:, [A-Z_]{2,})*(?:,? or |[,;]? (?:otherwise|else) | ?[/|] ?)[A-Z_]{2,}\b"
)
"""Begins at one of `_LISTING`."""
_CAPITAL_ROW = re.compile(r"[:=] ?([A-Z][A-Z_]+(?: [A-Z][A-Z_]+){3,})(?=\s*(?:[.\n)]|$))")
"""`Modes: CLOCK PHONE MUSIC MAP`: labels in a row; a sentence in capitals has small words."""
_TABLE = re.compile(r"^[ \t]*+[\w.]++ ?\((?:[\w ]++,){2,}+[\w ]++\)[ \t]*+;?$", re.MULTILINE)
"""`orders(id, customer_id, total)`: a table of a database with its columns, in whatever language the rest is."""
_TABLES = 2
_QUERY = re.compile(
    r"\b(?:write|give|return|produce|generate|compose|formulate|turn|convert|translate)s?\b[^.\n]{0,40}\b"
    r"(?<!search )(?<!keyword )quer(?:y|ies)\b(?=[^.\n]{0,80}\b(?:tables?|columns?|schemas?|database|dialect)\b)"
)
_QUER = re.compile("quer(?:y|ies)")
_BEFORE_QUERY, _AFTER_QUERY = 70, 110
"""Characters around the word in which the expressions above and below are looked for."""
_SCHEMA = re.compile(r"\b(?:schemas?|tables?|columns?|database)\b")
_BARE_QUERY = re.compile(
    r"\b(?:write|give|return|output|produce|with) (?:(?:only|just|exactly) )?(?:the|one|a|a single) "
    r"(?:single |database )?query(?=[.,:;\n]| (?:that|which|for|to)\b|$)"
)
_YES = Literals(
    [
        "yes", "true", "y/", "y /", "ja", "oui", "si", "sí", "sì", "sim", "tak", "да", "evet",
        "はい", "是", "对", "예", "네", "نعم", "हाँ", "ใช่",
    ]
)  # fmt: skip
"""Texts with which `_YES_NO` begins."""
_YES_NO = re.compile(
    r"\b(?:yes\W{1,4}(?:or\W{1,2})?no|true\W{1,4}(?:or\W{1,2})?false|y ?/ ?n|"
    r"ja\W{1,4}(?:(?:oder|of)\W{1,2})?ne(?:in|e)|oui\W{1,4}(?:ou\W{1,2})?non|"
    r"s[íì]\W{1,4}(?:o\W{1,2})?no|si(?: ?/ ?| o )no|sim\W{1,4}(?:ou\W{1,2})?não|"
    r"tak\W{1,4}(?:(?:lub|albo)\W{1,2})?nie|да\W{1,4}(?:или\W{1,2})?нет|evet\W{1,4}(?:veya\W{1,2})?hayır)\b|"
    r"はい[^。]{0,6}いいえ|[是对][^。]{0,6}[否错]|[예네][^.]{0,6}아니|نعم أو لا|हाँ या नहीं|ใช่หรือไม่"
)
_QUESTION = re.compile(
    r"\b(?:questions?\b(?! (?:about|on|regarding|concerning|outside|within)\b)|asks?\b|fragen?\b|preguntas?\b|"
    r"perguntas?\b|domand[ae]\b|vra(?:ag|gen)\b|pytani|вопрос)|質問|问题|問題|질문|سؤال|प्रश्न"
)
"""Whatever somebody asks."""
_OF_MESSAGE = frozenset({"topic", "decision", "intent", "moderation", "extraction"})
_SAYS_WHEN = re.compile(
    r"\b(?:mark|flag|spot|filter|screen|detect)s?\b|"
    r"\b(?:yes|true|ja|oui|sí|sim|sì|tak|да)\b[\"'`”]* ?(?:if|when|for|where|means|wenn|si|se|jeśli|если|[=:–])"
)
"""What is asked of a message, which then is no question to answer: `yes if it is urgent`."""
_ON_MESSAGE = re.compile(
    r"\b(?:is|are|does|did|has|whether|if) (?:it|this|that|(?:the|each|an?) (?:[\w-]+ )?(?:messages?|mails?|e-?mails?|"
    r"reviews?|comments?|tickets?|chats?|posts?|texts?|customer|guest|user|writer|sender|caller|author))\b"
)
"""A question that the instruction itself asks of a message, or a condition on it: `does the guest want a refund?`"""
_SMALL_WORDS = frozenset(
    "A ALL ALWAYS AN AND ANY ARE AS BE BUT DO FOR FROM IF IN IS IT MUST NEVER NO NOT OF ON ONLY OR THE THIS TO USE "
    "WITH YOU YOUR DER DIE DAS NICHT NUR UND LE LA LES NE PAS EL LOS SIN".split()
)
_JSON_SKETCH = re.compile(r"\{[^{}]{3,300}\}")
_SKETCHED_VALUE = re.compile(r"[\"']?\w+[\"']?\s*:\s*([^,{}]+)")
_CHOICE = re.compile(r"bool(?:ean)?|[\"']?[\w -]+(?: ?[|/] ?[\w -]+)+[\"']?|true ?(?:[|/]|or) ?false")
_CLAUSE = re.compile(r"(?:^|\s)(?:\([1-9a-h]\)|(?<=\n)[1-9a-h][).]?)(?= [^\W\d])")
"""`(1) No permanent post`: one of the rules that a case is decided by."""
_CLAUSES = 3
_TWO_OBJECTS = re.compile(r"\{[^{}]{3,60}\},? (?:or|oder|ou|o) \{[^{}]{3,60}\}")
_PARAGRAPHS = "\n\0\n"
"""Stands between paragraphs, so that they are read in one pass and apart: no wording and no list goes on behind it."""
_SPACELESS = re.compile("[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def _one_a_line(lower: str) -> str:
    """Each sentence of a text on a line of its own; no character changes its place."""
    # str.replace is ten times faster than a split by pattern, and one character is found ten times faster than two.
    for end, cut in _ENDS if lower.isascii() else _ALL_ENDS:
        if end[0] in lower:
            lower = lower.replace(end, cut)
    return lower


def _not_in_force(text: str, positions: _Positions) -> list[Removal]:
    """What is negated, conditional or past in sentences of one line each, and list items of one word: in order, and
    without overlaps.
    """
    removals: list[Removal] = []
    if "-" in text or "*" in text or "•" in text:
        removals += [(max(0, item.start() - 1), item.end() - 1, 0) for item in _LONE_ITEM.finditer(f"\n{text}")]
    for at in positions["negation"]:
        if clause := _NEGATED.match(text, at):
            removals.append((at, clause.end(), 1))
    for at in positions["condition"]:
        begin, end = _line(text, at)
        if _CONDITION.match(text, begin, end):
            removals.append((begin, end, 0))
    for at in positions["remark"]:
        before = text[max(0, at - _FORM_CHARS) : at]
        form = _FORM.search(before) if before.rstrip(" ,").removesuffix(" only").endswith(_FORMS) else None
        if form and (remark := _ON_DEMAND.match(text, at)):
            removals.append((at - len(form[0]), remark.end(), 1))
    for at in positions["past"]:
        begin, end = _line(text, at)
        if _PAST.search(text, begin, end):
            removals.append((begin, end, 0))
    return _without_overlaps(removals) if len(removals) > 1 else removals


def _line(text: str, at: int) -> tuple[int, int]:
    end = text.find("\n", at)
    return text.rfind("\n", 0, at) + 1, end if end >= 0 else len(text)


def _without_overlaps(removals: list[Removal]) -> list[Removal]:
    kept: list[Removal] = []
    for removal in sorted(removals, key=_longest_first):
        if not kept or removal[0] >= kept[-1][1]:
            kept.append(removal)
    return kept


def _longest_first(removal: Removal) -> tuple[int, int]:
    begin, end, _ = removal
    return begin, -end


def _without(text: str, removals: Iterable[Removal]) -> str:
    parts: list[str] = []
    start = 0
    for begin, end, spaces in removals:
        parts += (text[start:begin], " " * spaces)
        start = end
    return "".join((*parts, text[start:]))


def _signs_in(text: str) -> set[str]:
    lower = text.lower()
    sentences = _one_a_line(lower)
    scan = _SEARCH.scan(sentences)
    positions = scan.positions
    removals = _not_in_force(sentences, positions)
    instruction = _without(sentences, removals) if removals else sentences
    names = _SEARCH.names(instruction, scan, removals)
    if not instruction.isascii() and _SPACELESS.search(instruction):
        names |= {name for name, pattern in _SPACELESS_SIGNS if pattern.search(instruction)}
    if ":" in text and _begins_list(lower):
        names.add("list")
    if "label" not in names and not text.islower() and (_lists_capitals(text, positions) or _has_row_of_capitals(text)):
        names.add("label")
    if "{" in text and '{"' in text:
        names.add("json")
    if positions["rating"] and any(states_rating(sentences, at) for at in positions["rating"]):
        names.add("rating")
    for sign in ORDER_STARTS:
        for at in positions[sign]:
            if begins_order(lower, at, sign) and not _is_removed(sentences, at, removals):
                names.add(sign)
                break
    return names


def _is_removed(text: str, at: int, removals: Iterable[Removal]) -> bool:
    """Whether an order is in a removed part. One that begins a sentence is in force, although the sentence names the
    past: "Draft a reply to the earlier letter."
    """
    return any(begin < at < end and text[begin:at].strip(" \t-*•") for begin, end, _ in removals)


def _begins_list(text: str) -> bool:
    """A list of labels begins after a colon, or after a parenthesis in a paragraph that has a colon."""
    if "|" in text:
        text = without_records(text)
    return any(":" in _paragraph(text, found.start()) for found in _matches(_LABEL_LIST, ":(", text))


def _paragraph(text: str, at: int) -> str:
    return text[:at].rpartition(_PARAGRAPHS)[2] + text[at:].partition(_PARAGRAPHS)[0]


def _lists_capitals(text: str, positions: _Positions) -> bool:
    """A word such as answer is followed by labels in capitals: "Answer ALLOW or BLOCK"."""
    return bool(positions["listing"]) and any(_CAPITAL_LABELS.match(text, at) for at in positions["listing"])


def _has_row_of_capitals(text: str) -> bool:
    rows = _matches(_CAPITAL_ROW, ":=", text)
    return bool(rows) and any(_SMALL_WORDS.isdisjoint(row[1].split()) for row in rows)


def _matches(pattern: re.Pattern[str], marks: str, text: str) -> list[re.Match[str]]:
    """Matches of a pattern that begins with one of the marks; they may overlap."""
    # One character is found ten times faster than a pattern that begins with it.
    matches: list[re.Match[str]] = []
    for mark in marks:
        at = text.find(mark)
        while at >= 0:
            if found := pattern.match(text, at):
                matches.append(found)
            at = text.find(mark, at + 1)
    return matches


HEAD, TAIL = 700, 350
"""Characters of a long system prompt that are read."""
LONGEST_TAIL = 1200
"""Characters at the end of a long text in which its last paragraph is looked for, if it ends with a list."""
LIST_ITEM_CHARS = 30
"""Average characters per comma up to which the end of a text is a list."""


def signs(
    text: str, head: int = HEAD, tail: int = TAIL, *, repeats: bool = True, is_template: bool = True
) -> frozenset[str]:
    """Signs in an instruction: those of `phrases.yaml`, and `options`, `fields`, `many` (labels), `order`, `analysis`
    and `contract` (nothing but the form of the answer) of `traffic.stated_answers`.

    Of a text longer than `head` + `tail` characters, only so many at its beginning and its end are read.
    `repeats`: the text is a system prompt, whose paragraphs are read apart, and options are looked for in all of it.
    False: a message, which may hold material: options are looked for at its beginning and end alone.
    `is_template`: False for what a person asks of a general assistant, where neither lists nor orders to analyse
    something say how hard the work is.
    """
    return _signs_of(_excerpt(text, head, tail), repeats=repeats, is_template=is_template)


def _excerpt(text: str, head: int, tail: int) -> str:
    """The beginning and the end of a text longer than both."""
    if len(text) <= head + tail:
        return text
    return f"{text[:head]}\n\n{text[max(head, _end_of(text, tail)) :]}"


def _signs_of(text: str, *, repeats: bool = True, is_template: bool = True) -> frozenset[str]:
    # The only letter that is longer in lower case.
    text = text.replace("İ", "I")
    # Sentences of two paragraphs have nothing to do with each other.
    names = _signs_in(text.replace("\n\n", _PARAGRAPHS) if repeats else text)
    lower = text.lower()
    programs = "code" in names and "technology" in names
    _add_signs_of_material(names, text, lower)
    writes = not names.isdisjoint(("generation", "explanation", "summary"))
    if "list" in names and "bare" in names and "json" not in names and not (writes or programs):
        names.add("label")
    if repeats and is_only_contract(lower):
        names |= {"contract", "label"}
    if "number" in names and states_scale(lower):
        names.discard("number")
    if not is_template:
        names = names - {"analysis"}
    if "exception" in names and "label" not in names and len(_CLAUSE.findall(text)) >= _CLAUSES:
        names.add("judgement")
    if names.isdisjoint(("order", "summary", "explanation")):
        choices = _sketches_choices(text)
        fields = "json" in names and names_fields(lower)
        stated = (lower,) if repeats else _outer_paragraphs(lower) if is_template else ()
        open_ = not fields and names.isdisjoint(("label", "rewrite", "helper") if repeats else ("label", "rewrite"))
        if choices or (open_ and any(map(states_options, stated))):
            names.add("options")
        elif fields:
            names.add("fields")
    if "json" in names and not names.isdisjoint(("reading", "parsing")) and not writes:
        names.add("extraction")
    if not names.isdisjoint(("label", "options")):
        _add_signs_of_choice(names, lower, is_system=repeats)
    return frozenset(names)


def _add_signs_of_material(names: set[str], text: str, lower: str) -> None:
    """Code for the tables of a database, and answers from a text: values that are extracted from it are none."""
    if ("technology" in names and len(_TABLE.findall(text)) >= _TABLES) or ("quer" in lower and _asks_query(lower)):
        names.add("code")
    if "grounded" in names and "extraction" not in names:
        names.add("summary")


def _add_signs_of_choice(names: set[str], lower: str, *, is_system: bool) -> None:
    if lists_many(lower):
        names.add("many")
    if any(_YES_NO.match(lower, at) for _, at in _YES.find(lower)):
        names.add("yes_no")
        # Without a system prompt the text has the question itself, which may be asked of anything.
        if is_system and _ON_MESSAGE.search(lower):
            names.discard("knowledge")
        elif _asks_knowledge(names, lower):
            names.add("knowledge")


def _asks_query(lower: str) -> bool:
    """To write a query for the tables or columns of a database, without a name of its language."""
    begins = (match.start() for match in _QUER.finditer(lower))
    around = (lower[max(0, at - _BEFORE_QUERY) : at + _AFTER_QUERY] for at in begins)
    return any(_QUERY.search(part) or _BARE_QUERY.search(part) for part in around) and bool(_SCHEMA.search(lower))


def _asks_knowledge(names: set[str], lower: str) -> bool:
    """Somebody asks, and nothing is said of the question itself."""
    judges_message = "?" in lower or not names.isdisjoint(_OF_MESSAGE) or _SAYS_WHEN.search(lower)
    return not judges_message and _QUESTION.search(lower) is not None


def _end_of(text: str, tail: int) -> int:
    """Where the last characters begin that are read. A list of labels at the end is read with its whole paragraph."""
    begin = len(text) - tail
    if text.count(",", begin) * LIST_ITEM_CHARS < tail:
        return begin
    paragraph = text.rfind("\n\n", max(0, len(text) - LONGEST_TAIL))
    return begin if paragraph < 0 else min(paragraph, begin)


def _outer_paragraphs(text: str) -> Sequence[str]:
    """The first and the last paragraph, of a text without blank lines the first two and the last two lines."""
    parts = [part for part in text.split("\n\n") if part.strip()]
    if len(parts) > 1:
        return parts[0], parts[-1]
    lines = text.strip().split("\n")
    return ("\n".join(lines[:2]), "\n".join(lines[-2:])) if len(lines) > 2 else ()


def _sketches_choices(text: str) -> bool:
    """The answer is a JSON object whose values are all out of a few: `{"toxic": bool, "kind": "spam|threat"}`."""
    if "{" not in text:
        return False
    if _TWO_OBJECTS.search(text):
        return True
    sketches = [_SKETCHED_VALUE.findall(sketch) for sketch in _JSON_SKETCH.findall(text)]
    return any(values and all(_CHOICE.fullmatch(value.strip()) for value in values) for values in sketches)


_signs_again = lru_cache(maxsize=1024)(_signs_of)


def signs_of_system(text: str) -> frozenset[str]:
    """`signs` with a cache: a call site sends the same system prompt with every request."""
    return _signs_again(_excerpt(text, HEAD, TAIL))
