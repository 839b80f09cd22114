"""The classical baseline."""

import random

import msgspec
import numpy as np
import pytest

from pipeline.classical import calibration_error
from pipeline.evaluate import classical
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Item, Logged
from pipeline.metrics import Detail, ItemScore
from traffic.errors import NotEnoughData

WORDS = {
    "billing": ["invoice", "charged twice", "refund", "card", "payment"],
    "access": ["password", "log in", "locked out", "two-factor", "sign-in"],
    "shipping": ["parcel", "courier", "tracking", "delivery", "address"],
}
FILLERS = ["please", "hello", "since yesterday", "can you help", "it is about", "thanks"]


def item(number: int, text: str, label: str) -> Item:
    prompt = [{"role": "system", "content": "topic"}, {"role": "user", "content": text}]
    return Item(
        record_id=f"r{number}",
        call_site="support.topic",
        prompt=prompt,
        original_prompt=prompt,
        response_format=None,
        completion=label,
        reference=label,
        cohort={},
        logged=Logged(),
    )


def generated(count: int, seed: int) -> list[Item]:
    draw = random.Random(seed)
    found = []
    for number in range(count):
        label = draw.choice(sorted(WORDS))
        parts = [draw.choice(WORDS[label]), *draw.sample(FILLERS, 3)]
        draw.shuffle(parts)
        found.append(item(number, " ".join(parts), label))
    return found


def test_beats_chance_on_texts_it_has_not_seen() -> None:
    model = classical.fit(generated(150, seed=1), c=20)
    test = generated(60, seed=2)
    steps: list[None] = []
    answers = classical.answer(model, test, lambda: steps.append(None))
    right = sum(answer.text == each.completion for answer, each in zip(answers, test, strict=True))
    assert right >= 50
    assert len(steps) == 60


def test_every_answer_has_its_time_and_a_margin_between_0_and_1() -> None:
    model = classical.fit(generated(60, seed=1), c=20)
    for answer in classical.answer(model, generated(10, seed=3), lambda: None):
        assert answer.latency_ms is not None
        assert answer.latency_ms > 0
        assert answer.cpu_s is not None
        assert answer.signals is not None
        assert 0 <= answer.signals.min_margin <= 1
        assert answer.concurrency == 1


def noisy(count: int, seed: int) -> list[Item]:
    """Items of which four in ten have a random label: nobody can be surer than that."""
    draw = random.Random(seed)
    return [
        msgspec.structs.replace(each, completion=draw.choice(sorted(WORDS))) if draw.random() < 0.4 else each
        for each in generated(count, seed)
    ]


def test_its_probabilities_are_calibrated_on_items_that_it_was_not_fitted_on() -> None:
    train, test = noisy(150, seed=1), noisy(400, seed=2)
    plain, calibrated = classical.fit(train, c=20), classical.fit(train, c=20, calibration=noisy(200, seed=3))
    assert plain.temperature == 1.0
    errors = []
    for model in (plain, calibrated):
        answers = classical.answer(model, test, lambda: None)
        right = np.array([answer.text == each.completion for answer, each in zip(answers, test, strict=True)])
        confidence = np.array([answer.confidence for answer in answers])
        errors.append(calibration_error(confidence, right, bins=4))
    assert errors[1] < 0.1 < 0.15 < errors[0]
    assert calibrated.temperature > 1


def test_the_answer_is_the_same_with_calibrated_probabilities() -> None:
    train, test = noisy(100, seed=1), generated(30, seed=2)
    models = classical.fit(train, c=20), classical.fit(train, c=20, calibration=noisy(100, seed=3))
    texts = [[answer.text for answer in classical.answer(model, test, lambda: None)] for model in models]
    assert texts[0] == texts[1]


def test_remarks_compare_how_sure_it_is_with_how_often_it_is_right() -> None:
    answers = [Answer(record_id=str(n), text="x", confidence=0.9) for n in range(10)]
    scored = [ItemScore(n < 6, float(n < 6), Detail()) for n in range(10)]
    [line] = classical.remarks(answers, scored)
    assert "90.0% sure on average and right in 60.0%" in line
    assert classical.remarks([Answer(record_id="r", text="x")], scored[:1]) == []


def test_two_labels_are_enough() -> None:
    rows = [item(0, "red apples", "fruit"), item(1, "green apples", "fruit"), item(2, "old iron", "metal")]
    answers = classical.answer(classical.fit(rows, c=20), rows, lambda: None)
    assert [answer.text for answer in answers] == ["fruit", "fruit", "metal"]


def test_one_label_is_not_enough() -> None:
    with pytest.raises(NotEnoughData, match="2 rows have 1"):
        classical.fit([item(0, "a b", "x"), item(1, "c d", "x")], c=20)


def test_the_call_site_that_lacks_labels_is_named() -> None:
    both = [item(0, "red apples", "fruit"), item(1, "old iron", "metal")]
    assert classical.shortage({"a": both}) is None
    assert classical.shortage({"a": both, "b": both[:1]}) == (
        "b: a classifier needs rows of at least two labels, 1 rows have 1"
    )
    assert str(classical.shortage({"a": []})).endswith("0 rows have 0")


def test_the_static_system_prompt_is_no_feature() -> None:
    assert classical.slot_text(item(0, "where is my parcel", "shipping")) == "where is my parcel"
