"""What an instruction states about its answer: options to choose from, fields to fill, a scale, or an order to write
or to analyse something.

Read from punctuation, the words for `or`, verbs of orders and few nouns, never from the words of one application. All
functions take lower-case text. An instruction of labels only ("Mood: calm or tense.") needs no wording of
`phrases.yaml`; what is worded is found there.
"""

import itertools
import re
from collections.abc import Iterator
from typing import Literal

from traffic.wording_search import Literals, beginnings, pattern_text

_NO_ITEM = (
    r"(?!(?:in|with|from|by|to|for|at|on|of|as|and|the|an?|your|its|what|who|how|why|when|where|yyyy|mm|dd|he|she|they|"
    r"no(?= \w))\b)"
)
_ITEM = rf"{_NO_ITEM}[\"'`“”<*]?[\w'&+-]++(?:\.[\w-]++)*(?: [\w'&+-]++){{0,2}}[\"'`“”>*]?"
_COMMON_OR = ("or", "oder", "ou", "o", "of")
_RARE_OR = ("else", "lub", "czy", "eller", "или", "veya")
_OR = rf"(?:{'|'.join((*_COMMON_OR, *_RARE_OR))})"
_COMMA = r"(?:, ?| ?[|/;·] ?)"
_SEPARATORS = ",|/;·"
_SEPARATOR = re.compile(f"[{_SEPARATORS}]")
_END = r"(?=\s*[.?!;)\]}\n>\"'`]|\s*$)"
_ALTERNATIVES = rf"{_ITEM}(?:{_COMMA}{_ITEM})*(?:,? {_OR} (?:an? )?| ?[|/] ?){_ITEM}{_END}"
# Patterns that begin with a character, not with a border, are searched several times faster, with two characters faster
# still.
_LAST_ITEM = re.compile(rf" (?:{'|'.join(_COMMON_OR)}) (?:an? )?{_ITEM}{_END}")
_LAST_ITEM_RARE = re.compile(rf"(?: (?:{'|'.join(_RARE_OR)}) (?:an? )?|[|/] ?){_ITEM}{_END}")
_RARE_WORDS = Literals(tuple(f"{word} " for word in _RARE_OR))
"""Without one of these, `|` or `/`, `_LAST_ITEM_RARE` cannot match."""
_DUTCH = Literals((" de ", " een ", " het ", " met ", " van "))
"""Words of texts in which `of` may mean "or"."""
_CHOICE = re.compile(rf"[:(\[{{>?]\s*{_ALTERNATIVES}")
"""`Mood: calm or tense.`, `ok | spam | abuse`."""
_CHOICE_AFTER = re.compile(
    rf"(?:one of|is(?: it)?|as|say|answer|output|reply|respond|return|print|choose|pick|either|with) {_ALTERNATIVES}"
)
"""`say scam or genuine`."""
_CHOICE_ASKED = re.compile(rf"(?:^|[.!?\n>]\s*){_ITEM}(?:, {_ITEM})*,? {_OR} {_ITEM}\?")
"""`Include or exclude?`"""
_LIST = re.compile(rf"[:(\[?=>]\s*\[?(?P<items>{_ITEM}(?:{_COMMA}{_ITEM}){{2,}})(?P<end>[)\]]?\s*\??)")
_BULLETS = re.compile(r":[ \t]*(?:\n+[ \t]*(?:[-*•]|\d+[.)])[^\n]{1,60}){3,}")
_LIST_OF_NAMES = re.compile(r"(?:one of|[:=])\s*(?=\w+ \w)((?:\w+ ){2,}\w+)(?=\s*(?:[.\n)]|$))")
"""`one of book_visit chase_quote pay`: names of a program, which need no commas."""
_LIST_AFTER = re.compile(rf" of(?<=(?:one|any) of)(?: these| the following)?:? {_ITEM}(?:{_COMMA}{_ITEM}){{2,}}")
"""`one of red, green, blue`."""
_LIST_IN = re.compile(rf"in (?<=\b[a-z] in )[\[{{(]?{_ITEM}(?:, {_ITEM}){{2,}}{_END}")
"""`x in red, green, blue`."""
_KIND = re.compile(
    r"\b(?:labels?|categor\w+|topics?|types?|kinds?|class(?:es)?|queues?|choices?|options?|intents?|genres?|status\w*|"
    r"aspects?|reasons?|teams?|departments?|severity|priority|urgency|levels?|moods?|sentiments?|tones?|emotions?|tags?|"
    r"codes?|families|sections?|groups?|verdicts?|kategori\w*|themen|thema|catégories?|thèmes?|categorías?|temas?|tipos?|"
    r"categorie|tipi?|one of|from|which|what|welche\w*|quelle?s?|cuál\w*|quale)\b(?:(?! with any)[^.:?!\n(]){0,40}$"
)
"""Words before a list that say what its items are; the list follows."""
_LONG_LIST = 8
_SEVERAL_ITEMS = re.compile(rf"[,|/;·] ?{_ITEM}(?: ?[,|/;·]|,? {_OR} )")
"""What every list has."""
_ITEM_LINE = re.compile(r"\n[ \t]*[-*•\d]")
"""With what each of `_SHORT_ITEMS` begins."""
_SHORT_ITEMS = re.compile(
    rf"(?:\n[ \t]*(?:[-*•]|\d+[.)]) ?+[\w\"'`&/.-]++(?: [\w&/.-]++){{0,2}}+[\"'`]?[ \t]*(?=\n|\Z)){{{_LONG_LIST},}}"
)
_AFTER_HEAD = re.compile(rf": ?{_ITEM}(?:, ?{_ITEM})+(?:,? {_OR} {_ITEM}|, ?{_ITEM})(?=\.?\s*$|\.\s)")
_HEADED = re.compile(rf"(?:^|[.!?\n] ?)(?P<head>[^:.!?\n]{{2,120}}){_AFTER_HEAD.pattern}")
"""`Tone of the message: neutral, worried, hostile.`"""
_PARTS = re.compile(
    r"\b(?:outline|cover(?:s|ing)?|includ\w+|memo|overview|sections|parts|headings|style|keep|clean|report|with|"
    r"erstell\w*)\b"
)
"""Words of texts whose parts such a list may name."""
_SLASHES = re.compile(
    r"(?<![\w/.:<])[^\W\d_][\w-]+(?: ?\| ?[^\W\d_][\w-]+){2,}|(?<![\w/.:<])[^\W\d_][\w-]+(?: / [^\W\d_][\w-]+){2,}"
)

