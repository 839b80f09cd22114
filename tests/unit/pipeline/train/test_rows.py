"""pipeline/train/rows.py"""

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.train import rows
from pipeline.train.config import EvaluationConfig, ModelConfig, TrainConfig
from tests.fakes import task_datasets, tiny_models
from traffic.errors import InputError, NotEnoughData

CONFIG = TrainConfig(model=ModelConfig(name="tiny"))


@given(st.integers(0, 60), st.integers(1, 80), st.integers(0, 5))
def test_a_sample_is_an_ordered_subset_of_the_requested_size(count, cap, seed):
    sampled = rows.sample(list(range(count)), cap, seed)
    assert sampled == sorted(set(sampled))
    assert len(sampled) == min(count, cap)


def test_the_same_seed_draws_the_same_sample_and_another_seed_another():
    numbers = list(range(100))
    assert rows.sample(numbers, 10, 1) == rows.sample(numbers, 10, 1)
    assert rows.sample(numbers, 10, 1) != rows.sample(numbers, 10, 2)


@given(st.integers(0, 60), st.integers(1, 80))
def test_spread_rows_are_distinct_and_start_with_the_first(count, cap):
    chosen = rows.spread(list(range(count)), cap)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == min(count, cap)
    assert chosen[:1] == list(range(count))[:1]


def test_rows_longer_than_max_length_are_removed_and_counted_not_truncated(tmp_path: Path):
    long = task_datasets.row(999)
    long["prompt"][1]["content"] = "word " * 300
    folder = task_datasets.make(tmp_path, train=12, extra=(long,))
    tokenizer = tiny_models.tokenizer("qwen2")
    splits = rows.load(folder, msgspec.structs.replace(CONFIG, max_length=200), tokenizer)
    assert (len(splits["train"].rows), splits["train"].too_long) == (12, 1)
    assert all(row.ids[-1] == tokenizer.eos_token_id for row in splits["train"].rows)
    assert (len(splits["validation"].rows), splits["validation"].too_long) == (8, 0)


def test_rows_with_control_tokens_are_removed_and_counted(tmp_path: Path):
    tokenizer = tiny_models.tokenizer("qwen2")
    injected = task_datasets.row(999)
    injected["prompt"][1]["content"] = f"hello{tokenizer.eos_token}"
    splits = rows.load(task_datasets.make(tmp_path, train=12, extra=(injected,)), CONFIG, tokenizer)
    assert (len(splits["train"].rows), splits["train"].control_tokens) == (12, 1)
    assert rows.special_tokens(tokenizer)


def test_max_length_that_leaves_too_few_rows_is_an_error_that_names_it(tmp_path: Path):
    folder = task_datasets.make(tmp_path, train=12)
    with pytest.raises(NotEnoughData, match="max_length 10"):
        rows.load(folder, msgspec.structs.replace(CONFIG, max_length=10), tiny_models.tokenizer("qwen2"))


def test_too_small_a_dataset_is_refused_with_both_numbers(tmp_path: Path):
    folder = task_datasets.make(tmp_path, train=3)
    with pytest.raises(NotEnoughData, match="3 rows in train, training needs 8"):
        rows.read(folder, CONFIG)


def test_the_caps_apply_to_both_splits(tmp_path: Path):
    folder = task_datasets.make(tmp_path, train=30, others=10)
    capped = msgspec.structs.replace(CONFIG, max_examples=9, evaluation=EvaluationConfig(max_examples=4))
    read = rows.read(folder, capped)
    assert {split: len(left) for split, left in read.items()} == {"train": 9, "validation": 4}


def test_a_split_that_is_not_parquet_is_an_input_error(tmp_path: Path):
    folder = task_datasets.make(tmp_path)
    (folder / "validation.parquet").write_bytes(b"not parquet")
    with pytest.raises(InputError, match=r"validation\.parquet"):
        rows.read(folder, CONFIG)


def test_rows_with_weight_0_are_not_trained_on(tmp_path: Path):
    extra = tuple(task_datasets.row(900 + n) | {"weight": weight} for n, weight in enumerate((0.0, 0.25, 0.0)))
    folder = task_datasets.make(tmp_path, train=12, extra=extra)
    split = rows.load(folder, CONFIG, tiny_models.tokenizer("qwen2"))["train"]
    assert split.weights == [1.0] * 12 + [0.25]
    assert len(split.rows) == 13


def test_rows_without_weight_are_counted(tmp_path: Path):
    extra = tuple(task_datasets.row(900 + n) | {"weight": weight} for n, weight in enumerate((0.0, 0.25, 0.0)))
    folder = task_datasets.make(tmp_path, train=12, extra=extra)
    assert rows.weightless(folder) == {"train": 2, "validation": 0}


def test_packed_rows_are_sampled_once_for_all_epochs(tmp_path: Path):
    extra = tuple(task_datasets.row(900 + n) | {"weight": 0.25} for n in range(16))
    folder = task_datasets.make(tmp_path, train=12, extra=extra)
    split = rows.load(folder, CONFIG, tiny_models.tokenizer("qwen2"))["train"]
    thin = rows.thinned(split, seed=0)
    assert (len(split.rows), len(thin.rows)) == (28, 16)
    assert [row for row in split.rows[:12] if row not in thin.rows] == []
    assert rows.thinned(thin, seed=0) is thin
