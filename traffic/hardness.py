"""Signs that a message needs reasoning: quantities, options, names in relation to each other; in any language.

Only the question for a result ("how many") is read in English alone.
"""

import itertools
import math
import re
from collections import Counter

from traffic.wording_search import Literals

READ_CHARS = 3000
LABEL_QUANTITIES = 4
QUANTITIES = 3
_WORDS_PER_QUANTITY = 2.5
_PUZZLE_CHARS = 600
_ENTITIES = 3
_TABLE_LINES, _TABLE_COLUMNS = 4, 4
_RECURRING_SHARE = 0.5
"""Minimum share of repeated names (or long words) in a puzzle."""
_OPTION = re.compile(r"(?:\n[^\S\n]*+[(（]?|\s\((?=.\)))([A-E])[).:）．、：](?=\s|[^\x00-\x7f])")
"""At the beginning of a line, or in parentheses on one line with others."""
_OTHER_OPTION = re.compile(r"\n[^\S\n]*+[(（]?([^\W\d_a-zA-Z](?=[).:）．、：])|[①-⑨])")
"""The same in another script."""
_OPTIONS = 3
_OPTION_MARKS = Literals(tuple(letter + mark for letter in "ABCDE" for mark in ").:）．、："))
"""Texts without which `_OPTION` cannot match."""
CJK = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uff66-\uff9f]+")
_DIGIT = "[0-9\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u09e6-\u09ef\u0e50-\u0e59\uff10-\uff19]"
_NO_BORDER = "A-Za-z0-9.,:/_#-"
_QUANTITY = re.compile(rf"{_DIGIT}(?<![{_NO_BORDER}]{_DIGIT})[\d.,]*(?![\d:/_-]|[A-Za-z]+\d)")
"""A number alone or before a unit, but not part of a date, time, code or address. Begins with the digit and looks
behind from there, so that the search only stops at digits. A set is searched for twice as fast as `\\d`.
"""
_ROW = re.compile(rb"(?:[^1]*+1++(?:\.1++)?+){%d}" % _TABLE_COLUMNS)
_ONES = bytes.maketrans(b"0123456789", b"1" * 10)
"""For `bytes.translate` of the text that `_ROW` reads: one character is searched several times faster than a set."""
_KINDS = "".join(
    "1" if char in "0123456789" else "a" if re.match(f"[{_NO_BORDER}]", char) else " " for char in map(chr, range(256))
).encode()
"""For `bytes.translate`: digits as 1, what a quantity cannot follow as a, all else as a space."""
_NUMBER = re.compile(
    r"\d[\d,.]*|\b(?:half|twice|dozen|double|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|hundred)\b"
)
_RESULT = re.compile(
    r"how (?:many|much|far|long|old)\b|calculate the\b|"
    r"what (?:is|was|are) the (?:total|sum|average|probability|value)\b"
)
"""A question for a result."""
_WHEN = re.compile(r"when (?:do|does|did|will|would|must) (?:they|he|she|it|we|i|the|both)\b")
_QUESTION_STARTS = Literals(
    (
        *(f"how {word}" for word in ("m", "far", "long", "old")),
        "calculate the",
        *(f"what {verb} the " for verb in ("is", "was", "are")),
        *(f"when {verb} " for verb in ("do", "does", "did", "will", "would", "must")),
    )
)
"""Texts with which `_RESULT` and `_WHEN` begin; none of them overlaps another."""
_WORD = re.compile(r"[^\W\d_]{2,}(?!\s?:)")
QUESTION_MARKS = ("?", "？", "؟")
_ANSWER_HEAD = re.compile(r"\s*[^\W\d_]{1,12}\s?[:：]")
"""`A:` at the end of a prompt that the model is to complete."""
_QUESTION_HEAD = re.compile(
    r"^\s*(?:[qfpв]|questions?|frage|pregunta|pergunta|domanda|vraag|pytanie|вопрос|問|问|質問|问题|問題|질문|سؤال|प्रश्न)\s?[:：]\s*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^[^\W\d_][\w ]{0,30}(?::(?:\s|$)|：)", re.MULTILINE)
_CLAUSE = re.compile(r"[.;,!?](?=\s|$)")
_CAPTION = re.compile(r"^[^:：\n]{1,60}[:：]\s+", re.MULTILINE)


def of_label(text: str, *, is_topic: bool = False) -> bool:
    """For tasks with a short answer: the message has answer options, quantities to weigh, or is a puzzle.

    `is_topic`: the answer is the kind or topic of the text, which no quantity decides.
    """
    weighed = not is_topic and _is_brief(text, LABEL_QUANTITIES)
    return brings_options(text) or weighed or is_puzzle(text)