_COUNT = re.compile(
    rf" {_OR} (?:two|three|four|five|zwei|drei|vier|deux|trois|quatre|dos|tres|cuatro|duas|dois|três|quatro|due|tre|"
    r"quattro|twee|drie|dwa|dwie|trzy|два|две|три|\d{1,3}) (?:[\w-]+ ){0,2}(?:sentences|words|lines|paragraphs|phrases|"
    r"bullets|sätzen?|wörter\w*|worten?|zeilen|absätzen?|mots|lignes|palabras|frases|líneas|palavras|linhas|parole|"
    r"frasi|righe|zinnen|woorden|regels|zdania|słowa|предложени\w+|слова|строки)\b"
)
"""`or two plain sentences`: how long the answer may be."""
_RECORD_BARS = 2
"""Bars from which on one of several lines has the fields of a record."""
_ROW_HEAD = re.compile(r"[\s\-*•]*[^\W\d][\w ]{0,30}[:=]")
"""`mood: calm | tense`: the options of a field."""
_RECORD_SHAPE = re.compile(r"[(（][^()（）|\n]{1,40}(?:\|[^()（）|\n]{1,40}){2,}[)）]")
"""`(ship | property | value)`: the fields of a record, or options."""
_LINE_SHAPE = re.compile(
    r"(?:per|each|every|pro|je|jede|par|chaque|por|cada|ogni)(?<!\bone per)(?<!\beine[rs] pro)(?<!\beine[rs] je)"
    r"(?<!\bun par)(?<!\bune par)(?<!\bun[oa] por)(?<!\bum por)(?<!\buma por)(?<!\bun[oa] per) "
    r"(?:line|row|zeile|ligne|línea|linha|fila|riga)"
    r"(?: (?:is|has|as|ist|hat|est|a|es|tiene|tem|è|ha))?:? ?[\"'`“„«]?[^()|:.,\n]{1,40}(?:\|[^()|:.,\n]{1,40}){2,}"
)
"""`each line is ship | property | value`, but not `one per line: open | held`. Each first word begins with a literal,
so that the search stops at few letters.
"""
_ONE_A_LINE = re.compile(
    r"\b(?:(?:per|a|each|every) (?:line|row)|(?:pro|je) zeile|par ligne|por (?:línea|fila|linha)|per (?:riga|regel))\b"
)
_RECORDS = re.compile(
    r"(?:\b(?<!\bof )(?<!\bof the )(?<!\bof these )(?<!\bder )(?<!\bdes )(?<!\bdel )(?<!\bde las )(?<!\bde los )"
    r"(?:triples?|triplets?|records|rows|lines|facts|acts|fields|tuples|tripeln?|zeilen|datensätzen?|fakten|"
    r"enregistrements|lignes|faits|tripletas?|triplas?|registros|filas|líneas|hechos|linhas|fatos|righe|fatti|"
    r"тройки|строки|записи|факты)|三元组|三元組|动作|動作|记录|記録|字段|行|トリプル|レコード|레코드) ?$"
)
"""What stands before the names of their fields; in `the mood of the lines (calm | tense)` options follow."""
_SORTS = re.compile(r"\b(?:tag|label|sort|classif\w+|categori\w+|mark|flag|choose|pick|select|assign|route|rate)\b")
_BEFORE_SHAPE = 200
"""Characters before the names of fields that are read, so that many of them in one line take no longer each."""

