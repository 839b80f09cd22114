"""Sentences from patterns: `[a|b]` is a choice, `{slot}` is filled in.

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
    """Expand a pattern's choices and slots. Raises: KeyError for a slot without a value."""
    while choice := _CHOICE.search(pattern):
        pattern = pattern[: choice.start()] + rng.choice(choice[1].split("|")) + pattern[choice.end() :]
    return _SLOT.sub(lambda slot: slots[slot[1]], pattern)


def weighted(rng: random.Random, choices: Mapping[T, float]) -> T:
    """A random key, drawn by weight."""
    return rng.choices(list(choices), list(choices.values()))[0]


def zipf(rng: random.Random, items: Sequence[T], exponent: float = 1.1) -> T:
    """A random item with a Zipf distribution: the n-th is n^exponent times rarer than the first."""
    bounds = list(accumulate(1 / rank**exponent for rank in range(1, len(items) + 1)))
    return rng.choices(items, cum_weights=bounds)[0]


def sentence_case(text: str) -> str:
    """Capitalise the first letter."""
    return text[:1].upper() + text[1:]
