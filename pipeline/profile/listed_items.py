"""Items that a message lists or options that it offers, and the one that an answer names."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.profile import answers, template_lines

MIN_ITEMS = 2
ALWAYS = 0.7
"""Share of the messages offering an item that choose it, above which the list alone decides, as in an exam."""
SAME_INDEX = 0.8
"""Share of the options chosen by their text that have one index in their lists, from which on they are a field."""
_LETTER = re.compile(r"(?:option |answer |choice )?[(（]?([A-J])[)）]?[.:)]?", re.IGNORECASE)
_LETTERS = re.compile(r"[A-J](?:(?:[ ,;/&+、，]|and|und|et|y|e|和)*[A-J]){1,4}")
_MARKED = re.compile(r"(?:^|\s)[(（<\[]?([A-E]|[1-5])\s?[.):．、）：>\]](?:\s|(?=[^\x00-\x7f]))", re.MULTILINE)
_LINE = re.compile(
    r"^[ \t]*(?:[(（<\[]?([^\W\d_]|[1-5])\s?[.):．、）：>\]](?:\s+|(?=[^\x00-\x7f]))|([①-⑨])\s*)(\S.*)$", re.MULTILINE
)
"""An option on a line of its own, after a letter of any script."""
_MARK = re.compile(r"\A\s*(?:[(（]?([^\W\d_])(?:\s?[.):．、）：]+\s*|$)|([①-⑨])\s*)")
"""The letter that an answer begins with, or is."""
_CHOICES = re.compile(r"^[^:：\n]{1,30}[:：]\s*(\S[^\n]*?(?: \| | / )[^\n]*)$")
"""`Choices: 12 s | 15 s | none`"""
_LAST_LINES = 2
"""Lines at the end of a message that may hold its choices: a row of a table looks alike."""
_NAME = re.compile(r"(?:[a-z]+ )?[\[(#]?([a-z]|\d{1,3})[\])]?")
_ITEM = re.compile(r"^[ \t]*(?:[-*•] )?(?:\w+ )?[\[(#<]?([A-Za-z]|\d{1,3})[\])]?[.):\]>]+[ \t]+(\S.*)$", re.MULTILINE)


def names_letter(text: str) -> bool:
    """One letter that names an option."""
    return _LETTER.fullmatch(text.strip().strip("*`\"'")) is not None


def lists_options(text: str) -> bool:
    """The text offers options: lettered (in any script), numbered, or on one line."""
    return bool(_marks(text)) or bool(_choices(text))


def _marks(text: str) -> set[str]:
    marks = set(_MARKED.findall(text))
    if len(marks) >= 3 or {"A", "B"} <= marks:
        return marks
    # Initials of names may begin lines too, but hardly ever three in a row in the order of the alphabet.
    lines = [match[1] or match[2] for match in _LINE.finditer(text)]
    return set(lines) if len(lines) >= 3 and lines == sorted(set(lines)) else set()


def option_share(texts: Sequence[str], messages: Sequence[str]) -> float:
    """Share of the answers that name options of their messages: by a letter, by several, or by their text."""
    lettered = list(map(_names_options, texts, messages))
    indices = Counter(
        index
        for text, message, by_letter in zip(texts, messages, lettered, strict=True)
        if not by_letter and (index := _chosen_index(text, message)) is not None
    )
    by_text = indices.total()
    if by_text >= MIN_ITEMS and max(indices.values()) > SAME_INDEX * by_text:
        by_text = 0
    return (sum(lettered) + by_text) / max(1, len(texts))


def _names_options(text: str, message: str) -> bool:
    if names_letter(text):
        return True
    mark = _MARK.match(text)
    if mark and not (letter := mark[1] or mark[2]).isascii() and letter in _marks(message):
        return True
    letters = re.findall("[A-J]", text) if _LETTERS.fullmatch(text.strip()) else []
    return bool(letters) and letters == sorted(set(letters)) and lists_options(message)


def _chosen_index(text: str, message: str) -> int | None:
    """Index of the option that the answer repeats."""
    offered = [match[3] for match in _LINE.finditer(message)] or _choices(message)
    labels = [answers.label(option) for option in offered]
    return next(
        (labels.index(own) for own in map(answers.label, (text, _MARK.sub("", text, 1))) if own in labels), None
    )


def _choices(message: str) -> list[str]:
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    matches = [match for line in lines[-_LAST_LINES:] if (match := _CHOICES.match(line))]
    return re.split(r" \| " if " | " in matches[-1][1] else " / ", matches[-1][1]) if matches else []


class NamedItems(NamedTuple):
    """What the answers of a shape name."""

    share: float
    """Answers that name an item."""
    rests: list[str]
    """The messages without their lists."""
    items: list[str]
    """For each answer the text of the item that it names, or the answer itself."""
    decided_by_list: bool
    """Each item is right whenever it is offered, as in an exam."""


def named(messages: Sequence[str], texts: Sequence[str]) -> NamedItems:
    """Items by number or letter. Lists that stand in every message are left out: they name the labels."""
    rests, items = [], []
    offered: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for message, text in zip(template_lines.removed(messages, form_of=str), texts, strict=True):
        name = _NAME.fullmatch(answers.label(text))
        kind = str.isdigit if name is None or name[1].isdigit() else str.isalpha
        listed = {match[1].casefold(): match for match in _ITEM.finditer(message) if kind(match[1])}
        if len(listed) < MIN_ITEMS:
            listed = {}
        chosen = listed.get(name[1]) if name else None
        items.append(answers.label(chosen[2] if chosen else text))
        offered.update(answers.label(match[2]) for match in listed.values())
        right.update(items[-1:] if chosen else ())
        rests.append(_ITEM.sub(lambda item: "" if item[1].casefold() in listed else item[0], message))  # noqa: B023
    return NamedItems(
        share=right.total() / max(1, len(texts)),
        rests=rests,
        items=items,
        decided_by_list=right.total() > ALWAYS * sum(offered[item] for item in right),
    )
