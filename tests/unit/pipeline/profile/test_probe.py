"""Accuracy of a cheap classifier on few rows."""

import random

import pytest

from pipeline.profile.probe import probe, probe_comparison


def text(draw: random.Random, cue: str = "") -> str:
    filler = ["".join(draw.choice("abcdefghijkl") for _ in range(6)) for _ in range(6)]
    return " ".join([*filler[:3], cue, *filler[3:]])


def test_twenty_different_texts_are_enough() -> None:
    draw = random.Random(5)
    labels = ["open", "shut"] * 14
    learnt = probe([text(draw, f"the gate is {label} again") for label in labels], labels)
    assert learnt is not None
    assert learnt.skill > 0.6
    guessed = probe([text(draw) for _ in labels], draw.sample(labels, len(labels)))
    assert guessed is not None
    assert guessed.skill < 0.4


@pytest.mark.parametrize("rows, different", [(24, 12), (120, 22), (12, 12)])
def test_few_different_texts_say_nothing(rows: int, different: int) -> None:
    draw = random.Random(6)
    texts = [text(draw) for _ in range(different)]
    assert probe([texts[n % different] for n in range(rows)], [str(n % 2) for n in range(rows)]) is None


def test_an_item_below_other_headers_is_no_other_item() -> None:
    draw = random.Random(10)
    items = [(f"{text(draw)}\n{text(draw)}", draw.choice(["open", "shut"])) for _ in range(40)]
    rows = [(f"channel: {draw.choice(['web', 'phone', 'mail'])}\n{item}", label) for item, label in items * 6]
    guessed = probe([message for message, _ in rows], [label for _, label in rows])
    assert guessed is not None
    assert guessed.skill < 0.4
    assert guessed.rows_per_label <= 20
    few = rows[:20] * 5
    assert probe([message for message, _ in few], [label for _, label in few]) is None


def test_whether_two_records_are_the_same_is_learnt() -> None:
    draw = random.Random(7)
    labels = [draw.choice(["same", "other"]) for _ in range(90)]
    texts = [(first := text(draw), first if label == "same" else text(draw)) for label in labels]
    learnt = probe([f"A: {a}\nB: {b}" for a, b in texts], labels)
    assert learnt is not None
    assert learnt.skill > 0.6


def _pairs(draw: random.Random, labels: list[str]) -> list[str]:
    """Two texts each, alike where the label is "same"."""
    pairs = [(first := text(draw), f"{first} more" if label == "same" else text(draw)) for label in labels]
    return [f"claim: {a}\ndocument: {b}" for a, b in pairs]


def test_comparison_is_learnt_from_how_alike_the_parts_are() -> None:
    draw = random.Random(8)
    labels = [draw.choice(["same", "other"]) for _ in range(60)]
    learnt = probe_comparison(_pairs(draw, labels), labels)
    assert learnt is not None
    assert learnt.skill > 0.8


def test_comparison_does_not_learn_a_word() -> None:
    draw = random.Random(9)
    labels = [draw.choice(["open", "shut"]) for _ in range(60)]
    guessed = probe_comparison([f"{text(draw)}\nthe gate is {label}\n{text(draw)}" for label in labels], labels)
    assert guessed is not None
    assert guessed.skill < 0.4


def test_a_label_with_one_text_alone_is_not_learnt() -> None:
    draw = random.Random(9)
    texts = [text(draw) for _ in range(60)] + ["the same text 1", "the same text 2"] * 4
    assert probe(texts, ["no"] * 60 + ["yes"] * 8) is None
