"""Training and validation rows of a task dataset as token ids, with counts of the rows left out."""

import random
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from pipeline import dataset
from pipeline.train.chat import Encoded, Tokenizer, encode
from pipeline.train.config import TrainConfig
from traffic.errors import NotEnoughData

MINIMUM = {"train": 8, "validation": 2}
"""Minimum rows per split."""


class Split(msgspec.Struct, frozen=True):
    """One split after filtering, rows in the dataset's order."""

    rows: list[Encoded]
    too_long: int
    """Rows left out because prompt and completion exceed max_length."""
    weights: list[float]
    """Mean number of times each row is trained on per epoch."""

    control_tokens: int = 0
    """Rows left out because a message holds a control token of the tokenizer, which extraction did not know."""

    @property
    def supervised(self) -> int:
        """Mean completion tokens per epoch."""
        return round(sum(row.supervised * weight for row, weight in zip(self.rows, self.weights, strict=True)))


def read(folder: Path, config: TrainConfig) -> dict[str, list[dict[str, Any]]]:
    """Prompts, completions and weights of `train` and `validation`, capped; rows of weight 0 are left out.

    Raises: InputError, NotEnoughData.
    """
    splits = {split: [row for row in _columns(folder, split).to_pylist() if row["weight"] > 0] for split in MINIMUM}
    for split, rows in splits.items():
        if len(rows) < MINIMUM[split]:
            raise NotEnoughData(
                f"{folder}: {len(rows)} rows in {split}, training needs {MINIMUM[split]}; extract from more logs"
            )
    return {
        "train": sample(splits["train"], config.max_examples, config.seed),
        "validation": spread(splits["validation"], config.evaluation.max_examples),
    }


def weightless(folder: Path) -> dict[str, int]:
    """Rows of each split that `read` leaves out because their weight is 0. Raises: InputError."""
    weights = {split: _columns(folder, split)["weight"].to_pylist() for split in MINIMUM}
    return {split: sum(weight <= 0 for weight in values) for split, values in weights.items()}


def tokenise(rows: list[dict[str, Any]], tokenizer: Tokenizer, max_length: int) -> Split:
    """Token ids of the rows that fit. Raises: InputError if the chat template cannot be trained with."""
    control = special_tokens(tokenizer)
    plain = [row for row in rows if not _holds(row, control)]
    encoded = [(encode(tokenizer, row["prompt"], row["completion"]), row["weight"]) for row in plain]
    fitting = [(row, weight) for row, weight in encoded if len(row.ids) <= max_length]
    weights = [weight for _, weight in fitting]
    return Split([row for row, _ in fitting], len(encoded) - len(fitting), weights, len(rows) - len(plain))


def special_tokens(tokenizer: Tokenizer) -> tuple[str, ...]:
    """The tokenizer's control tokens as text: in a message they would end a turn or begin another."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    return tuple(str(token) for token in added.values() if token.special and str(token).strip())


def _holds(row: dict[str, Any], tokens: tuple[str, ...]) -> bool:
    contents = [turn["content"] for turn in (*row["prompt"], *row["completion"])]
    return any(token in content for content in contents for token in tokens)


def load(folder: Path, config: TrainConfig, tokenizer: Tokenizer) -> dict[str, Split]:
    """Both splits, tokenised and filtered. Raises: InputError, NotEnoughData if too few rows fit max_length."""
    splits = {name: tokenise(rows, tokenizer, config.max_length) for name, rows in read(folder, config).items()}
    for name, split in splits.items():
        if len(split.rows) < MINIMUM[name]:
            raise NotEnoughData(
                f"{folder}: {split.too_long} of {split.too_long + len(split.rows)} rows in {name} are longer than "
                f"max_length {config.max_length} tokens; raise max_length"
            )
    return splits


def _columns(folder: Path, split: str) -> pa.Table:
    return dataset.read_split(folder, split).select(["prompt", "completion", "weight"])


def sample(rows: list[Any], count: int | None, seed: int) -> list[Any]:
    """At most `count` rows, drawn uniformly with the seed and kept in order of time.

    Uniform, so that labels and times keep their shares.
    """
    if count is None or count >= len(rows):
        return rows
    return [rows[i] for i in sorted(random.Random(seed).sample(range(len(rows)), count))]


def thinned(split: Split, seed: int) -> Split:
    """The split after one weighted draw, used for all epochs: packed rows cannot be weighted individually."""
    from pipeline.train import sampler

    if all(weight == 1 for weight in split.weights):
        return split
    drawn = sorted(sampler.draw(split.weights, sampler.generator_of(seed, 0)))
    return Split([split.rows[n] for n in drawn], split.too_long, [1.0] * len(drawn), split.control_tokens)


def spread(rows: list[Any], count: int) -> list[Any]:
    """At most `count` rows, evenly spaced."""
    if count >= len(rows):
        return rows
    return [rows[i * len(rows) // count] for i in range(count)]
