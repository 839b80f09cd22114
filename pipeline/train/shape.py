"""Size of a dataset as a training run processes it: tokens, longest rows, padding."""

import math
import random
from typing import Any

import msgspec

from pipeline.train import packing
from pipeline.train.config import TrainConfig

CHARACTERS_PER_TOKEN = 4.0
TEMPLATE_TOKENS = 25
"""Approximate size of the template without a tokenizer; the plan marks such sizes as estimated."""


class Shape(msgspec.Struct, frozen=True):
    """Sizes of the dataset after filtering."""

    examples: int
    validation_examples: int
    too_long: int
    tokens: int
    """Prompt and completion tokens of one epoch."""
    supervised: int
    """Completion tokens of one epoch: those that carry loss."""
    longest: int
    computed: int
    """Tokens of one epoch, padding included."""
    longest_completion: int
    measured: bool
    """Counted with the model's tokenizer; else estimated from characters."""

    def packed(self, config: TrainConfig, processes: int) -> packing.Packing | None:
        """Packing of the rows; None without packing."""
        if not config.packing:
            return None
        return packing.of(config, examples=self.examples, tokens=self.tokens, longest=self.longest, processes=processes)

    def rows_per_update(self, config: TrainConfig, processes: int) -> float:
        """Examples per optimiser step."""
        packed = self.packed(config, processes)
        return packed.rows_per_update if packed else config.effective_batch

    def updates(self, config: TrainConfig, processes: int) -> int:
        """Optimiser steps per epoch."""
        packed = self.packed(config, processes)
        return packed.updates if packed else math.ceil(self.examples / config.effective_batch)


def estimate(splits: dict[str, list[dict[str, Any]]], config: TrainConfig) -> Shape:
    """Sizes estimated from characters, for machines without the model's tokenizer."""

    def size(turns: list[dict[str, str]]) -> int:
        return math.ceil(sum(len(turn["content"]) for turn in turns) / CHARACTERS_PER_TOKEN)

    sizes = {
        name: [(size(row["prompt"]) + TEMPLATE_TOKENS, size(row["completion"]) + 1) for row in rows]
        for name, rows in splits.items()
    }
    return shape(sizes["train"], len(sizes["validation"]), config, measured=False)


def shape(sizes: list[tuple[int, int]], validation: int, config: TrainConfig, *, measured: bool) -> Shape:
    """Sizes of rows given as (prompt tokens, completion tokens); rows over `max_length` count as left out."""
    fitting = [(prompt, completion) for prompt, completion in sizes if prompt + completion <= config.max_length]
    return Shape(
        examples=len(fitting),
        validation_examples=validation,
        too_long=len(sizes) - len(fitting),
        tokens=sum(prompt + completion for prompt, completion in fitting),
        supervised=sum(completion for _, completion in fitting),
        longest=max((prompt + completion for prompt, completion in fitting), default=0),
        computed=padded([prompt + completion for prompt, completion in fitting], config),
        longest_completion=max((completion for _, completion in fitting), default=0),
        measured=measured,
    )


def padded(lengths: list[int], config: TrainConfig) -> int:
    """Tokens of one epoch, batches padded to their longest row; packed rows have no padding."""
    if config.packing:
        return sum(lengths)
    if config.group_by_length:
        order = sorted(lengths)
    else:
        order = random.Random(config.seed).sample(lengths, len(lengths))
    batches = (order[n : n + config.batch_size] for n in range(0, len(order), config.batch_size))
    return sum(len(batch) * max(batch) for batch in batches)
