"""Rows of a task dataset that a run trains and validates on, as token ids; and what was left out."""

import random
from pathlib import Path
from typing import Any

import msgspec

from pipeline import dataset
from pipeline.train.chat import Encoded, Tokenizer, encode
from pipeline.train.config import TrainConfig
from traffic.errors import NotEnoughData

MINIMUM = {"train": 8, "validation": 2}
"""Rows without which a run would be a pretence."""


class Split(msgspec.Struct, frozen=True):
    """One split as it is used: rows in the order of the dataset."""

    rows: list[Encoded]
    too_long: int
    """Rows left out because prompt and completion exceed max_length."""

    @property
    def supervised(self) -> int:
        return sum(row.supervised for row in self.rows)


def read(folder: Path, config: TrainConfig) -> dict[str, list[dict[str, Any]]]:
    """Prompts and completions of `train` and `validation`, after the caps. Raises: InputError, NotEnoughData."""
    splits = {
        split: dataset.read_split(folder, split).select(["prompt", "completion"]).to_pylist()
        for split in ("train", "validation")
    }
    for split, rows in splits.items():
        if len(rows) < MINIMUM[split]:
            raise NotEnoughData(
                f"{folder}: {len(rows)} rows in {split}, training needs {MINIMUM[split]}; extract from more logs"
            )
    return {
        "train": sample(splits["train"], config.max_examples, config.seed),
        "validation": spread(splits["validation"], config.evaluation.max_examples),
    }


def tokenise(rows: list[dict[str, Any]], tokenizer: Tokenizer, max_length: int) -> Split:
    """Token ids of the rows that fit. Raises: InputError if the chat template cannot be trained with."""
    encoded = [encode(tokenizer, row["prompt"], row["completion"]) for row in rows]
    fitting = [row for row in encoded if len(row.ids) <= max_length]
    return Split(fitting, len(encoded) - len(fitting))


def load(folder: Path, config: TrainConfig, tokenizer: Tokenizer) -> dict[str, Split]:
    """Both splits as they are trained on. Raises: InputError, NotEnoughData if too few rows fit max_length."""
    splits = {name: tokenise(rows, tokenizer, config.max_length) for name, rows in read(folder, config).items()}
    for name, split in splits.items():
        if len(split.rows) < MINIMUM[name]:
            raise NotEnoughData(
                f"{folder}: {split.too_long} of {split.too_long + len(split.rows)} rows in {name} are longer than "
                f"max_length {config.max_length} tokens; raise max_length"
            )
    return splits


def sample(rows: list[Any], count: int | None, seed: int) -> list[Any]:
    """At most `count` rows, drawn uniformly with the seed, in their old order (of time).

    Uniform over the split, so that labels and times keep their shares.
    """
    if count is None or count >= len(rows):
        return rows
    return [rows[i] for i in sorted(random.Random(seed).sample(range(len(rows)), count))]


def spread(rows: list[Any], count: int) -> list[Any]:
    """At most `count` rows at even distances."""
    if count >= len(rows):
        return rows
    return [rows[i * len(rows) // count] for i in range(count)]
