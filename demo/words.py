"""People, days, numbers and places of the demo, as they are written in each language (`en`, `de`, `es`)."""

import datetime as dt
import random

import msgspec

from demo import texts
from demo.texts import ListByLanguage

LANGUAGES = {"en": 0.7, "de": 0.16, "es": 0.14}
"""Share of each language in the traffic."""


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`texts/words.yaml`; months begin with January, weekdays with Monday."""

    first_names: list[str]
    last_names: list[str]
    months: ListByLanguage
    weekdays: ListByLanguage
    numbers: ListByLanguage
    rooms: list[str]
    cities: list[str]


WORDS = texts.read("words", Words)


def person(rng: random.Random) -> str:
    """First and last name; about 4,000 of them."""
    return f"{rng.choice(WORDS.first_names)} {rng.choice(WORDS.last_names)}"


def number(rng: random.Random, language: str) -> str:
    """A quantity above 1, in digits or as a word."""
    if rng.random() < 0.35:
        return rng.choice(WORDS.numbers[language])
    return str(rng.choice([rng.randint(2, 20), rng.randint(2, 60), 25 * rng.randint(1, 8)]))


def hour(rng: random.Random) -> str:
    """A time in office hours."""
    return f"{rng.randint(7, 18)}:{rng.choice(('00', '15', '30', '45'))}"


def working_day(rng: random.Random, language: str) -> str:
    """Name of a weekday."""
    return rng.choice(WORDS.weekdays[language][:5])


def day(rng: random.Random, language: str, today: dt.date) -> str:
    """A date within six weeks of `today`, as text that can follow "by", "bis" and "para el"."""
    when = today + dt.timedelta(days=rng.randint(2, 40))
    month, weekday = WORDS.months[language][when.month - 1], WORDS.weekdays[language][when.weekday()]
    n = when.day
    forms = {
        "en": (f"{n} {month}", f"{month} {n}", f"{weekday}, {n} {month}", f"next {weekday}"),
        "de": (f"{n}. {month}", f"{when:%d.%m.}", f"{weekday}, {n}. {month}", f"nächsten {weekday}"),
        "es": (
            f"{n} de {month}",
            f"{n}/{when.month}",
            f"{weekday} {n} de {month}",
            f"próximo {weekday}",
        ),
    }[language]
    return rng.choices(forms, (4, 3, 2, 2))[0]


def place(rng: random.Random, language: str) -> tuple[str, str]:
    """A place in an office building: its article (with a space, or empty), and the place."""
    room, city, hundred = rng.choice(WORDS.rooms), rng.choice(WORDS.cities), rng.randint(101, 640)
    letter, floor = rng.choice("ABCDEFG"), rng.randint(1, 9)
    places = {
        "en": (
            ("", f"room {room}"),
            ("", f"room {hundred}"),
            ("", f"building {letter}"),
            ("", f"floor {floor}"),
            ("the ", f"{city} office"),
        ),
        "de": (
            ("", f"Raum {room}"),
            ("", f"Zimmer {hundred}"),
            ("", f"Gebäude {letter}"),
            ("", f"Etage {floor}"),
            ("", f"Standort {city}"),
        ),
        "es": (
            ("la ", f"sala {room}"),
            ("el ", f"despacho {hundred}"),
            ("el ", f"edificio {letter}"),
            ("la ", f"planta {floor}"),
            ("la ", f"oficina de {city}"),
        ),
    }
    return rng.choice(places[language])
