"""What an instruction states about its answer by form alone: options to choose from, fields to fill.

Read from punctuation, the words for `or`, and few nouns, so that it holds in any application's words. All
functions take lower-case text.
"""

import itertools
import re
from collections.abc import Iterable

from traffic.wording_search import beginnings, pattern_text

_NO_ITEM = (
    r"(?!(?:in|with|from|by|to|for|at|on|of|as|and|the|an?|your|its|what|who|how|why|when|where|yyyy|mm|dd|he|she|they)"
    r"\b)"
)
_ITEM = rf"{_NO_ITEM}[\"'`“”<*]?[\w'&+-]++(?:\.[\w-]++)*(?: [\w'&+-]++){{0,2}}[\"'`“”>*]?"
_OR = r"(?:or|else|oder|ou|o|of|lub|czy|eller|или|veya)"
_COMMA = r"(?:, ?| ?[|/;·] ?)"
_END = r"(?=\s*[.?!;)\]}\n>\"'`]|\s*$)"
_ALTERNATIVES = rf"{_ITEM}(?:{_COMMA}{_ITEM})*(?:,? {_OR} (?:an? )?| ?[|/] ?){_ITEM}{_END}"
# Patterns that begin with a character, not with a border, are searched several times faster, with two characters faster
# still.
_LAST_ITEM = re.compile(rf" o(?:r|der|u|f)? (?:an? )?{_ITEM}{_END}")
_LAST_ITEM_RARE = re.compile(rf"(?: (?:else|lub|czy|eller|или|veya) (?:an? )?|[|/] ?){_ITEM}{_END}")
_RARE_OR = ("|", "/", " else ", " lub ", " czy ", " eller ", " или ", " veya ")
"""Texts without which `_LAST_ITEM_RARE` cannot match."""
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
_LIST_AFTER = re.compile(rf"(?:one of|any of)(?: these| the following)?:? {_ITEM}(?:{_COMMA}{_ITEM}){{2,}}")
"""`one of red, green, blue`."""
_LIST_IN = re.compile(rf"in (?<=\b[a-z] in )[\[{{(]?{_ITEM}(?:, {_ITEM}){{2,}}{_END}")
"""`x in red, green, blue`."""
_KIND = re.compile(
    r"\b(?:labels?|categor\w+|topics?|types?|kinds?|class(?:es)?|queues?|choices?|options?|intents?|genres?|status\w*|"
    r"aspects?|reasons?|teams?|departments?|severity|priority|urgency|levels?|moods?|sentiments?|tones?|emotions?|tags?|"
    r"codes?|families|sections?|groups?|verdicts?|kategori\w*|themen|thema|catégories?|thèmes?|categorías?|temas?|tipos?|"
    r"categorie|tipi?|one of|from|which|what|welche\w*|quelle?s?|cuál\w*|quale)\b[^.:?!\n(]{0,40}$"
)
"""Words before a list that say what its items are; the list follows."""
_LONG_LIST = 8
_SEVERAL_ITEMS = re.compile(rf"[,|/;·] ?{_ITEM}(?: ?[,|/;·]|,? {_OR} )")
"""What every list has."""
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

