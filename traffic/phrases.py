"""Signs in an instruction of what it asks for: a label, an extraction, a proof, a summary.

A sign is found by wordings (`phrases.yaml`). Most are English; common output contracts ("answer with exactly one word")
are also in German, French, Spanish, Portuguese, Japanese, Chinese, Arabic and Hindi. Negated clauses, conditions and
remarks on the past are removed before the search.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

import msgspec

from traffic import config
from traffic.wording_search import WordingSearch, after, pattern_text, words_of

_ENDS = ((". ", ".\n"), ("! ", "!\n"), ("? ", "?\n"), ("; ", ";\n"))
_WIDE_ENDS = (("。", "。\n"), ("！", "！\n"), ("？", "？\n"))
_PAST = re.compile(
    r"\b(?:no longer|any ?more|used to (?:be|have|return|send|support|exist|ask)|earlier|previously|formerly|legacy|"
    r"previous (?:version|variant)|historic\w*|withdrawn|retired|deprecated|obsolete|switched off|turned off|kept for|"
    r"abolished|abgeschafft|altbestand|früher\w*|ancienne(?:ment)?|antiguamente|removed in|"
    r"(?:until|up to) (?:v|version|build))\b|旧|以前|過去"
)
_PAST_HINTS = (
    "no longer", "anymore", "any more", "used to ", "earlier", "previous", "formerly", "legacy", "historic",
    "withdrawn",
    "retired", "deprecated", "obsolete", "ed off", "kept for", "abolished", "abgeschafft", "altbestand", "früher",
    "ancienne", "antiguamente", "removed in", "until v", "until build", "up to v", "up to build", "旧", "以前", "過去",
)  # fmt: skip
_CONDITIONS = frozenset({"if", "unless", "case", "wenn", "falls", "sofern", "si"})
_CONDITION_STARTS = frozenset(word[:2] for word in ("if", "unless", "in case", "wenn", "falls", "sofern", "si"))
_ITEMS = ("", "-", "*", "•")
_BULLETS = " \t-*•>0123456789.)("
_NEGATIONS = frozenset(
    {"no", "not", "never", "without", "nor", "don", "doesn", "cannot", "can", "avoid", "instead", "rather"}
    | {"kein", "keine", "keinen", "keiner", "keinem", "keines", "nicht", "ohne", "sans", "pas", "sin"}
)
"""Words without which `_NEGATED` cannot match."""
_CONDITION = re.compile(r"[\s\-*•>\d.)(]*(?:if|unless|in case|wenn|falls|sofern|si)\b")
_NEGATED = re.compile(
    r"\b(?<!\bor )(?<!\bvs )(?:no(?= [a-z]{2,})|not|never|without|nor|don't|doesn't|cannot|can't|avoid|instead of|"
    r"rather than|kein\w*|nicht|ohne|sans|pas de|sin)\b[^,.:\n()]{0,60}"
)


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
_SEARCH = WordingSearch(_PHRASES.resolved())
_SPACELESS_SIGNS = [(name, re.compile(pattern_text(wordings))) for name, wordings in _PHRASES.spaceless.items()]
# These two search the original text: they depend on line ends and capitals.
_LABEL_LIST = re.compile(
    r"[:(]\s*(?:(?:\n?[ \t]*[-*•\d][^\n]{1,80}\n){2}|(?:[\w\"'`&-]+(?: [\w\"'`&-]+){0,2}\s?[,|/]\s*){2})"
)
_LISTING = frozenset({"reply", "output", "answer", "return", "respond", "say", "print", "write"})
_CAPITAL_LABELS = re.compile(
    rf"(?i:{'|'.join(sorted(_LISTING))})\b[^.\n]{{0,20}}\b[A-Z_]{{2,}}"
    r"(?:, [A-Z_]{2,})*(?:,? or |[,;]? (?:otherwise|else) | ?[/|] ?)[A-Z_]{2,}\b"
)
_OPTION = r"(?!(?:what|who|how|why|when|where)\b)[\w'&/-]+(?: [\w'&/-]+)?"
_LAST_OPTIONS = re.compile(
    rf"(?:^|[.!?\n] ?)(?P<head>[^:.!?\n]{{2,120}}): ?{_OPTION}(?:, ?{_OPTION})+"
    rf"(?:,? (?:or|oder|ou|o) {_OPTION}|, ?{_OPTION})\.?\s*\Z"
)
"""`Tone of the message: neutral, worried, hostile.` at the end: options, and nothing that says what to do with them."""
_WRITES = re.compile(
    r"\b(?:condense|outline|cover|covers|covering|include|includes|prepare|memo|overview|sections|parts|headings|style|keep|"
    r"clean|erstell\w*|verfass\w*|schreib\w*|entwirf|rédige[rz]?|écri[sv]\w*|redact\w*|escrib\w*|redig\w*|escrev\w*|"
    r"scriv\w*|schrijf|maak|skriv|napisz|напиши)\b"
)
"""Verbs and nouns of texts whose parts such a list may name."""
_JSON_SKETCH = re.compile(r"\{[^{}]{3,300}\}")
_SKETCHED_VALUE = re.compile(r"[\"']?\w+[\"']?\s*:\s*([^,{}]+)")
_CHOICE = re.compile(r"bool(?:ean)?|[\"']?[\w -]+(?: ?[|/] ?[\w -]+)+[\"']?|true ?(?:[|/]|or) ?false")
_TWO_OBJECTS = re.compile(r"\{[^{}]{3,60}\},? (?:or|oder|ou|o) \{[^{}]{3,60}\}")
_SPACELESS = re.compile("[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")


def standing(text: str) -> str:
    """The instruction in lower case, without negated clauses, conditions and remarks on the past."""
    lower = text.lower()
    return _standing(lower, words_of(lower))


def _standing(lower: str, words: set[str]) -> str:
    # str.replace is ten times faster than a split by pattern; this is most of the time of a new text.
    for end, cut in _ENDS if lower.isascii() else (*_ENDS, *_WIDE_ENDS):
        lower = lower.replace(end, cut)
    past = any(hint in lower for hint in _PAST_HINTS)
    negations = _NEGATIONS & words
    conditions = not _CONDITIONS.isdisjoint(words)
    sentences = []
    for sentence in lower.split("\n"):
        # List items of one word are labels, not instructions.
        if sentence[:1] in _ITEMS and " " not in sentence.strip(" -*•\t"):
            continue
        if conditions and sentence.lstrip(_BULLETS)[:2] in _CONDITION_STARTS and _CONDITION.match(sentence):
            continue
        if past and _PAST.search(sentence):
            continue
        for word in negations:
            if word in sentence:
                sentence = _NEGATED.sub(" ", sentence)  # noqa: PLW2901
                break
        sentences.append(sentence)
    return "\n".join(sentences)


def _signs_in(text: str) -> set[str]:
    lower = text.lower()
    words = words_of(lower)
    instruction = _standing(lower, words)
    names = _SEARCH.find(instruction, words)
    if not instruction.isascii() and _SPACELESS.search(instruction):
        names |= {name for name, pattern in _SPACELESS_SIGNS if pattern.search(instruction)}
    if ":" in text and _LABEL_LIST.search(text):
        names.add("list")
    if "label" not in names and any(_lists_capitals(text, lower, word) for word in _LISTING & words):
        names.add("label")
    if '{"' in text:
        names.add("json")
    return names


def _lists_capitals(text: str, lower: str, word: str) -> bool:
    """`word` (such as answer) is followed by labels in capitals: "Answer ALLOW or BLOCK"."""
    start = lower.find(word)
    while start >= 0:
        if _CAPITAL_LABELS.match(text, start) and not text[start - 1 : start].isalnum():
            return True
        start = lower.find(word, start + 1)
    return False


# Prompts with values of the user still share most of their paragraphs.
@lru_cache(maxsize=4096)
def _signs_of_paragraph(text: str) -> frozenset[str]:
    return frozenset(_signs_in(text))


def signs(text: str, head: int = 700, tail: int = 350, *, repeats: bool = True) -> frozenset[str]:
    """Signs in an instruction: `label`, `extraction`, `reasoning`, ...

    Reads only the first `head` and the last `tail` characters of a long text. `repeats`: cache the result of each
    paragraph, because they are likely to recur.
    """
    if len(text) > head + tail:
        text = f"{text[:head]}\n\n{text[-tail:]}"
    names = set().union(*map(_signs_of_paragraph, text.split("\n\n"))) if repeats else _signs_in(text)
    writes = not names.isdisjoint(("generation", "explanation", "summary"))
    if {"list", "bare"} <= names and "json" not in names and not writes:
        names.add("label")
    if not writes and "rewrite" not in names and (_sketches_choices(text) or (repeats and _ends_with_options(text))):
        names.add("options")
    if "json" in names and not names.isdisjoint(("reading", "parsing")) and not writes:
        names.add("extraction")
    return frozenset(names)


def _ends_with_options(text: str) -> bool:
    # Most instructions have no colon so near to their end.
    tail = text[-400:].lower()
    options = _LAST_OPTIONS.search(tail) if ":" in tail else None
    return options is not None and not _WRITES.search(options["head"])


def _sketches_choices(text: str) -> bool:
    """The answer is a JSON object whose values are all out of a few: `{"toxic": bool, "kind": "spam|threat"}`."""
    if "{" not in text:
        return False
    if _TWO_OBJECTS.search(text):
        return True
    sketches = [_SKETCHED_VALUE.findall(sketch) for sketch in _JSON_SKETCH.findall(text)]
    return any(values and all(_CHOICE.fullmatch(value.strip()) for value in values) for values in sketches)


signs_of_system = lru_cache(maxsize=1024)(signs)
"""`signs` with a cache: a call site sends the same system prompt with every request."""
