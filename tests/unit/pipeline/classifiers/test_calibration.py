"""Selection of ensemble members by score on labelled rows."""

import numpy as np
import pytest

from pipeline.classifiers import calibration
from pipeline.classifiers.calibration import Members
from traffic.classifiers import SiteModel

WORDS: Members = ("words",)
TUNED: Members = ("embedding",)
BOTH: Members = ("words", "embedding")
TRUTH = np.arange(60) % 3
RIGHT = 4.0 * np.eye(3)[TRUTH]
MODEL = SiteModel(folder="", labels=("a", "b", "c"), members=TUNED)


def test_the_members_with_the_lowest_loss_are_chosen() -> None:
    logits = {"words": np.roll(RIGHT, 1, axis=1), "embedding": RIGHT}
    scored = calibration.scores([WORDS, BOTH, TUNED], logits, TRUTH, MODEL)
    assert [scored[members].accuracy for members in (WORDS, TUNED)] == [0.0, 1.0]
    assert scored[TUNED].loss < scored[BOTH].loss < scored[WORDS].loss
    assert calibration.best(scored) == TUNED


@pytest.mark.parametrize("choices", [[WORDS, BOTH], [BOTH, WORDS]])
def test_ties_go_to_the_first_members(choices: list[Members]) -> None:
    scored = calibration.scores(choices, {"words": RIGHT, "embedding": RIGHT}, TRUTH, MODEL)
    assert calibration.best(scored) == choices[0]


def test_averaging_members_with_different_errors_beats_each() -> None:
    logits = {"words": RIGHT.copy(), "embedding": RIGHT.copy()}
    logits["words"][:20] = 0.5 * np.roll(RIGHT[:20], 1, axis=1)
    logits["embedding"][40:] = 0.5 * np.roll(RIGHT[40:], 1, axis=1)
    scored = calibration.scores([WORDS, TUNED, BOTH], logits, TRUTH, MODEL)
    assert calibration.best(scored) == BOTH
    assert scored[BOTH].accuracy == 1.0


def test_a_set_is_correct_only_with_all_its_labels() -> None:
    truth = np.array([[1, 1, 0], [1, 0, 0]] * 30)
    logits = np.where(truth == 1, 3.0, -3.0)
    logits[::2, 1] = -3.0
    model = SiteModel(folder="", labels=("a", "b", "c"), members=TUNED, multiple="json")
    assert calibration.scores([TUNED], {"embedding": logits}, truth, model)[TUNED].accuracy == 0.5
