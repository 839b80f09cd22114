"""Shapes whose answers are sets of labels."""

import random

import pytest

from pipeline.profile import answers
from pipeline.profile.probe import probe_sets

WORDS = {"refund": "money back", "delay": "too late", "damage": "broken glass", "praise": "lovely staff"}


def drawn(rows: int) -> list[list[str]]:
    draw = random.Random(3)
    return [draw.sample(sorted(WORDS), draw.choice((1, 2, 3))) for _ in range(rows)]


@pytest.mark.parametrize("separator", ["json", ", ", "; "])
def test_the_order_in_a_set_of_labels_does_not_count(separator: str) -> None:
    sets = drawn(60)
    texts = [str(tags).replace("'", '"') if separator == "json" else separator.join(tags) for tags in sets]
    assert answers.members(texts) == [frozenset(tags) for tags in sets]
    assert len(set(answers.labels(texts))) == len({frozenset(tags) for tags in sets})


def test_single_labels_and_prose_are_no_sets() -> None:
    assert answers.members(["billing", "delay"] * 20) is None
    assert answers.members([f"First, we look at case {n}, then we say why, and so on." for n in range(40)]) is None


def test_what_a_classifier_learns_of_sets_is_measured_label_by_label() -> None:
    sets = drawn(90)
    texts = [f"mail {n * 7919}: " + ", ".join(WORDS[tag] for tag in tags) for n, tags in enumerate(sets)]
    groups = [f"{text} {chr(97 + n % 26)}{chr(97 + n // 26)}" for n, text in enumerate(texts)]
    result = probe_sets(texts, [frozenset(tags) for tags in sets], groups=groups)
    assert result is not None
    assert result.skill > 0.95
