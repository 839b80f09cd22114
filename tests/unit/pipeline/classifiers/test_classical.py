"""Edge cases of the classical classifier: empty label sets, hundreds of labels."""

import numpy as np
import pytest

from pipeline.classifiers import classical
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData
from traffic.callsites import Checks


def test_a_set_without_members_can_be_learned() -> None:
    checks = Checks(labels=("late", "broken"), multiple="json")
    rows = [("it is late", '["late"]'), ("it is broken", '["broken"]'), ("all is well", "[]")] * 10
    data = SiteData(Examples([text for text, _ in rows], [label for _, label in rows]), checks=checks)
    answers = classical.fit(data, ClassicalFit(), folder="0").classifier().answers(["all is well", "it is late"])
    assert [answer.text for answer in answers] == ["[]", '["late"]']


def test_with_many_labels_only_the_most_frequent_ngrams_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classical, "MAX_WEIGHTS", 400)
    draw = np.random.default_rng(0)
    labels = [f"topic{number}" for number in range(10)]
    texts = [f"{label} {draw.integers(10**9)}" for label in labels for _ in range(5)]
    data = SiteData(Examples(texts, [label for label in labels for _ in range(5)]))
    fitted = classical.fit(data, ClassicalFit(), folder="0")
    assert fitted.heads["words"].weight.size <= 400
    answers = fitted.classifier().answers([f"{label} x" for label in labels])
    assert [answer.text for answer in answers] == labels
