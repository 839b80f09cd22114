"""Answers that are put together from parts of the message: a line of a record, a keyword query, an address in order."""

import re
from collections import Counter
from collections.abc import Sequence

_TOKEN = re.compile(r"\d+|[^\W\d_]+")
STANDING = 0.9
"""Share of the answers from which on a word belongs to their form, not to their content."""
MIN_TOKENS = 3
COPIED = 0.75
OWN = 0.3
"""Share of an answer's words that must be its own: of program text, most stand in every answer."""

Order = tuple[int, ...]


def assembled_share(pairs: Sequence[tuple[str, str]]) -> float:
    """Share of the answers that consist of several parts of the message, in the order that is commonest.

    `pairs`: message and answer. One part alone is a choice, and parts in changing order are a ranking: either may be
    hard. The same order in every answer is a form that is filled in.
    """
    said = [_tokens(answer) for _, answer in pairs]
    counts = Counter(token for tokens in said for token in set(tokens))
    standing = {token for token, n in counts.items() if n >= STANDING * len(said)} if len(said) > 1 else set()
    orders = Counter(
        order
        for (message, _), tokens in zip(pairs, said, strict=True)
        if (order := _order(_tokens(message), tokens, standing)) is not None
    )
    return max(orders.values(), default=0) / len(pairs) if pairs else 0.0


def _tokens(text: str) -> list[str]:
    """Words and numbers, without leading zeros."""
    return [token.lstrip("0") or "0" for token in _TOKEN.findall(text.casefold())]


def _order(message: Sequence[str], answer: Sequence[str], standing: set[str]) -> Order | None:
    """Ranks of the parts' places in the message, empty where they come in its order; None: it is not made of parts."""
    own = [token for token in answer if token not in standing]
    if len(own) < MIN_TOKENS or len(own) < OWN * len(answer):
        return None
    places: list[int] = []
    for token in own:
        after = places[-1] + 1 if places else 0
        place = next((n for n in range(after, len(message)) if message[n] == token), None)
        if place is None:
            place = next((n for n in range(after) if message[n] == token), None) if token in message else None
        if place is not None:
            places.append(place)
    if len(places) < COPIED * len(own):
        return None
    parts = [place for n, place in enumerate(places) if n == 0 or place != places[n - 1] + 1]
    if len(parts) < 2:
        return None
    ordered = sorted(parts)
    return () if parts == ordered else tuple(ordered.index(part) for part in parts)
