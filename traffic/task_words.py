"""Points of a system prompt's words: positive where they are words of heavy tasks (`task_words.yaml`).

Finds heavy call sites that no list of wordings covers. The words were chosen among those that best separate the known
call sites of the profile (`pipeline/profile/known_call_sites.jsonl`).
"""

import functools
import re
from pathlib import Path
from typing import Literal

import msgspec

from traffic import config
from traffic.wording_search import WordIndex

READ_CHARS = 1000
"""Characters at the beginning of a system prompt that are read."""
_WORD = re.compile(r"[^\W_]+")


class _TaskWords(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`task_words.yaml`."""

    schema_version: Literal[1]
    points: dict[int, frozenset[str]]


_OF_WORD = {
    word: points
    for points, words in config.load(Path(__file__).with_suffix(".yaml"), _TaskWords).points.items()
    for word in words
}
_POINTS = list(_OF_WORD.values())
_INDEX = WordIndex([f" {word} " for word in _OF_WORD])
"""Finds only the words that count, twice as fast as a look-up of every word."""


def balance(system: str) -> int:
    """Points of the different words at the beginning of a system prompt."""
    return _balance(system[:READ_CHARS])


# Half of the cache of `traffic.phrases`: not every new prompt is decided by its words.
@functools.lru_cache(maxsize=512)
def _balance(beginning: str) -> int:
    indexes = {index for index, _, _ in _INDEX.find(beginning.lower().replace("_", " "))}
    return sum(map(_POINTS.__getitem__, indexes))


def words_of(text: str) -> set[str]:
    """The words of a text as `balance` counts them."""
    return set(_WORD.findall(text.lower()))
