"""Cost-quality curves on synthetic tables."""

import csv
import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import routellm
from benchmarks.routellm import GSM8K, MT_BENCH, STRONG, WEAK, curve


def test_the_best_order_recovers_the_gap_with_the_calls_that_are_needed() -> None:
    weak, strong = np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4)
    best = curve(strong - weak, weak, strong)
    assert (best(0.25), best(0.5), best(1.0)) == (0.5, 1.0, 1.0)
    assert routellm._cpt(best, 0.5) == 0.25
    assert routellm._apgr(best) == pytest.approx(0.75)


def test_equal_priorities_are_random_mixing() -> None:
    weak, strong = np.array([1.0, 0.0, 1.0, 0.0]), np.ones(4)
    random = curve(np.zeros(4), weak, strong)
    assert (routellm._apgr(random), routellm._cpt(random, 0.8)) == (pytest.approx(0.5), pytest.approx(0.8))


def test_wrong_arithmetic_is_detected() -> None:
    good = routellm.Item("2 hens lay 3 eggs each", "2 * 3 = 6 eggs.\n#### 6", 1, 1)
    bad = good._replace(answer="2 * 3 = 7 eggs.\n#### 7")
    place = [a != b for a, b in zip(routellm._features(good), routellm._features(bad), strict=True)]
    assert place.index(True) == 5


def tables(folder: Path) -> None:
    """A weak model that fails on wrong sums, and a strong one that is nearly always right."""
    with gzip.open(folder / GSM8K, "wt", newline="") as lines:
        rows = csv.writer(lines)
        rows.writerow(("prompt", WEAK, STRONG, f"{WEAK}_response", f"{STRONG}_response"))
        for n in range(200):
            right = n % 3 != 0
            rows.writerow((f"What is {n} + 1?", right, n % 20 != 1, f"{n} + 1 = {n + 1 + 5 * (not right)}.", "."))
    with gzip.open(folder / MT_BENCH, "wt") as lines:
        for n in range(40):
            for model in (WEAK, STRONG):
                for turn in (1, 2):
                    question = f"[Question]\nTask {n}\n\n[The Start of Assistant's Answer]\n{'word ' * (n + 1)}"
                    prompt = f"[Instruction]\nJudge.\n\n{question}\n[The End of Assistant's Answer]"
                    score = 9 if model == STRONG else 3 + n % 5
                    row = {"question_id": n, "model": model, "turn": turn, "score": score, "user_prompt": prompt}
                    lines.write(json.dumps(row) + "\n")


def test_a_signal_of_wrong_answers_beats_random_mixing_on_both_tables(tmp_path: Path) -> None:
    tables(tmp_path)
    figures = routellm.measure(tmp_path, resamples=20)
    rows = {row["signal"]: row for row in figures["gsm8k"]["rows"]}
    assert figures["gsm8k"]["items"] == 200
    assert rows["random mixing"]["apgr"] == pytest.approx(0.5)
    assert rows["confidence (weak answer checked)"]["apgr"] > 0.7
    assert (figures["mt-bench"]["items"], figures["mt-bench"]["strong"]) == (40, pytest.approx(0.9))
    assert set(rows) == {row["signal"] for row in figures["mt-bench"]["rows"]}
