"""How probable it is, by the words of a system prompt, that it belongs to a call site that needs a heavy model.

A logistic regression over the words of the known call sites of invented companies, which of them occur and not how
often; `python -m benchmarks.known_call_sites --fit-words` fits it. It sees what no list of wordings foresaw, in the
languages of these prompts, and knows nothing of what the answers are like.
"""

import functools
import math
from pathlib import Path

import msgspec

FILE = Path(__file__).with_suffix(".json")
READ_CHARS = 1000
MIN_WORDS = 12
"""Known words in a prompt below which it says too little."""
_LETTERS = bytes(byte if byte >= 0x80 or chr(byte).isalnum() else ord(" ") for byte in range(256))
"""Everything in ASCII that is neither letter nor digit becomes a space; other scripts stay as they are."""


class Words(msgspec.Struct, frozen=True):
    """The fitted regression."""

    intercept: float
    weights: dict[str, float]
    """Of each word; positive ones speak for a heavy model."""


def words_of(prompt: str) -> list[str]:
    """The words at the beginning of a prompt, in lower case."""
    # Bytes are translated seven times faster than a pattern finds words.
    letters = prompt[:READ_CHARS].lower().encode("utf-8", "ignore").translate(_LETTERS)
    return letters.decode("utf-8", "ignore").split()


@functools.cache
def _fitted() -> tuple[Words, frozenset[str]]:
    fitted = msgspec.json.decode(FILE.read_bytes(), type=Words)
    return fitted, frozenset(fitted.weights)


@functools.lru_cache(maxsize=1024)
def hardness(system: str) -> float:
    """Probability of Tier 3; 0 for a prompt of too few known words."""
    fitted, vocabulary = _fitted()
    known = vocabulary.intersection(words_of(system))
    if len(known) < MIN_WORDS:
        return 0.0
    # As in fitting, a prompt counts as one unit however many words it has.
    odds = fitted.intercept + sum(map(fitted.weights.__getitem__, known)) / math.sqrt(len(known))
    return round(1 / (1 + math.exp(-odds)), 3)
