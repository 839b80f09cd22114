"""pipeline/train/shared_prefix.py"""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import shared_prefix
from pipeline.train.chat import IGNORED

pytestmark = pytest.mark.slow

SYSTEM = list(range(100, 180))
"""A long beginning that the rows share."""


def example(prompt: list[int], answer: list[int]) -> dict[str, list[int]]:
    return {"input_ids": prompt + answer, "labels": [IGNORED] * len(prompt) + answer}


ROWS = [example([*SYSTEM, 5, 6], [7, 8]), example([*SYSTEM, 5, 9, 10], [8]), example([*SYSTEM, 11], [7, 7, 8])]


def padded(rows):
    raise AssertionError("the rows are worth rearranging")


@given(st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=4))
def test_the_shared_prefix_is_the_longest_common_one(sequences):
    count = shared_prefix.common_beginning(sequences)
    assert len({tuple(s[:count]) for s in sequences}) == 1
    assert min(map(len, sequences)) == count or len({s[count] for s in sequences}) > 1


def test_one_token_of_every_prompt_is_outside_the_shared_prefix():
    twice = [example([1, 2, 3], [4, 5]), example([1, 2, 3], [4, 5])]
    assert shared_prefix.common(twice, IGNORED) == 2


def test_the_shared_prefix_occurs_once_and_suffixes_keep_positions_and_labels():
    batch = shared_prefix.SharedPrefixCollator(padded, IGNORED)(ROWS)
    prefix = shared_prefix.common(ROWS, IGNORED)
    assert prefix == len(SYSTEM)
    assert batch["input_ids"][0].tolist() == [*SYSTEM, 5, 6, 7, 8, 5, 9, 10, 8, 11, 7, 7, 8]
    assert batch["position_ids"][0, prefix:].tolist() == [80, 81, 82, 83, 80, 81, 82, 83, 80, 81, 82, 83]
    labels = batch["labels"][0]
    assert labels[labels != IGNORED].tolist() == [7, 8, 8, 7, 7, 8]


def test_every_token_attends_to_the_prefix_and_its_own_row():
    seen = shared_prefix.mask(2, [2, 1])[0, 0]
    expected = [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 1]]
    assert torch.equal(seen, torch.tensor(expected, dtype=torch.bool))


def test_rows_with_a_short_common_prefix_are_padded():
    short = [example([1, 20, 21, 22], [3]), example([1, 30, 31, 32, 33], [4])]
    plain = {"input_ids": torch.zeros(2, 6)}
    assert shared_prefix.SharedPrefixCollator(lambda rows: plain, IGNORED)(short) is plain
    assert shared_prefix.SharedPrefixCollator(lambda rows: plain, IGNORED)(ROWS[:1]) is plain
    assert not shared_prefix.pays([600] * 4, 0)


def test_rows_are_padded_if_the_mask_would_cost_more():
    assert shared_prefix.pays([600] * 8, 560)
    assert not shared_prefix.pays([1000] * 64, 200)
