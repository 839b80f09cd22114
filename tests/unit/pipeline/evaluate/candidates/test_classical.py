"""The classical baseline on n-grams only."""

import random

import numpy as np
import pytest

from pipeline.classifiers import classical
from pipeline.classifiers.calibration import calibration_error
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates.classifier import answer, calibration_note
from pipeline.evaluate.items import Item, Logged
from traffic import classifiers
from traffic.callsites import Checks
from traffic.classifier_model import SiteClassifier
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
    rows = []
    for number in range(count):
        label = draw.choice(sorted(WORDS))
        parts = [draw.choice(WORDS[label]), *draw.sample(FILLERS, 3)]
        draw.shuffle(parts)
        rows.append(item(number, " ".join(parts), label))
    return rows


def examples(items: list[Item]) -> Examples:
    return Examples([classifiers.text_of(item.prompt) for item in items], [item.completion for item in items])


def fit(train: list[Item], calibration: list[Item] | None = None, checks: Checks | None = None) -> SiteClassifier:
    data = SiteData(examples(train), calibration=examples(calibration or []), checks=checks or Checks())
    return classical.fit(data, ClassicalFit(), folder="0-support.topic").classifier()


def answers_of(model: SiteClassifier, items: list[Item]) -> list[Answer]:
    return [answer(model, item) for item in items]


def test_the_classifier_beats_chance_on_unseen_texts() -> None:
    model = fit(generated(150, seed=1))
    test = generated(60, seed=2)
    answers = answers_of(model, test)
    right = sum(given.text == answer.completion for given, answer in zip(answers, test, strict=True))
    assert right >= 50


def test_every_answer_has_a_latency_and_a_margin_between_0_and_1() -> None:
    model = fit(generated(60, seed=1))
    for each in answers_of(model, generated(10, seed=3)):
        assert each.latency_ms is not None
        assert each.latency_ms > 0
        assert each.cpu_s is not None
        assert each.signals is not None
        assert 0 <= each.signals.min_margin <= 1
        assert each.concurrency == 1


def noisy(count: int, seed: int) -> list[Item]:
    """Items of which 40% have a random label, so confidence is limited."""
    draw = random.Random(seed)
    return [
        item(
            number,
            example.prompt[1]["content"],
            draw.choice(sorted(WORDS)) if draw.random() < 0.4 else example.completion,
        )
        for number, example in enumerate(generated(count, seed))
    ]


@pytest.mark.slow
def test_probabilities_are_calibrated_on_held_out_items() -> None:
    train, test = noisy(150, seed=1), noisy(400, seed=2)
    plain, calibrated = fit(train), fit(train, noisy(200, seed=3))
    assert plain.model.temperature == 1.0
    errors = []
    for model in (plain, calibrated):
        answers = answers_of(model, test)
        right = np.array([given.text == answer.completion for given, answer in zip(answers, test, strict=True)])
        confidence = np.array([given.confidence for given in answers])
        errors.append(calibration_error(confidence, right, bins=4))
    assert errors[1] < 0.1 < 0.15 < errors[0]
    assert calibrated.model.temperature > 1


def test_the_answer_is_the_same_with_calibrated_probabilities() -> None:
    train, test = noisy(100, seed=1), generated(30, seed=2)
    models = fit(train), fit(train, noisy(100, seed=3))
    texts = [[given.text for given in answers_of(model, test)] for model in models]
    assert texts[0] == texts[1]


def test_a_set_of_labels_is_answered_in_the_call_sites_format() -> None:
    checks = Checks(labels=tuple(sorted(WORDS)), multiple="json")
    single = generated(120, seed=1)
    pairs = [
        item(number, f"{a.prompt[1]['content']} {b.prompt[1]['content']}", _joined({a.completion, b.completion}))
        for number, (a, b) in enumerate(zip(single, generated(120, seed=5), strict=True))
    ]
    alone = [
        item(number, example.prompt[1]["content"], _joined({example.completion}))
        for number, example in enumerate(single)
    ]
    model = fit(pairs + alone, checks=checks)
    both = next(pair for pair in pairs if pair.completion == '["billing","shipping"]')
    (given,) = model.answers([both.prompt[1]["content"]])
    assert given.text == '["billing","shipping"]'
    assert given.rivals[0].text != given.text
    assert given.rivals[0].logprob < given.logprob < 0
    (nothing,) = model.answers(["zzz"])
    assert nothing.text.count('"') >= 2


def _joined(labels: set[str]) -> str:
    return "[" + ",".join(f'"{label}"' for label in sorted(labels)) + "]"


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


def test_texts_without_words_are_not_an_error() -> None:
    rows = [item(0, "!", "x"), item(1, "?", "y"), item(2, "", "x")]
    assert {given.text for given in answers_of(fit(rows), rows)} <= {"x", "y"}


def test_the_static_system_prompt_is_not_a_feature() -> None:
    assert classifiers.text_of(item(0, "where is my parcel", "shipping").prompt) == "where is my parcel"
