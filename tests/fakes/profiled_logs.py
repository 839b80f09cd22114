"""Records of an invented ferry company for tests of the profile: call sites of known tiers with unusual wordings."""

import datetime as dt
import json
import random
from collections.abc import Callable

import msgspec

from traffic.record import Output, Params, Record, Usage

PORTS = ("Alta", "Brevik", "Corran", "Dunoon", "Elgol", "Fionn")
NAMES = ("Ana Ruiz", "Bo Lind", "Cem Aydin", "Dora Vogt", "Eli Katz", "Finn Moe")
CLASSES = {"delay": "late", "refund": "money", "luggage": "bags"}
START = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)


def _complaint(r: random.Random) -> tuple[str, str]:
    word = r.choice(tuple(CLASSES))
    return f"the {word} on the boat to {r.choice(PORTS)} number {r.randint(1, 999)} for {r.choice(NAMES)}", CLASSES[
        word
    ]


def _booking(r: random.Random) -> tuple[str, str]:
    name, port, cars = r.choice(NAMES), r.choice(PORTS), r.randint(1, 3)
    text = f"{name} wants to go to {port} with {cars} cars, ref {r.randint(1000, 9999)}"
    return text, json.dumps({"passenger": name, "port": port, "ref": text[-4:]})


def _tidied(r: random.Random) -> tuple[str, str]:
    text = f"We will arrive in {r.choice(PORTS)} at {r.randint(1, 12)} and {r.choice(NAMES)} comes along with the dog."
    return text.replace("arrive", "arive").replace("comes along", "come allong"), text


def _fare(r: random.Random) -> tuple[str, str]:
    a, b, c, d = (r.randint(2, 40) for _ in range(4))
    text = f"A crossing costs {a} for adults, {b} for children, a car {c * 2}; groups of {d} or more pay {c}% less. "
    text += f"{r.choice(NAMES)} travels with {a % 5 + 2} adults and {b % 4 + 1} children on day {d}. What do they pay?"
    return text, str(a * 7 + b * 3 + c)


def _letter(r: random.Random) -> tuple[str, str]:
    text = " ".join(
        r.choice(("calm", "safe", "early", "again", "crew", "thanks", "sorry", "voyage")) for _ in range(40)
    )
    return f"{r.choice(NAMES)}, {r.choice(PORTS)}, {r.randint(1, 99)}", f"Dear passenger, {text}."


SITES: dict[str, tuple[int, str, Callable[[random.Random], tuple[str, str]]]] = {
    "pier.box": (1, "Notes from the pier end up in one of three trays: late, money, bags.", _complaint),
    "pier.slip": (1, "Make the slip for the purser: passenger, port, ref.", _booking),
    "pier.tidy": (1, "Give the note back the way it was meant.", _tidied),
    "pier.fare": (3, "The clerk compares the figure with the tariff.", _fare),
    "pier.letter": (2, "Something kind for the passenger, in our name.", _letter),
}
"""Tier, system prompt and a generator of message and answer, by call site."""


def records(per_site: int = 80, *, tagged: bool = True, seed: int = 1) -> list[Record]:
    """The requests of two weeks, the sites in turn."""
    r = random.Random(seed)
    records = []
    for n in range(per_site * len(SITES)):
        name = tuple(SITES)[n % len(SITES)]
        _, system, make = SITES[name]
        text, answer = make(r)
        messages = [{"role": "system", "content": system}, {"role": "user", "content": text}]
        records.append(
            Record(
                id=f"r{n}",
                request_id=f"r{n}",
                ts=START + dt.timedelta(minutes=30 * n),
                call_site=name if tagged else None,
                messages=msgspec.Raw(msgspec.json.encode(messages)),
                params=Params(max_tokens=4096),
                output=Output(text=answer, finish_reason="stop"),
                usage=Usage(input_uncached=60 + len(text) // 4, output=max(1, len(answer) // 4)),
                provider="openai",
                model="gpt-4o",
                cost_usd=0.001,
                source_format="native",
            )
        )
    return records
