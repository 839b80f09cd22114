"""Sentences generated from patterns."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.grammar import expand, sentence_case, weighted, zipf

WORDS = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8)


def test_a_nested_choice_can_become_each_of_its_leaves() -> None:
    rng = random.Random(0)
    assert {expand("[a|[b|c]]{x}", {"x": "!"}, rng) for _ in range(200)} == {"a!", "b!", "c!"}


def test_a_slot_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError, match="item"):
        expand("send {item}", {}, random.Random(0))


def test_slot_values_are_not_expanded() -> None:
    assert expand("{x}", {"x": "[a|b] {y}"}, random.Random(0)) == "[a|b] {y}"


@given(st.lists(WORDS, min_size=1, max_size=5), WORDS, st.integers())
def test_expansion_leaves_no_choices_or_slots(choices: list[str], value: str, seed: int) -> None:
    pattern = f"[{'|'.join(choices)}] {{slot}}"
    first, second = expand(pattern, {"slot": value}, random.Random(seed)).split(" ")
    assert first in choices
    assert second == value


def test_a_choice_with_weight_0_is_never_drawn() -> None:
    rng = random.Random(0)
    assert {weighted(rng, {"a": 1, "b": 0}) for _ in range(50)} == {"a"}


def test_the_first_item_is_drawn_most_often() -> None:
    rng = random.Random(0)
    counts = Counter(zipf(rng, "abcdefghij") for _ in range(2000))
    assert counts["a"] > 2 * counts["c"] > 2 * counts["j"]


def test_only_the_first_letter_changes_case() -> None:
    assert sentence_case("über den Ämtern") == "Über den Ämtern"
