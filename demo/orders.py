"""Call site `orders.extract`: mails that order office equipment, and the five values to extract.

A mail states recipient, item, quantity, date and place; date and place may be missing, and other names, dates, numbers
and items occur as distractors. Every value is a span of the text.
"""

import datetime as dt
import random
from typing import Any, NamedTuple

import msgspec

from demo import texts, words
from demo.grammar import expand, sentence_case
from demo.texts import ByLanguage, ListByLanguage

CALL_SITE = "orders.extract"
FIELDS = ("name", "item", "quantity", "date", "place")


class OrderTexts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`texts/orders.yaml`."""

    system: str
    properties: ListByLanguage
    items: ListByLanguage
    openings: ByLanguage
    cores: ListByLanguage
    to: ByLanguage
    by: ByLanguage
    place_apart: ByLanguage
    date_apart: ByLanguage
    recipient: ByLanguage
    noise: ListByLanguage
    closings: ByLanguage


TEXTS = texts.read("orders", OrderTexts)
SYSTEM = TEXTS.system

_VALUE = {"type": ["string", "null"]}
RESPONSE_FORMAT: dict[str, Any] = {
    "type": "json_schema",
    "json_schema": {
        "name": "order",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": dict.fromkeys(FIELDS, _VALUE),
            "required": list(FIELDS),
            "additionalProperties": False,
        },
    },
}


class Order(NamedTuple):
    """A mail and the values in it; None where the mail does not state one."""

    text: str
    values: dict[str, str | None]


def order(rng: random.Random, language: str, today: dt.date) -> Order:
    """One mail, written on `today`."""
    signer = words.person(rng)
    recipient = words.person(rng) if rng.random() < 0.4 else None
    article, place = words.place(rng, language)
    values: dict[str, str | None] = {
        "name": recipient or signer,
        "item": _item(rng, language),
        "quantity": words.number(rng, language),
        "date": words.day(rng, language, today) if rng.random() < 0.8 else None,
        "place": place if rng.random() < 0.7 else None,
    }
    slots = {key: value or "" for key, value in values.items()} | {"art": article}
    slots["goods"] = f"{values['quantity']} {values['item']}"
    extra_sentences = _place_and_date(rng, language, values, slots)
    if recipient:
        extra_sentences.append(expand(TEXTS.recipient[language], slots, rng))
    for pattern in rng.sample(TEXTS.noise[language], rng.choices((0, 1, 2), (3, 5, 2))[0]):
        extra_sentences.append(_noise(pattern, rng, language, today))
    rng.shuffle(extra_sentences)
    core = expand(rng.choice(TEXTS.cores[language]), slots, rng)
    return Order(_mail(rng, language, core, extra_sentences, signer), values)


def _place_and_date(
    rng: random.Random, language: str, values: dict[str, str | None], slots: dict[str, str]
) -> list[str]:
    """Put place and date into the main sentence (slots `to`, `by`) or return them as separate sentences."""
    extra_sentences = []
    for key, value, inside, outside in (
        ("to", "place", TEXTS.to, TEXTS.place_apart),
        ("by", "date", TEXTS.by, TEXTS.date_apart),
    ):
        together = rng.random() < 0.65
        slots[key] = expand(inside[language], slots, rng) if values[value] and together else ""
        if values[value] and not together:
            extra_sentences.append(expand(outside[language], slots, rng))
    return extra_sentences


def _item(rng: random.Random, language: str) -> str:
    item = rng.choice(TEXTS.items[language])
    if rng.random() < 0.3:
        return item
    adjective = rng.choice(TEXTS.properties[language])
    return f"{item} {adjective}" if language == "es" else f"{adjective} {item}"


def _noise(pattern: str, rng: random.Random, language: str, today: dt.date) -> str:
    past = today - dt.timedelta(days=rng.randint(20, 120))
    slots = {
        "other": _item(rng, language),
        "other_date": words.day(rng, language, past - dt.timedelta(days=40)),
        "other_digits_date": f"{past.day}.{past.month}." if language == "de" else f"{past.day}/{past.month}",
        "other_number": str(rng.randint(4, 90)),
        "other_name": words.person(rng),
        "digits": str(rng.randint(1000, 99999)),
    }
    return expand(pattern, slots, rng)


def _mail(rng: random.Random, language: str, core: str, extra_sentences: list[str], signer: str) -> str:
    opening, closing = (expand(pattern[language], {}, rng) for pattern in (TEXTS.openings, TEXTS.closings))
    if rng.random() < 0.3:
        opening = ""
    # After the comma of a salutation both lower and upper case are usual.
    if not opening or rng.random() < 0.5:
        core = sentence_case(core)
    body = " ".join(part for part in (opening, core, *extra_sentences) if part)
    return f"{body}{rng.choice((' ', chr(10), chr(10) * 2))}{closing} {signer}"
