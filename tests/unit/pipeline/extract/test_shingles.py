import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from pipeline.extract.shingles import jaccard, plain, shingles, spelled


@pytest.mark.parametrize(
    "text, other",
    [
        ("Where do I top up?", "WHERE DO I  TOP UP?."),
        ("i don't know", "I dont know"),
        ("Größe: 12,50 €", "größe 12,50€"),
        ("It runs on-monday, at ten - or (say) later.", "it runs on monday at ten or say later"),
        ("ｶｰﾄﾞが　届かない。", "カードが届かない"),
        ("हिन्दी में लिखा है।", "हिन्दी में लिखा है"),
        ("10² m", "10^2 m"),
        ("−5 °C", "-5 °C"),
        ("Stop! (Now, at 5)", "stop now at 5"),
    ],
)
def test_case_whitespace_and_punctuation_are_ignored(text: str, other: str) -> None:
    assert plain(text) == plain(other)


@pytest.mark.parametrize(
    "text, other",
    [
        ("C++", "C"), ("👍", "👎"), ("कि", "की"), ("?!", "..."), ("5 €", "5 $"), ("-45", "45"), ("4.5", "45"),
        ("50% off", "50 off"), ("c#", "c"), ("and/or", "and or"), ("1:30", "130"), ("great :)", "great :("),
        ("great :-D", "great"), ("r&d", "r d"), ("x –5", "x 5"), ("<3", "3"),
        ("10² m", "102 m"), ("(45.20) EUR", "45.20 EUR"), ("x != 5", "x = 5"), ("if (!paid)", "if (paid)"), ("−5", "5"),
    ],
)  # fmt: skip
def test_symbols_vowel_signs_and_punctuation_only_texts_are_not_ignored(text: str, other: str) -> None:
    assert plain(text) != plain(other)


@given(st.lists(st.text(max_size=30), min_size=2, max_size=8))
def test_similarity_is_the_jaccard_index_of_four_character_shingles(made: list[str]) -> None:
    compared = shingles(made)
    pairs = np.array([(a, b) for a in range(len(made)) for b in range(len(made))])
    sets = []
    for text in made:
        padded = plain(text).ljust(4, "\0")
        sets.append({padded[n : n + 4] for n in range(len(padded) - 3)})
    expected = [len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in pairs.tolist()]
    assert jaccard(compared, pairs) == pytest.approx(expected)


def test_hashes_of_a_text_are_deterministic() -> None:
    alone, beside = shingles(["card lost 77"]), shingles(["something else", "card lost 77"])
    start = int(beside.starts[1])
    assert alone.hashes.tolist() == beside.hashes[start:].tolist()
    assert alone.hashes[:2].tolist() == [0x1ABE2DBEDE, 0x64FEA081B4]
    assert alone.numbers[0] == beside.numbers[1] == 0x7F20107B4B4A693
    assert len(alone.hashes) == len("cardlost77") - 3


def test_invisible_marks_do_not_make_another_text_and_joiners_do() -> None:
    assert spelled("pay\u200b the\u00ad bill\u2060") == spelled("Pay the bill")
    assert spelled("\U0001f469\u200d\U0001f467") != spelled("\U0001f469\U0001f467")