def of_message(text: str) -> bool:
    """For messages without a known task: a quiz, a calculation, a case with numbers, a table or a puzzle."""
    return brings_options(text) or is_problem(text) or _is_brief(text, QUANTITIES) or _is_table(text)


def is_problem(text: str) -> bool:
    """Whatever is asked for, the answer has to be worked out first: a word problem or a puzzle."""
    return _is_word_problem(text) or is_puzzle(text)


def is_bare_question(text: str) -> bool:
    """A question of a person without any material to answer it from."""
    text = text.strip()
    return text.endswith(QUESTION_MARKS) and len(text) <= _PUZZLE_CHARS and not any(mark in text for mark in "\n:：")


def ends_with_bare_question(text: str) -> bool:
    """Nothing but a question, or an instruction and a question: no line brings material under a heading of its own."""
    before, _, last = text.strip().rpartition("\n")
    if before and _ANSWER_HEAD.fullmatch(last):
        before, _, last = before.strip().rpartition("\n")
    return is_bare_question(_QUESTION_HEAD.sub("", last)) and _HEADING.search(before) is None


def brings_options(text: str) -> bool:
    """Three options to choose from, lettered in any script."""
    marks = _OPTION_MARKS.find(text)
    if len(marks) >= _OPTIONS and len(set(_OPTION.findall(f"\n{text}"))) >= _OPTIONS:
        return True
    if text.isascii():
        return False
    others = _OTHER_OPTION.findall(f"\n{text}")
    return len(others) >= _OPTIONS and others == sorted(set(others))


def _is_brief(text: str, least: int) -> bool:
    """Running text with several quantities, which any task would have to use."""
    if len(text) >= READ_CHARS:
        return False
    # Counting digits is ten times faster than the pattern and excludes most texts.
    kinds = _kinds(text)
    if kinds.count(b"1") < least:
        return False
    if text.isascii() and kinds.startswith(b"1") + kinds.count(b" 1") < least:
        return False
    quantities = len(_QUANTITY.findall(text))
    if quantities < least:
        return False
    return not words_below(text, math.ceil(_WORDS_PER_QUANTITY * quantities))


def words_below(text: str, least: int) -> bool:
    """The text has fewer words than `least`; Chinese, Japanese and Korean have one in three characters."""
    if not text.isascii() and CJK.search(text):
        return len(text) / 3 < least
    return len(text.split(None, least)) < least


def _is_table(text: str) -> bool:
    """Lines of several numbers each."""
    if text.count("\n") < _TABLE_LINES:
        return False
    ones = text.encode("utf-8", "surrogatepass").translate(_ONES)
    if ones.count(b"1") < _TABLE_LINES * _TABLE_COLUMNS:
        return False
    rows = 0
    for line in ones.split(b"\n"):
        if _ROW.match(line):
            rows += 1
            if rows == _TABLE_LINES:
                return True
    return False


def _kinds(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass").translate(_KINDS)


def _is_word_problem(text: str) -> bool:
    """Several quantities and a question for a result."""
    lower = text[:2000].lower()
    starts = _QUESTION_STARTS.find(lower)
    if any(_RESULT.match(lower, at) for _, at in starts):
        return _has_numbers(lower, 2)
    return any(_WHEN.match(lower, at) for _, at in starts) and _has_numbers(lower, 4)


def _has_numbers(lower: str, least: int) -> bool:
    return sum(1 for _ in itertools.islice(_NUMBER.finditer(lower), least)) == least


def is_puzzle(text: str) -> bool:
    """A few clauses that relate the same few names or nouns to each other."""
    if len(text) > _PUZZLE_CHARS or text.count("\n") > 6 or len(_CLAUSE.findall(text)) < 3:
        return False
    words = _WORD.findall(_CAPTION.sub("", _without_statement(text)))
    names = [word for word in words if word[0].isupper()]
    return _recurs(names) or _recurs([word.casefold() for word in words if len(word) >= 4])


def _without_statement(text: str) -> str:
    """A last line that is compared with what stands before it (a claim, a second item) repeats its names by nature; one
    of several lines without a caption is a premise like the others.
    """
    before, _, last = text.strip().rpartition("\n")
    if "\n" in before and not _CAPTION.match(last):
        return text
    return max(before, last, key=len)


def _recurs(words: list[str]) -> bool:
    recurring = [n for n in Counter(words).values() if n >= 2]
    return len(recurring) >= _ENTITIES and sum(recurring) >= _RECURRING_SHARE * len(words)
