"""How much of an answer stands in its request, in what order and at what length, and what is new in it."""

import math
from collections import Counter
from collections.abc import Sequence
from statistics import median_high
from typing import Any

import numpy as np
from rapidfuzz import fuzz

from pipeline.profile import answers, quantities, template_lines
from pipeline.profile.assembled import assembled_share
from pipeline.profile.sample import Sampled, last_user

RECURRING, RECURRING_SHARE = 3, 0.02
"""Answers from which on a word in them is one of their form."""
FEW_LENGTHS = 20
"""Answers below which their lengths are not compared with those of the messages."""


def overlap(texts: Sequence[Sampled]) -> dict[str, Any]:
    """Measurements by their names in `Behaviour`."""
    shares, likeness, ratios = [], [], []
    numbered = copied_numbers = numbers = 0
    materials = template_lines.removed([last_user(s) for s in texts], form_of=str)
    for sampled, material in zip(texts, materials, strict=True):
        user = last_user(sampled)
        answer_words = answers.words(sampled.answer)
        known = set(answers.words(user))
        share = sum(word in known for word in answer_words) / max(1, len(answer_words))
        shares.append(1.0 if share < 1 and answers.respaced(sampled.answer, user) else share)
        likeness.append(fuzz.ratio(sampled.answer[:1500], material[-1500:]) / 100)
        ratios.append(answers.word_count(sampled.answer) / max(1, answers.word_count(user)))
        given = "\n".join(m.text for m in sampled.messages if m.role != "system")
        stated, copied = quantities.copied_numbers(sampled.answer, given)
        numbered += stated > 0
        numbers += stated
        copied_numbers += copied
    return {
        "numbered_share": numbered / len(texts),
        "copied_number_share": copied_numbers / max(1, numbers),
        "new_word_share": round(_new_words(texts), 3),
        "copied_word_share": median_high(shares),
        "edit_likeness": round(median_high(likeness), 3),
        "length_ratio": round(median_high(ratios), 3),
        "assembled_share": round(assembled_share([(last_user(s), s.answer) for s in texts]), 3),
        **_lengths(texts),
    }


def _lengths(texts: Sequence[Sampled]) -> dict[str, float]:
    """How closely the length of answers follows that of their messages; empty for few answers or equal lengths."""
    message_words = _own_words([last_user(s) for s in texts])
    answer_words = [answers.word_count(s.answer) for s in texts]
    if len(texts) < FEW_LENGTHS or len(set(message_words)) < 2 or len(set(answer_words)) < 2:
        return {}
    from scipy.stats import spearmanr

    ratios = [(b + 1) / (a + 1) for a, b in zip(message_words, answer_words, strict=True)]
    lower, middle, upper = np.percentile(ratios, (25, 50, 75))
    return {
        "length_tracking": round(float(spearmanr(message_words, answer_words).statistic), 3),
        "length_spread": round(math.log(upper / lower), 3),
        "material_ratio": round(float(middle), 3),
    }


def _own_words(messages: Sequence[str]) -> list[int]:
    """Words of each message without its template, the words that nearly all messages have."""
    listed = [Counter(answers.words(message)) for message in messages]
    holding = Counter(word for words in listed for word in words)
    standing = [word for word, n in holding.items() if n >= template_lines.STANDING_SHARE * len(messages)]
    # As often as the message with fewest of them.
    often = {word: min(n for words in listed if (n := words[word])) for word in standing}
    own = [words.total() - sum(min(words[word], n) for word, n in often.items()) for words in listed]
    # In scripts without spaces `words` are overlapping pairs of characters, about twice as many as `word_count`.
    return [
        round(n * answers.word_count(message) / max(1, words.total()))
        for n, message, words in zip(own, messages, listed, strict=True)
    ]


def _parts(text: str) -> list[str]:
    """Words, split at hyphens: a file name is made of words too."""
    return [part for word in answers.words(text) for part in word.split("-")]


def _new_words(texts: Sequence[Sampled]) -> float:
    """Mean share of an answer's words that neither its request nor many other answers have."""
    parts = [_parts(s.answer) for s in texts]
    counts = Counter(word for words in parts for word in set(words))
    often = max(RECURRING, RECURRING_SHARE * len(parts))
    form = {word for word, n in counts.items() if n >= often and not word.isdigit()}
    shares = []
    for sampled, words in zip(texts, parts, strict=True):
        known = form.union(_parts("\n".join(m.text for m in sampled.messages if m.role != "system")))
        shares.append(sum(word not in known for word in words) / max(1, len(words)))
    return sum(shares) / len(shares)