_NO_NOUN = r"(?! ?:| (?:from|for|of|is|was)\b)"
"""After a verb that is a noun too: `design a poster`, but not `design from the 1950s`."""
_WRITING = (
    r"(write|compose|create|generate|suggest|describe|translate|invent|explain|prepare|summari[sz]e|propose|condense)",
    rf"(draft|design|outline|produce|plan){_NO_NOUN}",
    r"review (the|this|our|each|every)",
    r"answer (the|a|an|our|(\w+ )?questions?|customers?|from|in(?! (json|\w+ (lines?|words?))\b)|using|users?)",
    r"(schreib\w*|erstell\w*|verfass\w*|entwirf|übersetz\w*|erklär\w*|fasse)",
    r"(rédige[rz]?|écri[sv]\w*|tradui\w*|résume\w*|redact\w*|escrib\w*|traduc\w*|resum\w*|redig\w*|escrev\w*|scriv\w*)",
    r"(riassum\w*|schrijf|maak|skriv|napisz|напиши)",
)
_DETERMINER = (
    r"(?:the|this|that|these|those|our|your|their|its|his|her|my|each|every|all|any|an?|both|whether|why|how|what|"
    r"which|who|where)"
)
_OBJECT = rf"(?= {_DETERMINER}\b)"
"""After a verb that is a noun too, or that rules of conduct have as well: `review the lease`, but not `review text`,
`plan b` or `compare offers politely`.
"""
_ANY_OBJECT = rf"(?= (?:{_DETERMINER}|if|when|from|against|for)\b)"
"""After a verb that is nothing else: `solve for x`."""
_ARTICLE = (
    r"(?= (?:l['’]|(?:das|die|den|dies\w+|eine?n?|beide|ob|wie|warum|welche\w*|jede\w*|alle|unser\w*|le|la|les|cet?s?|"
    r"cette|une?|chaque|si|pourquoi|comment|il|lo|gli|i|un[ao]?|ogni|perché|el|los|las|est[aeo]s?|cada|por|os?)\b))"
)
"""After a verb that looks like a noun, of the same or of another language: `plane die Reise`, `valuta la richiesta`."""
_ANALYSES = (
    r"(analyze|analyse(?! ?:| (?:der|des|du|de|von)\b))",
    r"(investigate|argue|negotiate|prioriti[sz]e|optimi[sz]e|reconcile)",
    rf"(critique|review|audit|judge|estimate|forecast|plan|design|rank|challenge|schedule|diagnose){_OBJECT}",
    rf"(compare|evaluate|advise){_OBJECT}",
    rf"(assess|develop|devise|weigh|recommend|interpret|solve|compute|calculate|derive|defend|refute|rebut){_ANY_OBJECT}",
    rf"(deduce|predict){_ANY_OBJECT}",
    r"(work|find|figure|think|set) (it )?(out|through)",
    r"(determine|find|explain) (why|how|what|who|where|when|which)",
    r"(analysiere\w*|beurteile\w*|ermittle|untersuche|entwickle|entwirf|berate|empfiehl)",
    r"(analyse[rz]|évalue[rz]?|compare[rz]|planifie[rz]?|conseille[rz]?|recommande[rz]?|estime[rz]|élabore[rz]?)",
    r"(analiza|evalúa|planifica|recomienda|elabora|diseña|avalie|planeje|recomende|analizza|confronta|pianifica)",
    rf"(vergleiche|schätze|plane|compare|estime|valuta){_ARTICLE}",
    r"(analyseer|beoordeel|vergelijk|adviseer|przeanalizuj|porównaj|zaplanuj|oszacuj|проанализируй\w*|сравни\w*)",
)
OrderSign = Literal["order", "analysis"]
_ORDERS: dict[OrderSign, re.Pattern[str]] = {
    "order": re.compile(rf"(?:{pattern_text(_WRITING)})\b"),
    "analysis": re.compile(rf"(?:{pattern_text(_ANALYSES)})\b"),
}
ORDER_STARTS: dict[OrderSign, tuple[str, ...]] = {
    "order": tuple(sorted({f" {text}" for wording in _WRITING for text in beginnings(wording)})),
    "analysis": tuple(sorted({f" {text}" for wording in _ANALYSES for text in beginnings(wording)})),
}
"""By sign, the texts with which every such order begins, as `WordIndex` takes them."""
_BEFORE_ORDER = tuple(f"{text} " for text in ("please", "and", "then", "now", "you", "task is to", "job is to"))
_LETTER = re.compile(r"\w")
_INTRODUCTION = re.compile(
    r"(?:^|[.!?:>\n] ?)(?:as(?! (?:soon|long|needed))|given|from|using|based on|with|after|for|"
    r"in(?! (?:cases?|the event)\b)) [^.!?:\n,]{1,80}, \Z"
)
"""`As our auditor, judge ...`: a phrase that stands before the verb of an order, and no condition."""
_INTRODUCTION_CHARS = 100
_LABEL_ORDER = re.compile(r"\s*(?:[\w-]+ ){0,3}(?:label|category|name|word|code|id|intent|class|yes|nothing)\b")

