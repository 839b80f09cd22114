"""Out-of-fold probabilities, and their calibration."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.classifiers import calibration, out_of_fold

FRUIT = ("red apple", "green apple", "ripe pear", "sweet plum")
METAL = ("old iron", "bright copper", "grey lead", "heavy tin")


def texts(count: int) -> list[str]:
    return [f"{(FRUIT, METAL)[n % 2][n // 2 % 4]} number {n}" for n in range(count)]


@given(st.lists(st.text(max_size=4), min_size=1, max_size=60), st.integers(2, 6))
def test_a_group_is_in_one_fold_regardless_of_row_order(groups, folds):
    numbers = out_of_fold.fold_numbers(groups, folds)
    by_group = dict(zip(groups, numbers.tolist(), strict=True))
    assert [by_group[group] for group in groups] == numbers.tolist()
    assert set(numbers) <= set(range(folds))
    backwards = out_of_fold.fold_numbers(groups[::-1], folds)
    assert backwards[::-1].tolist() == numbers.tolist()


def test_out_of_fold_probabilities_are_accurate_and_sum_to_1():
    labels = np.array([n % 2 for n in range(80)])
    model = out_of_fold.OutOfFold(texts(80), [str(n) for n in range(80)], [True] * 60 + [False] * 20, folds=5)
    probabilities = model.of_labels(labels, 2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (probabilities.argmax(axis=1) == labels).all()


def test_a_copy_in_the_same_group_does_not_confirm_a_wrong_label():
    labels = np.array([n % 2 for n in range(80)])
    words = texts(80)
    # Two copies of one odd text, both with the wrong label: each alone would vouch for the other.
    words[10] = words[12] = "ripe pear number ten and ten again"
    labels[10] = labels[12] = 1
    apart = [str(n) for n in range(80)]
    together = ["pair" if n in (10, 12) else str(n) for n in range(80)]
    fitted = [True] * 80
    alone = out_of_fold.OutOfFold(words, together, fitted, folds=5).of_labels(labels, 2)
    vouched = out_of_fold.OutOfFold(words, apart, fitted, folds=40).of_labels(labels, 2)
    assert alone[10, 1] < vouched[10, 1]
    assert alone[10, 1] < 0.5


def test_excluded_rows_do_not_affect_the_others():
    labels = np.array([n % 2 for n in range(80)])
    turned = labels.copy()
    turned[60:] = 1 - turned[60:]
    fitted = [True] * 60 + [False] * 20
    groups = [str(n) for n in range(80)]
    first, second = (
        out_of_fold.OutOfFold(texts(80), groups, fitted, folds=5).of_labels(y, 2) for y in (labels, turned)
    )
    np.testing.assert_array_equal(first, second)


@settings(max_examples=10)
@given(st.floats(0.2, 5.0))
def test_the_temperature_of_overconfident_probabilities_is_found(true_temperature):
    rng = np.random.default_rng(1)
    honest = rng.normal(size=(3000, 4)) * 2
    honest -= np.log(np.exp(honest).sum(axis=1, keepdims=True))
    truth = np.array([rng.choice(4, p=np.exp(row)) for row in honest])
    assert calibration.temperature(honest * true_temperature, truth) == pytest.approx(true_temperature, rel=0.15)


def test_unknown_labels_lower_the_confidence():
    sure = np.log(np.tile([0.9, 0.1], (100, 1)))
    known, unknown = np.zeros(100, dtype=np.int64), np.repeat([0, -1], 50)
    assert calibration.tempered(sure, calibration.temperature(sure, unknown)).max() == pytest.approx(0.5, abs=0.03)
    assert calibration.tempered(sure, calibration.temperature(sure, known)).max() > 0.99


def test_calibration_error_by_hand():
    confidence, right = np.array([0.6] * 10 + [0.9] * 10), np.array([True] * 8 + [False] * 2 + [True] * 10)
    # Off by 20 points in one half and by 10 in the other.
    assert calibration.calibration_error(confidence, right, bins=2) == pytest.approx(0.15)


def test_texts_without_words_are_not_an_error():
    labels = np.array([0, 1] * 20)
    probabilities = out_of_fold.OutOfFold(["", "!"] * 20, [str(n) for n in range(40)], [True] * 40, folds=5).of_labels(
        labels, 2
    )
    assert np.isfinite(probabilities).all()


def test_texts_beyond_the_limit_use_word_features_only():
    assert out_of_fold.hashed_features(texts(40), [True] * 40, limit=100).shape == (40, 2**15)
    assert out_of_fold.hashed_features(texts(40), [True] * 40).shape == (40, 2**15 + 2**16)


@pytest.mark.slow
def test_results_do_not_depend_on_the_hash_seed():
    script = (
        "import numpy as np; from tests.unit.pipeline.classifiers.test_out_of_fold import texts;"
        "from pipeline.classifiers import out_of_fold;"
        "m = out_of_fold.OutOfFold(texts(60), [str(n % 50) for n in range(60)], [True] * 60, folds=5);"
        "print(m.of_labels(np.array([n % 3 for n in range(60)]), 3).tobytes().hex())"
    )
    root = Path(__file__).parents[4]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        ).stdout
        for seed, threads in (("1", "1"), ("2", "2"))
    }
    assert len(outputs) == 1