_ORDERS = (
    r"(write|draft|compose|create|generate|suggest|describe|design|translate|invent|explain|prepare|summari[sz]e)",
    r"(propose|outline|produce|condense|plan|review (the|this|our|each|every))",
    r"answer (the|a|an|our|(\w+ )?questions?|customers?|from|in(?! \w+ (lines?|words?)\b)|using|users?)",
    r"(schreib\w*|erstell\w*|verfass\w*|entwirf|übersetz\w*|erklär\w*|fasse)",
    r"(rédige[rz]?|écri[sv]\w*|tradui\w*|résume\w*|redact\w*|escrib\w*|traduc\w*|resum\w*|redig\w*|escrev\w*|scriv\w*)",
    r"(riassum\w*|schrijf|maak|skriv|napisz|напиши)",
)
_OBJECT = (
    r"(?= (?:the|this|that|these|those|our|your|their|its|his|her|my|each|every|all|any|an?|both|whether|why|how|what|"
    r"which|who|where|when|if|from|against|for)\b)"
)
"""What follows a verb that is a noun too: `review the lease`, but not `review text` or `plan b`."""
_ANALYSES = (
    r"(analy[sz]e|diagnose|investigate|argue|negotiate|prioriti[sz]e|optimi[sz]e|reconcile|advise|evaluate|compare)",
    rf"(critique|review|audit|assess|judge|estimate|forecast|plan|design|develop|devise|rank|challenge|weigh){_OBJECT}",
    rf"(recommend|interpret|schedule|solve|compute|calculate|derive|defend|refute|rebut|deduce|predict){_OBJECT}",
    r"(work|find|figure|think|set) (it )?(out|through)",
    r"(determine|find|explain) (why|how|what|who|where|when|which)",
    r"(analysier\w*|beurteile\w*|vergleiche|ermittle|untersuche|entwickle|entwirf|plane|berate|empfiehl|schätze)",
    r"(analyse[rz]|évalue[rz]?|compare[rz]|planifie[rz]?|conseille[rz]?|recommande[rz]?|estime[rz]?|élabore[rz]?)",
    r"(analiza|evalúa|planifica|recomienda|elabora|diseña|avalie|planeje|recomende|analizza|valuta|confronta|pianifica)",
    r"(analyseer|beoordeel|vergelijk|adviseer|przeanalizuj|porównaj|zaplanuj|oszacuj|проанализируй\w*|сравни\w*)",
)
_ORDER = re.compile(rf"(?:{pattern_text(_ORDERS)})\b")
_ANALYSIS = re.compile(rf"(?:{pattern_text(_ANALYSES)})\b")
_STARTS_OF_WRITING = [f" {text}" for wording in _ORDERS for text in sorted(beginnings(wording))]
ORDER_STARTS = (
    *_STARTS_OF_WRITING,
    *(f" {text}" for wording in _ANALYSES for text in sorted(beginnings(wording))),
)
"""Texts with which every order begins."""
_BEFORE_ORDER = re.compile(r"\b(?:please|and|then|now|you|task is to|job is to) \Z")
_BEFORE_ORDER_CHARS = len("task is to ") + 1
_INTRODUCTION = re.compile(r"(?:^|[.!?:>\n] ?)(?:as|given|from|using|based on|with|after|for|in) [^.!?:\n,]{1,80}, \Z")
"""`As our auditor, judge ...`: a phrase that stands before the verb of an order."""
_INTRODUCTION_CHARS = 100
_LABEL_ORDER = re.compile(r"\s*(?:[\w-]+ ){0,3}(?:label|category|name|word|code|id|intent|class|yes|nothing)\b")

_NOT_IN_FORCE = re.compile(
    r"(?:^|(?<=[.!?;] )|(?<=\n))[\s\-*•>\d.)(]*"
    r"(?:do not|don't|never|avoid|if|unless|in case|nicht|wenn|falls|sofern|ne |si|no(?= (?:di|uses|des)))\b[^.!?;\n]*"
)
"""A sentence that forbids something or holds in one case only."""