_NOT_IN_FORCE = re.compile(
    r"([.!?;\n](?:(?<=\n)| ))[\s\-*•>\d.)(]*"
    r"(?:do not|don't|never|avoid|if|unless|in case|nicht|wenn|falls|sofern|ne |si|no(?= (?:di|uses|des))|"
    r"be|stay|remain|sound|sei|seien|bleib|bleibe|soyez|sois|sé|sea|sii)\b[^.!?;\n]*"
)
"""The end of a sentence, and one that forbids something, holds in one case only, or says what to be like."""

_SCALE_WORDS = ("rate", "rating", "score", "scale", "star", "grade")
_SCALE = re.compile(rf"\b(?:{'|'.join(_SCALE_WORDS)})s?\b")
RATING_STARTS = tuple(
    f" {verb}"
    for verb in ("rate", "rating", "mark", "score", "grade", "bewerte", "punkte", "note", "puntúa", "valuta", "voto")
)
"""Texts with which every rating begins, as `WordIndex` takes them."""
_RATING = re.compile(
    rf"(?:{'|'.join(word.strip() for word in RATING_STARTS)})(?:s|ing)?\b[^.\n]{{0,40}}?"
    r"\b\d{1,2} ?(?:[-–]|to|and|bis|und|à|et|a|al|y|e) ?\d{1,3}\b"
)
"""`Rate the essay from 1 to 10`."""
_RANGE = re.compile(
    r"\d(?<![\d.,/-]\d)\d? ?(?:[-–]|to|bis|à|a|tot|do|до) ?\d{1,3}(?![.,-]\d)(?=\s*(?:[.,;:!?)\]}\n]|only\b|$))"
)
"""`from 1 to 5`; neither a date nor `3 to 5 days`."""
_CONTRACT_WORDS = frozenset(
    (
        "a an and answer answers as by choice correct digit else evaluate exactly false final give in invalid just "
        "letter no not nothing number of one only option options or output please print question reply respond result "
        "return right say single the true valid value verdict with without word write yes your antworte antwort nur "
        "mit einem ein buchstaben ja oder nein zahl wort richtig falsch réponds répondez par seulement uniquement la "
        "lettre le nombre oui ou non vrai faux responde solo con sí si número letra verdadero rispondi vero apenas "
        "sim não verdadeiro antwoord alleen met"
    ).split()
)
"""Words of which an instruction consists that says only in which form to answer."""

