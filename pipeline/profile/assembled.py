"""Detects answers assembled from parts of the message: a line of a record, a keyword query, an address in order."""

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence

_TOKEN = re.compile(r"\d+|[^\W\d_]+")
STANDING = 0.9
"""Share of the answers above which a word belongs to their form rather than their content."""
MIN_TOKENS = 3
COPIED = 0.75
OWN = 0.3
"""Minimum share of words that are specific to an answer; most words of program text occur in every answer."""

Order = tuple[int, ...]


def assembled_share(pairs: Sequence[tuple[str, str]]) -> float:
    """Share of the answers that consist of several parts of the message, in the most frequent order.

    `pairs`: message and answer. A single part is a choice, and parts in varying order are a ranking; both may be hard.
    The same order in every answer means that a form is filled in.
    """
    answers = [_tokens(answer) for _, answer in pairs]
    counts = Counter(token for tokens in answers for token in set(tokens))
    standing = {token for token, n in counts.items() if n >= STANDING * len(answers)} if len(answers) > 1 else set()
    orders = Counter(
        order
        for (message, _), tokens in zip(pairs, answers, strict=True)
        if (order := _order(_tokens(message), tokens, standing)) is not None
    )
    return max(orders.values(), default=0) / len(pairs) if pairs else 0.0


def _tokens(text: str) -> list[str]:
    """Words and numbers, without leading zeros."""
    return [token.lstrip("0") or "0" for token in _TOKEN.findall(text.casefold())]


def _order(message: Sequence[str], answer: Sequence[str], standing: set[str]) -> Order | None:
    """Ranks of the parts' positions in the message, empty if in the message's order; None if it has other words."""
    own = [token for token in answer if token not in standing]
    if len(own) < MIN_TOKENS or len(own) < OWN * len(answer):
        return None
    places: dict[str, list[int]] = defaultdict(list)
    for n, token in enumerate(message):
        places[token].append(n)
    positions: list[int] = []
    for token in own:
        if known := places.get(token):
            # The next place of the token, or its first one if there is none behind the last part.
            following = bisect_right(known, positions[-1]) if positions else 0
            positions.append(known[following % len(known)])
    if len(positions) < COPIED * len(own):
        return None
    parts = [position for n, position in enumerate(positions) if n == 0 or position != positions[n - 1] + 1]
    if len(parts) < 2:
        return None
    ranks = {part: n for n, part in enumerate(sorted(set(parts)))}
    return () if parts == sorted(parts) else tuple(ranks[part] for part in parts)
