"""The classical baseline."""

import random

import msgspec
import numpy as np
import pytest

from pipeline.classifiers import classical
from pipeline.classifiers.calibration import calibration_error
from pipeline.classifiers.classical import Classifier
from pipeline.dataset import slot_text
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates.classical import answer, calibration_note, examples
from pipeline.evaluate.items import Item, Logged
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


def fit(train: list[Item], calibration: list[Item] | None = None) -> Classifier:
    return classical.fit(examples(train), 20, calibration_set=examples(calibration or []))


def answers_of(model: Classifier, items: list[Item]) -> list[Answer]:
    return [answer(model, each) for each in items]


def test_beats_chance_on_texts_it_has_not_seen() -> None:
    model = fit(generated(150, seed=1))
    test = generated(60, seed=2)
    answers = answers_of(model, test)
    right = sum(given.text == each.completion for given, each in zip(answers, test, strict=True))
    assert right >= 50


def test_every_answer_has_its_time_and_a_margin_between_0_and_1() -> None:
    model = fit(generated(60, seed=1))
    for each in answers_of(model, generated(10, seed=3)):
        assert each.latency_ms is not None
        assert each.latency_ms > 0
        assert each.cpu_s is not None
        assert each.signals is not None
        assert 0 <= each.signals.min_margin <= 1
        assert each.concurrency == 1


def noisy(count: int, seed: int) -> list[Item]:
    """Items of which four in ten have a random label: nobody can be surer than that."""
    draw = random.Random(seed)
    return [
        msgspec.structs.replace(each, completion=draw.choice(sorted(WORDS))) if draw.random() < 0.4 else each
        for each in generated(count, seed)
    ]


@pytest.mark.slow
def test_its_probabilities_are_calibrated_on_items_that_it_was_not_fitted_on() -> None:
    train, test = noisy(150, seed=1), noisy(400, seed=2)
    plain, calibrated = fit(train), fit(train, noisy(200, seed=3))
    assert plain.temperature == 1.0
    errors = []
    for model in (plain, calibrated):
        answers = answers_of(model, test)
        right = np.array([given.text == each.completion for given, each in zip(answers, test, strict=True)])
        confidence = np.array([given.confidence for given in answers])
        errors.append(calibration_error(confidence, right, bins=4))
    assert errors[1] < 0.1 < 0.15 < errors[0]
    assert calibrated.temperature > 1


def test_the_answer_is_the_same_with_calibrated_probabilities() -> None:
    train, test = noisy(100, seed=1), generated(30, seed=2)
    models = fit(train), fit(train, noisy(100, seed=3))
    texts = [[given.text for given in answers_of(model, test)] for model in models]
    assert texts[0] == texts[1]


def test_a_note_compares_confidence_with_accuracy() -> None:
    note = calibration_note((0.9,) * 10, (True,) * 6 + (False,) * 4)
    assert "90.0%" in note
    assert "60.0%" in note
    assert "points" in note


def test_two_labels_are_enough() -> None:
    rows = [item(0, "red apples", "fruit"), item(1, "green apples", "fruit"), item(2, "old iron", "metal")]
    answers = answers_of(fit(rows), rows)
    assert [given.text for given in answers] == ["fruit", "fruit", "metal"]


def test_one_label_is_not_enough() -> None:
    with pytest.raises(NotEnoughData, match="2 training rows have 1"):
        fit([item(0, "a b", "x"), item(1, "c d", "x")])


def test_the_static_system_prompt_is_no_feature() -> None:
    assert slot_text(item(0, "where is my parcel", "shipping").prompt) == "where is my parcel"
