"""How alike the parts of messages are."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from pipeline.profile.comparison import FEATURES, likeness, restates

PAIRS = [
    ("A: red kettle, 2 litres\nB: red kettle, 2 litres", "A: red kettle, 2 litres\nB: garden hose, 15 metres"),
    ("Is the shop open? Is the shop open today?", "Is the shop open? My parcel never arrived."),
    ("read line from stream\ndef readLine(self)", "read line from stream\ndef closeSocket(self)"),
    ("pack of 500 mg\nstrength: 500mg", "pack of 500 mg\nstrength: 250ml"),
    ("荷物が届きません\n届きません、荷物が", "荷物が届きません\n駅までの道を教えて"),
    ("Text | the lamp is broken\nClaim | the lamp is broken", "Text | the lamp is broken\nClaim | nobody answered us"),
]


def test_equal_parts_are_more_alike_than_others() -> None:
    alike = likeness([same for same, _ in PAIRS])
    other = likeness([different for _, different in PAIRS])
    assert all(sum(a) > sum(b) for a, b in zip(alike, other, strict=True))


def test_a_statement_in_the_words_of_its_text_restates_it() -> None:
    text = "Passage: The ferry to Alta has carried cars and trucks since the spring of 1961."
    assert restates(f"{text}\nClaim: The ferry to Alta carried trucks in 1950.")
    assert restates(f"Claim: The ferry to Alta carried trucks.\n{text}")
    assert not restates(f"{text}\nHow long has the ferry to Alta carried trucks?")
    assert not restates(f"{text}\nNobody answered our letter about the broken lamp.")
    assert not restates(text)
    assert not restates(f"{text}\nthe ferry")


def test_numbers_that_differ_are_seen_in_equal_words() -> None:
    fillers = ["a lamp\na chair", "one shoe\ntwo socks", "a lorry\na ferry"]
    same, other, *_ = likeness(["key: 41 euros\nanswer: 41 euros", "key: 41 euros\nanswer: 14 euros", *fillers])
    assert sum(same) > sum(other)


def test_words_of_the_template_are_no_likeness() -> None:
    materials = ["copper pipe", "oak table", "glass door", "wool scarf", "steel bolt", "silk tie"]
    messages = [f"first offer {a}\nfirst offer {b}" for a, b in itertools.pairwise(materials)]
    assert all(features[0] == 0 for features in likeness(messages))


def test_one_part_is_not_compared() -> None:
    assert likeness(["hello"]) == [[0.0] * FEATURES]


@given(st.lists(st.text(alphabet="ab1 \n|:.", max_size=60), max_size=5))
def test_any_message_gives_shares(messages: list[str]) -> None:
    for features in likeness(messages):
        assert len(features) == FEATURES
        assert all(0 <= share <= 1 for share in features)