_SKETCH = re.compile(r"\{[^{}]{3,300}\}|\[\s*[\"{]")
_JSON = re.compile(r"json\b(?<=\bjson)")
_SEVERAL = (
    re.compile(r",(?<=[\w'&+\-\"`”>*)],) ?[\"'`]?[^\W\d]"),
    re.compile(r" (?<=[\w'&+\-\"`”>*),] )(?:and|und|et|y|e) [\"'`]?[^\W\d]"),
)
"""`name, date`, `name and date`. Each begins with a literal, since a search for any item takes twenty times as long."""
_ARRAY = re.compile(r"\b(?:array|list|object|liste|objekt|lista|keys?|fields?)\b")
_WORD = re.compile(r"[^\W\d]+")
PROSE_KEYS = frozenset(
    {"summary", "explanation", "reason", "reasoning", "rationale", "analysis", "answer", "reply", "response", "draft"}
    | {"caption", "feedback", "ideas", "prompt", "slogan", "suggestions", "tagline", "tips", "translation", "variants"}
    | {"steps", "advice", "recommendation", "recommendations", "paragraphs", "story", "body"}
)
"""Fields of JSON that hold prose, whatever the form is for."""
_PROSE = Literals(tuple(PROSE_KEYS))


def begins_order(text: str, at: int, sign: OrderSign) -> bool:
    """A sentence begins there with an order: `order` to write, explain or plan something, and not only a label;
    `analysis` to judge, plan or calculate something. `at`: where a text of `ORDER_STARTS` is.
    """
    if not _begins_sentence(text, at):
        return False
    order = _ORDERS[sign].match(text, at)
    return order is not None and not (sign == "order" and _LABEL_ORDER.match(text, order.end()))


def _begins_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip()
    if not before or before[-1] in ".!?:;>#*-" or "\n" in text[len(before) : at]:
        return True
    if before[-1] == ",":
        return _INTRODUCTION.search(text[max(0, at - _INTRODUCTION_CHARS) : at]) is not None
    if not text.endswith(_BEFORE_ORDER, 0, at):
        return False
    word = next(word for word in _BEFORE_ORDER if text.endswith(word, 0, at))
    return at == len(word) or _LETTER.match(text, at - len(word) - 1) is None


def states_options(text: str) -> bool:
    """The text enumerates short answers to choose from, in a sentence that asks for one of them."""
    if "|" in text:
        text = without_records(text)
    # Few texts have options at all, and the second search is for those.
    if not _enumerates(text):
        return False
    in_force = _NOT_IN_FORCE.sub(r"\1 ", f"\n{text}")[1:]
    return in_force == text or _enumerates(in_force)


def without_records(text: str) -> str:
    """The text without records, whose fields look like options: several lines with ` | ` between fields, and the names
    of the fields, as in `the records (ship | property | value)`.
    """
    if text.count("|") < _RECORD_BARS:
        return text
    if text.count(" | ") >= 2 * _RECORD_BARS:
        text = "\n".join(_lines_of_no_record(text.split("\n")))
    text = _LINE_SHAPE.sub(_kept_if_kinds, text)
    return _RECORD_SHAPE.sub(_kept_if_options, text)


def _lines_of_no_record(lines: list[str]) -> Iterator[str]:
    before = ""
    for is_row, group in itertools.groupby(lines, _is_row):
        rows = list(group)
        # Labels may fill several lines too, after a word that says what they are.
        if not is_row or len(rows) == 1 or _names_kind(before, len(before)) or _SORTS.search(before):
            yield from rows
        before = next((row for row in reversed(rows) if row.strip(" \0")), before)


def _is_row(line: str) -> bool:
    return line.count(" | ") >= _RECORD_BARS and _ROW_HEAD.match(line) is None


def _kept_if_kinds(shape: re.Match[str]) -> str:
    text, at = shape.string, shape.start()
    return shape[0] if _names_kind(text, at) or _SORTS.search(_sentence_before(text, at)) else ""


def _kept_if_options(shape: re.Match[str]) -> str:
    if shape.string.startswith("?", shape.end()):
        return shape[0]
    sentence = _sentence_before(shape.string, shape.start())
    is_record = (_ONE_A_LINE.search(shape[0]) or _RECORDS.search(sentence)) and not _SORTS.search(sentence)
    return "" if is_record else shape[0]


def _sentence_before(text: str, at: int) -> str:
    part = text[max(0, at - _BEFORE_SHAPE) : at]
    return part[max(part.rfind("\n"), part.rfind(". ")) + 1 :]


