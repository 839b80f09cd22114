"""Call site `helpdesk.topic`: messages to Brightdesk's help desk, classified by one of twelve topics.

A message states its problem, often with a remark on another topic that is already solved, so that the words of a topic
alone do not determine the label.
"""

import random
from typing import NamedTuple

import msgspec

from demo import texts, words
from demo.grammar import expand, sentence_case
from demo.texts import ByLanguage, ListByLanguage

CALL_SITE = "helpdesk.topic"


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One label."""

    meaning: str
    """Description in the system prompt."""
    confused_with: str
    """Topic it is confused with."""
    off_list: str
    """An invented label outside of the label set."""
    problems: ListByLanguage


class TicketTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`texts/tickets.yaml`."""

    system: str
    topics: dict[str, Topic]
    before: ByLanguage
    after: ByLanguage
    solved: ListByLanguage


TEXTS = texts.read("tickets", TicketTexts)
TOPICS = TEXTS.topics
LABELS = tuple(TOPICS)
SYSTEM = TEXTS.system.format(topics="\n".join(f"- {label}: {topic.meaning}" for label, topic in TOPICS.items()))


class Ticket(NamedTuple):
    """A message and its topic."""

    text: str
    label: str


def ticket(rng: random.Random, language: str) -> Ticket:
    """A random message; topics are equally likely."""
    label = rng.choice(LABELS)
    before, after = (expand(pattern[language], {}, rng) for pattern in (TEXTS.before, TEXTS.after))
    problem = _problem(rng, language, label)
    text = before + (problem if before else sentence_case(problem)) + after
    if rng.random() < 0.3:
        other = _problem(rng, language, rng.choice([name for name in LABELS if name != label]))
        remark = expand(rng.choice(TEXTS.solved[language]), {"problem": other}, rng)
        text = f"{remark} {text}" if rng.random() < 0.4 else f"{text} {remark}"
    return Ticket(text, label)


def _problem(rng: random.Random, language: str, label: str) -> str:
    slots = {
        "name": words.person(rng),
        "number": str(rng.randint(2, 40)),
        "digits": str(rng.randint(100, 980)),
        "letter": rng.choice("ABCDEFGH"),
        "room": rng.choice(words.WORDS.rooms),
        "hour": words.hour(rng),
        "month": rng.choice(words.WORDS.months[language]),
        "weekday": words.working_day(rng, language),
    }
    return expand(rng.choice(TOPICS[label].problems[language]), slots, rng)
