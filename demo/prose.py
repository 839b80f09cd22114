"""Call sites whose answers are prose: short rewrites, meeting summaries, a nightly digest, and a planning agent.

`editor.polish` (Tier 1), `notes.summary` and `digest.nightly` (Tier 2; most digests are unread), `planner.agent`
(Tier 3, with function calls). Each generator returns a message and a good answer.
"""

import datetime as dt
import random
from typing import Any, NamedTuple

import msgspec

from demo import texts, words
from demo.grammar import expand, sentence_case
from demo.texts import ListByLanguage

POLISH, SUMMARY, DIGEST, AGENT = "editor.polish", "notes.summary", "digest.nightly", "planner.agent"


class Systems(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """System prompts."""

    polish: str
    summary: str
    digest: str
    agent: str


class Point(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of a meeting's notes, and its sentence in the summary."""

    note: str
    sentence: str


class ProseTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`texts/prose.yaml`."""

    systems: Systems
    sentences: ListByLanguage
    points: dict[str, list[Point]]
    chatter: ListByLanguage
    things: ListByLanguage
    errands: list[str]


TEXTS = texts.read("prose", ProseTexts)
SYSTEMS = TEXTS.systems


class Piece(NamedTuple):
    """A user message and a good answer."""

    text: str
    answer: str


def _function(name: str, description: str, **properties: str) -> dict[str, Any]:
    fields = {key: {"type": kind} for key, kind in properties.items()}
    parameters = {"type": "object", "properties": fields, "required": list(fields)}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS: list[dict[str, Any]] = [
    _function("find_free_time", "Free times that all people share on a day", people="array", day="string"),
    _function("list_rooms", "Rooms that are free, with their seats and price", day="string", seats="integer"),
    _function("book_room", "Book a room", room="string", day="string", start="string"),
    _function("invite", "Send invitations", people="array", day="string", start="string"),
    _function("order_catering", "Order food", day="string", meals="integer", budget_eur="number"),
    _function("search_trains", "Connections between two cities", origin="string", destination="string", day="string"),
]


def polish(rng: random.Random, language: str) -> Piece:
    """A sentence with typos, and its correction."""
    right = sentence_case(expand(rng.choice(TEXTS.sentences[language]), _slots(rng, language), rng))
    right += "" if right.endswith("?") else "."
    return Piece(_hurried(right, rng), right)


def summary(rng: random.Random, language: str) -> Piece:
    """Notes of a meeting, and their summary."""
    notes, sentences = [], []
    for point in (rng.choice(TEXTS.points[language]) for _ in range(rng.randint(4, 9))):
        slots = _slots(rng, language)
        notes.append(expand(point.note, slots, rng))
        sentences.append(sentence_case(expand(point.sentence, slots, rng)) + ".")
    for chatter in rng.sample(TEXTS.chatter[language], rng.randint(1, 3)):
        notes.insert(rng.randint(0, len(notes)), expand(chatter, _slots(rng, language), rng))
    return Piece("\n".join(f"- {note}" for note in notes), " ".join(sentences[:3]))


def digest(rng: random.Random, language: str, today: dt.date) -> Piece:
    """The events of a workspace's day, and their digest."""
    notes = summary(rng, language)
    return Piece(f"Workspace {rng.randint(1000, 9999)}, {today:%Y-%m-%d}\n{notes.text}", notes.answer)


def errand(rng: random.Random, today: dt.date) -> tuple[str, dict[str, Any]]:
    """A planning task for the agent, and the first function call of its answer: `name` and `arguments`."""
    people = [words.person(rng) for _ in range(rng.randint(2, 5))]
    slots = {
        "thing": rng.choice(TEXTS.things["en"]),
        "people": ", ".join(people),
        "day": f"{today + dt.timedelta(days=rng.randint(5, 30)):%Y-%m-%d}",
        "budget": str(50 * rng.randint(3, 40)),
        "city": rng.choice(words.WORDS.cities),
    }
    text = expand(rng.choice(TEXTS.errands), slots, rng)
    return text, {"name": "find_free_time", "arguments": {"people": people, "day": slots["day"]}}


def _slots(rng: random.Random, language: str) -> dict[str, str]:
    return {
        "name": rng.choice(words.WORDS.first_names),
        "other": rng.choice(words.WORDS.first_names),
        "room": rng.choice(words.WORDS.rooms),
        "weekday": words.working_day(rng, language),
        "hour": words.hour(rng),
        "number": str(rng.randint(4, 90)),
        "thing": rng.choice(TEXTS.things[language]),
    }


def _hurried(sentence: str, rng: random.Random) -> str:
    """Remove the full stop and add one or two typos; names, numbers and times are unchanged."""
    typed = sentence.rstrip(".?")
    if rng.random() < 0.7:
        typed = typed[0].lower() + typed[1:]
    tokens = typed.split(" ")
    for _ in range(rng.randint(1, 2)):
        index = rng.randrange(len(tokens))
        word = tokens[index]
        if word.isalpha() and word.islower() and len(word) > 3 and rng.random() < 0.7:
            at = rng.randint(1, len(word) - 2)
            tokens[index] = word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        elif word.islower():
            tokens.insert(index, word)
    return " ".join(tokens)
