"""Chooses the words of `traffic/task_words.yaml` from the prompts of the known call sites and prints the file.

    python -m benchmarks.task_words > traffic/task_words.yaml

A logistic regression on all words predicts Tier 3. The words with the largest weights get points: 2 or -2 the first
`WEIGHTY` of them, 1 or -1 the others.
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
"""Minimum number of companies whose prompts have the word."""
LETTERS = 4
"""Minimum length of a word; shorter ones are mostly articles, pronouns and the like in some language."""
WORDS, WEIGHTY = 250, 60
"""Number of words with points, and of those among them with two."""
HEADER = """\
# Points of words in a system prompt: positive ones for words of heavy tasks (Tier 3), negative ones for light ones.
# Each word counts once. In lower case. Chosen by `python -m benchmarks.task_words`; edit as you like.
schema_version: 1
points:
"""


def chosen(sites: Sequence[KnownCallSite]) -> dict[str, int]:
    """Points from -2 to 2 of the words that best separate the call sites of Tier 3 from the others."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
    from sklearn.linear_model import LogisticRegression

    worded = [(site, words_of(site.prompt[:READ_CHARS])) for site in sites if site.prompt]
    companies: dict[str, set[str]] = defaultdict(set)
    for site, words in worded:
        for word in words:
            companies[word].add(site.company)
    vocabulary = sorted(
        word
        for word, owners in companies.items()
        if len(owners) >= COMPANIES and len(word) >= LETTERS and word.isalpha() and word not in ENGLISH_STOP_WORDS
    )
    table = np.array([[word in words for word in vocabulary] for _, words in worded], dtype=float)
    table /= np.sqrt(table.sum(axis=1, keepdims=True) + 1)
    heavy = [site.tier == 3 for site, _ in worded]
    weights = LogisticRegression(C=1.0, max_iter=3000).fit(table, heavy).coef_[0]
    best = np.argsort(-np.abs(weights), kind="stable")[:WORDS]
    return {
        vocabulary[index]: int(np.sign(weights[index])) * (2 if rank < WEIGHTY else 1)
        for rank, index in enumerate(best)
    }


def lines(points: dict[str, int]) -> Iterator[str]:
    """The points as YAML."""
    for value in (2, 1, -1, -2):
        words = [_scalar(word) for word in sorted(points) if points[word] == value]
        yield f"  {value}: ["
        yield from wrap(", ".join(words), 116, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False)
        yield "  ]"


def _scalar(word: str) -> str:
    """The word, in quotes if YAML would not read it as text (`null`)."""
    return word if yaml.safe_load(word) == word else f'"{word}"'


def main() -> None:
    print(HEADER + "\n".join(lines(chosen(known_call_sites.load()))))


if __name__ == "__main__":
    main()
