"""Chooses the words of `traffic/task_words.yaml` by the prompts of the profile's known call sites, and prints them.

    python -m benchmarks.task_words > traffic/task_words.yaml

The file is a rule that anyone may edit: a word's points are what a regression on all words gives it, rounded.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from textwrap import wrap

import numpy as np
import yaml

from pipeline.profile import known_call_sites
from pipeline.profile.known_call_sites import KnownCallSite
from traffic.task_words import READ_CHARS, words_of

COMPANIES = 4
"""Companies that a word must occur in."""
LETTERS = 4
"""Of a word; shorter ones are mostly grammar, in some language."""
WORDS, WEIGHTY = 250, 60
"""Words of any points, and those of them with two."""
HEADER = """\
# Points of words in a system prompt: positive ones for words of heavy tasks (Tier 3), negative ones for light ones.
# Each word counts once. In lower case. Chosen by `python -m benchmarks.task_words`; edit as you like.
schema_version: 1
points:
"""


def chosen(sites: Sequence[KnownCallSite]) -> dict[str, int]:
    """Points from -2 to 2 of the words that separate the heavy call sites from the others best."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
    from sklearn.linear_model import LogisticRegression

    worded = [(site, words_of(site.prompt[:READ_CHARS])) for site in sites if site.prompt]
    companies: dict[str, set[str]] = defaultdict(set)
    for site, words in worded:
        for word in words:
            companies[word].add(site.company)
    vocabulary = sorted(
        word
        for word, held in companies.items()
        if len(held) >= COMPANIES and len(word) >= LETTERS and word.isalpha() and word not in ENGLISH_STOP_WORDS
    )
    table = np.array([[word in words for word in vocabulary] for _, words in worded], dtype=float)
    table /= np.sqrt(table.sum(axis=1, keepdims=True) + 1)
    heavy = [site.tier == 3 for site, _ in worded]
    weights = LogisticRegression(C=1.0, max_iter=3000).fit(table, heavy).coef_[0]
    best = np.argsort(-np.abs(weights), kind="stable")[:WORDS]
    return {
        vocabulary[place]: int(np.sign(weights[place])) * (2 if rank < WEIGHTY else 1)
        for rank, place in enumerate(best)
    }


def lines(points: dict[str, int]) -> Iterator[str]:
    for value in (2, 1, -1, -2):
        words = [_scalar(word) for word in sorted(points) if points[word] == value]
        yield f"  {value}: ["
        yield from wrap(", ".join(words), 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        yield "  ]"


def _scalar(word: str) -> str:
    """As YAML reads it as text."""
    return word if yaml.safe_load(word) == word else f'"{word}"'


def main() -> None:
    print(HEADER + "\n".join(lines(chosen(known_call_sites.load()))))


if __name__ == "__main__":
    main()
