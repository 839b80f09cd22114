"""The form of a group of answers: records with the same keys, short ones (labels, values), or text of some length.

Two prompts under one system prompt are two tasks if their answers have two forms. What the answers are about tells
nothing: one task's answers differ with the data too.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.profile.answers import label, structured, words
from pipeline.profile.quantities import is_number

LABEL_WORDS = 6
MIN_LABELS = 2
"""Labels of a group below which it is no label set: a phrase of the data can fix the label of all messages with it."""
LONGER = 2
"""How much longer the short quarter of one group's texts is than the long quarter of another's, if they differ."""


class AnswerForm(NamedTuple):
    """What a group's answers look like; `names` are the keys of records or the labels of short answers."""

    kind: str
    names: frozenset[str]
    words_p25: int
    words_p75: int

    def differs(self, other: "AnswerForm") -> bool:
        if self.kind != other.kind:
            return True
        if self.kind == "text":
            return max(self.words_p25, other.words_p25) > LONGER * min(self.words_p75, other.words_p75)
        if self.kind == "short" and min(len(self.names), len(other.names)) < MIN_LABELS:
            return False
        return len(self.names & other.names) < 0.5 * min(len(self.names), len(other.names))


def form_of(answers: Sequence[str]) -> AnswerForm:
    """The form that most of the answers have."""
    values = [structured(answer) for answer in answers]
    keys = Counter(frozenset(value) for value in values if isinstance(value, dict))
    if keys.total() > 0.5 * len(answers):
        return AnswerForm("record", keys.most_common(1)[0][0], 0, 0)
    lengths = sorted(len(words(answer)) for answer in answers) or [0]
    p25, p75 = lengths[len(lengths) // 4], lengths[3 * len(lengths) // 4]
    if p75 > LABEL_WORDS:
        return AnswerForm("text", frozenset(), p25, p75)
    counts = Counter(label(answer) for answer in answers if not is_number(answer))
    recurring = {text: n for text, n in counts.items() if n > 1}
    closed = sum(recurring.values()) >= 0.8 * len(answers)
    return AnswerForm("short", frozenset(recurring) if closed else frozenset(), p25, p75)


def distinct_forms(groups: Sequence[Sequence[str]]) -> int:
    """How many of the groups' forms differ from one another."""
    known: list[AnswerForm] = []
    for answers in groups:
        form = form_of(answers)
        if all(form.differs(other) for other in known):
            known.append(form)
    return len(known)
