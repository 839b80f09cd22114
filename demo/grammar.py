"""Sentences out of patterns: `[a|b]` chooses, `{slot}` is filled in.

    expand("[Please|Kindly] send {item}.", {"item": "two desks"}, rng)

Choices may be nested and may be empty (`[ today|]`). One random generator in, the same text out.
"""

import random
import re
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_SLOT = re.compile(r"\{(\w+)\}")


def expand(pattern: str, slots: Mapping[str, str], rng: random.Random) -> str:
    """The pattern with its choices made and its slots filled. Raises: KeyError for a slot without a value."""
    while choice := _CHOICE.search(pattern):
        pattern = pattern[: choice.start()] + rng.choice(choice[1].split("|")) + pattern[choice.end() :]
    return _SLOT.sub(lambda slot: slots[slot[1]], pattern)


def slots_of(pattern: str) -> frozenset[str]:
    """Names of the slots in a pattern, those inside choices included."""
    return frozenset(_SLOT.findall(pattern))


def weighted(rng: random.Random, choices: Mapping[T, float]) -> T:
    """One of the keys, by weight."""
    return rng.choices(list(choices), list(choices.values()))[0]


def zipf(rng: random.Random, items: Sequence[T], exponent: float = 1.1) -> T:
    """One of the items; the n-th comes up about n^exponent times less often than the first."""
    bounds = list(accumulate(1 / (place + 1) ** exponent for place in range(len(items))))
    return rng.choices(items, cum_weights=bounds)[0]


def sentence_case(text: str) -> str:
    """The text with its first letter in upper case."""
    return text[:1].upper() + text[1:]
