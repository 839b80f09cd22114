"""Likeness of a message's parts: what answers that compare them follow from."""

import re
from collections import Counter
from collections.abc import Collection, Sequence

from rapidfuzz import fuzz

from pipeline.profile import answers
from traffic.hardness import QUESTION_MARKS

TEMPLATE_SHARE = 0.8
"""Minimum share of the messages that have a word for it to belong to their template."""
PART_CHARS, MESSAGE_CHARS = 600, 1500
"""Compared characters of a part and of a whole message: likeness takes quadratic time."""
FIRST_PARTS = 4
"""Number of parts at the beginning that are compared pairwise."""
FEATURES = 13
STATEMENT_WORDS, STATEMENT_OVERLAP = 4, 0.5
"""Minimum words of a statement, and minimum share of them that its text has."""
_LETTERS_OR_DIGITS = re.compile(r"[^\W\d_]+|\d+")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_SEPARATORS = re.compile(r"\n|\t| \| ")
_SENTENCES = re.compile(r"(?<=[.!?;])\s+|:\s")
_CAPTION = re.compile(r"^[^:\n]{1,30}:\s+")


def likeness(messages: Sequence[str]) -> list[list[float]]:
    """For each message, `FEATURES` numbers from 0 to 1: words, numbers and characters that its parts share.

    A message of one part has zeros.
    """
    counts = Counter(word for message in messages for word in _words(message))
    template = {word for word, n in counts.items() if n >= TEMPLATE_SHARE * len(messages)}
    return [_likeness(message, template) for message in messages]


def restates(message: str) -> bool:
    """The first or last line is no question, shorter than the others together, and mostly in their words."""
    lines = [line for line in message.splitlines() if line.strip()]
    if len(lines) < 2:
        return False
    last_is_longer = len(lines[-1]) > sum(map(len, lines[:-1]))
    statement, others = (lines[0], lines[1:]) if last_is_longer else (lines[-1], lines[:-1])
    words = _words(statement)
    if statement.rstrip().endswith(QUESTION_MARKS) or len(words) < STATEMENT_WORDS:
        return False
    return _covered(words, _words("\n".join(others))) >= STATEMENT_OVERLAP


def _likeness(message: str, template: Collection[str]) -> list[float]:
    parts = [(text, own) for text in _split(message) if (own := _words(text).difference(template))]
    if len(parts) < 2:
        return [0.0] * FEATURES
    longest, second, *_ = by_length = sorted(range(len(parts)), key=lambda n: -len(parts[n][1]))
    shortest = by_length[-1]
    texts, words = [text[:PART_CHARS] for text, _ in parts], [own for _, own in parts]
    first_others, last_others = set().union(*words[1:]), set().union(*words[:-1])
    shortest_others = set().union(*(own for n, own in enumerate(words) if n != shortest))
    rest = message[:MESSAGE_CHARS].replace(parts[shortest][0], " ")
    pairs = [fuzz.ratio(texts[a], texts[b]) for a in range(min(FIRST_PARTS, len(texts))) for b in range(a)]
    return [
        _covered(words[0], first_others),
        _covered(words[-1], last_others),
        _covered(words[shortest], shortest_others),
        _covered(words[second], words[longest]),
        _jaccard(words[second], words[longest]),
        _numbers(words[0], first_others),
        _numbers(words[-1], last_others),
        _numbers(words[second], words[longest]),
        fuzz.ratio(texts[0], texts[-1]) / 100,
        fuzz.partial_ratio(texts[shortest], rest) / 100,
        fuzz.token_set_ratio(texts[longest], texts[second]) / 100,
        fuzz.ratio(texts[longest], texts[second]) / 100,
        max(pairs) / 100,
    ]


def _split(message: str) -> list[str]:
    """The lines of a message, or its sentences if it is one line, without captions."""
    parts = [part for part in _SEPARATORS.split(message) if part.strip()]
    if len(parts) < 2:
        parts = [part for part in _SENTENCES.split(message) if part.strip()]
    return [_CAPTION.sub("", part) or part for part in parts]


def _words(text: str) -> set[str]:
    """Words in lower case, also those of names in code (`readLine`) and of amounts with a unit (`500mg`)."""
    return {part for word in answers.words(_CAMEL_CASE.sub(" ", text)) for part in _LETTERS_OR_DIGITS.findall(word)}


def _covered(words: Collection[str], others: Collection[str]) -> float:
    return len(set(words) & set(others)) / len(words)


def _jaccard(a: Collection[str], b: Collection[str]) -> float:
    return len(set(a) & set(b)) / len(set(a) | set(b))


def _numbers(a: Collection[str], b: Collection[str]) -> float:
    numbers = [{word for word in words if word.isdigit()} for words in (a, b)]
    return _jaccard(*numbers) if any(numbers) else 0.5
