"""The item of a message's list that an answer names by its number or letter."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.profile import answers, template_lines

MIN_ITEMS = 2
ALWAYS = 0.7
"""Share of the messages offering an item that choose it, above which the list alone decides, as in an exam."""
_NAME = re.compile(r"(?:[a-z]+ )?[\[(#]?([a-z]|\d{1,3})[\])]?")
_ITEM = re.compile(r"^[ \t]*(?:[-*•] )?(?:\w+ )?[\[(#]?([A-Za-z]|\d{1,3})[\])]?[.):\]]+[ \t]+(\S.*)$", re.MULTILINE)


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