def _enumerates(text: str) -> bool:
    if _offers_choice(text):
        return True
    if ("|" in text or ("/" in text and " / " in text)) and _SLASHES.search(text):
        return True
    if ":\n" in text and any(_names_kind(text, found.start()) for found in _BULLETS.finditer(text)):
        return True
    if text.count("_") >= 2 and any(listed[1].count("_") >= 2 for listed in _LIST_OF_NAMES.finditer(text)):
        return True
    if not ("," in text or "/" in text or ";" in text):
        return False
    if text.count(",") + text.count("/") + text.count(";") < 2 or not _SEVERAL_ITEMS.search(text):
        return False
    if _LIST_AFTER.search(text) or _LIST_IN.search(text):
        return True
    if any(_holds_options(text, found) for found in _LIST.finditer(text)):
        return True
    if not _AFTER_HEAD.search(text):
        return False
    return any(not _PARTS.search(found["head"]) for found in _HEADED.finditer(text))


def _offers_choice(text: str) -> bool:
    """A sentence ends with alternatives after a colon, a verb such as `answer`, or as a question.

    Each last alternative (` or angry.`) is found first, since few texts have one; the list that it ends is then looked
    for from the beginning of its sentence, or of its line.
    """
    last_items = _LAST_ITEM.finditer(text)
    if "|" in text or "/" in text or _RARE_WORDS.find(text):
        last_items = itertools.chain(last_items, _LAST_ITEM_RARE.finditer(text))
    for last in last_items:
        at, end = last.start(), last.end() + 1
        if (text.startswith(" of ", at) and not _DUTCH.find(text)) or _COUNT.match(text, at):
            continue
        before = text[: max(text.rfind("\n", 0, at), text.rfind(". ", 0, at)) + 1].rstrip()
        start = max(0, len(before) - 1)
        if _CHOICE.search(text, start, end) or _CHOICE_AFTER.search(text, start, end):
            return True
        if text[end - 1 : end] == "?" and _CHOICE_ASKED.search(text, start, end):
            return True
    return False


def _holds_options(text: str, listed: re.Match[str]) -> bool:
    if _is_long(listed) or listed["end"].endswith("?"):
        return True
    return text[listed.start()] == "?" or _names_kind(text, listed.start())


def _is_long(listed: re.Match[str]) -> bool:
    return len(_SEPARATOR.findall(listed["items"])) + 1 >= _LONG_LIST


def _names_kind(text: str, end: int) -> bool:
    return _KIND.search(text[max(0, end - 80) : end].rstrip(": \t\n")) is not None


def lists_many(text: str) -> bool:
    """The text lists at least eight short labels, one a line or in a row, after a word that says what they are."""
    if len(_ITEM_LINE.findall(text)) >= _LONG_LIST and any(
        _names_kind(text, found.start()) for found in _SHORT_ITEMS.finditer(text)
    ):
        return True
    if sum(map(text.count, _SEPARATORS)) < _LONG_LIST - 1:
        return False
    return any(_is_long(found) and _names_kind(text, found.start()) for found in _LIST.finditer(text))


def states_scale(text: str) -> bool:
    """The text names the limits of a rating."""
    named = any(word in text for word in _SCALE_WORDS) and _SCALE.search(text) is not None
    return named or _RANGE.search(text) is not None


def states_rating(text: str, at: int) -> bool:
    """A rating with its limits begins there: `Rate the essay from 1 to 10`. `at`: where one of `RATING_STARTS` is."""
    return _RATING.match(text, at) is not None


def is_only_contract(text: str) -> bool:
    """The text says nothing but in which of a few general forms to answer: a letter, a number, yes or no."""
    return len(text) <= 120 and _CONTRACT_WORDS.issuperset(re.findall(r"[^\W_]+", text))


def names_fields(text: str) -> bool:
    """The text asks for JSON with named fields that hold values, and none that holds prose."""
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):
        return False  # the request itself is an object
    sentences = text.replace("\n", ".").split(".")
    sketches = _SKETCH.findall(text) if "{" in text or "[" in text else ()
    stated = " ".join([*sketches, *(part for part in sentences if "json" in part and _JSON.search(part))])
    if _PROSE.find(stated) and not PROSE_KEYS.isdisjoint(_WORD.findall(stated)):
        return False
    return "{" in stated or any(pattern.search(text) for pattern in _SEVERAL) or _ARRAY.search(stated) is not None