_SCALE_WORDS = ("rate", "rating", "score", "scale", "star", "grade")
_SCALE = re.compile(rf"\b(?:{'|'.join(_SCALE_WORDS)})s?\b")
_RANGE = re.compile(
    r"(?<![\d.,/-])\d{1,2} ?(?:[-–]|to|bis|à|a|tot|do|до) ?\d{1,3}(?![.,-]\d)(?=\s*(?:[.,;:!?)\]}\n]|only\b|$))"
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
_JSON = re.compile(r"\bjson\b", re.IGNORECASE)
_SEVERAL = (
    re.compile(r",(?<=[\w'&+\-\"`”>*)],) ?[\"'`]?[^\W\d]"),
    re.compile(r" (?<=[\w'&+\-\"`”>*),] )(?:and|und|et|y|e) [\"'`]?[^\W\d]"),
)
"""`name, date`, `name and date`. Each begins with a literal, since a search for any item takes twenty times as long."""
_ARRAY = re.compile(r"\b(?:array|list|object|liste|objekt|lista|keys?|fields?)\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d]+")
PROSE_KEYS = frozenset(
    {"summary", "explanation", "reason", "reasoning", "rationale", "analysis", "answer", "reply", "response", "draft"}
    | {"steps", "advice", "recommendation", "recommendations", "paragraphs", "story", "body"}
)
"""Fields of JSON that hold prose, whatever the form is for."""


def orders(text: str, starts: Iterable[tuple[int, int]]) -> set[str]:
    """What sentences begin with an order for: `order` to write, explain or plan, and not only a label; `analysis` to
    judge, plan or calculate something. `starts`: indexes in `ORDER_STARTS`, and where they are in the text.
    """
    names = set[str]()
    for start, at in starts:
        name = "order" if start < len(_STARTS_OF_WRITING) else "analysis"
        if name in names or not _begins_sentence(text, at):
            continue
        order = (_ORDER if name == "order" else _ANALYSIS).match(text, at)
        if order is not None and not (name == "order" and _LABEL_ORDER.match(text, order.end())):
            names.add(name)
    return names


def _begins_sentence(text: str, at: int) -> bool:
    before = text[:at].rstrip()
    if not before or before.endswith((".", "!", "?", ":", ";", ">", "#", "*", "-")) or "\n" in text[len(before) : at]:
        return True
    if before.endswith(","):
        return _INTRODUCTION.search(text[max(0, at - _INTRODUCTION_CHARS) : at]) is not None
    return _BEFORE_ORDER.search(text[max(0, at - _BEFORE_ORDER_CHARS) : at]) is not None


def states_options(text: str) -> bool:
    """The text enumerates short answers to choose from, in a sentence that asks for one of them."""
    # Few texts have options at all, and the second search is for those.
    return _enumerates(text) and _enumerates(_NOT_IN_FORCE.sub(" ", text))


def _enumerates(text: str) -> bool:
    if _offers_choice(text):
        return True
    if ("|" in text or " / " in text) and _SLASHES.search(text):
        return True
    if ":\n" in text and any(_names_kind(text, found.start()) for found in _BULLETS.finditer(text)):
        return True
    if text.count(",") + text.count("/") + text.count(";") < 2 or not _SEVERAL_ITEMS.search(text):
        return False
    if (" of" in text and _LIST_AFTER.search(text)) or _LIST_IN.search(text):
        return True
    if any(_holds_options(text, found) for found in _LIST.finditer(text)):
        return True
    if not _AFTER_HEAD.search(text):
        return False
    return any(not _PARTS.search(found["head"]) for found in _HEADED.finditer(text))


def _offers_choice(text: str) -> bool:
    """Looked for from the last alternative back to the beginning of its sentence."""
    last_items = _LAST_ITEM.finditer(text)
    if any(separator in text for separator in _RARE_OR):
        last_items = itertools.chain(last_items, _LAST_ITEM_RARE.finditer(text))
    for last in last_items:
        at, end = last.start(), last.end() + 1
        before = text[: max(text.rfind("\n", 0, at), text.rfind(". ", 0, at)) + 1].rstrip()
        start = max(0, len(before) - 1)
        if _CHOICE.search(text, start, end) or _CHOICE_AFTER.search(text, start, end):
            return True
        if text[end - 1 : end] == "?" and _CHOICE_ASKED.search(text, start, end):
            return True
    return False


def _holds_options(text: str, listed: re.Match[str]) -> bool:
    if listed["items"].count(",") + 1 >= _LONG_LIST or listed["end"].endswith("?"):
        return True
    return text[listed.start()] == "?" or _names_kind(text, listed.start())


def _names_kind(text: str, end: int) -> bool:
    return _KIND.search(text[max(0, end - 80) : end]) is not None


def lists_many(text: str) -> bool:
    """The text lists at least eight short items, one a line or in a row."""
    if text.count("\n") >= _LONG_LIST and _SHORT_ITEMS.search(text):
        return True
    return text.count(",") >= _LONG_LIST - 1 and any(
        found["items"].count(",") + 1 >= _LONG_LIST for found in _LIST.finditer(text)
    )


def states_scale(text: str) -> bool:
    """The text names the limits of a rating."""
    named = any(word in text for word in _SCALE_WORDS) and _SCALE.search(text) is not None
    return named or _RANGE.search(text) is not None


def is_only_contract(text: str) -> bool:
    """The text says nothing but in which of a few general forms to answer: a letter, a number, yes or no."""
    return len(text) <= 120 and _CONTRACT_WORDS.issuperset(re.findall(r"[^\W_]+", text))


def names_fields(text: str) -> bool:
    """The text asks for JSON with named fields that hold values, and none that holds prose."""
    if text.lstrip().startswith("{") and text.rstrip().endswith("}"):
        return False  # the request itself is an object
    sentences = text.replace("\n", ".").split(".")
    stated = " ".join([*_SKETCH.findall(text), *filter(_JSON.search, sentences)])
    if not PROSE_KEYS.isdisjoint(_WORD.findall(stated)):
        return False
    return "{" in stated or _ARRAY.search(stated) is not None or any(pattern.search(text) for pattern in _SEVERAL)
