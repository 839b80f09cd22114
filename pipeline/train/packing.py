"""Length of packed sequences, chosen so that an optimiser step still sees about `effective_batch` rows.

A sequence of 2,048 tokens holds fifty short rows, so packing thousands of rows to `max_length` would leave only a
handful of steps. Instead a sequence holds the rows of one step, within the memory of a pass. Pure.
"""

import math

import msgspec

from pipeline.train.config import TrainConfig


class Packing(msgspec.Struct, frozen=True):
    """The sequences of one epoch; each device computes one at a time."""

    length: int
    """Maximum tokens per sequence."""
    sequences: int
    """Per epoch, over all devices."""
    accumulation: int
    """Sequences per update on each device."""
    rows_per_update: float
    """Mean examples per optimiser step, over all devices."""
    updates: int
    """Optimiser steps per epoch."""


def of(config: TrainConfig, *, examples: int, tokens: int, longest: int, processes: int) -> Packing:
    """The packing of one epoch of `examples` rows with `tokens` in total and `longest` in the longest row.

    A pass holds at most as many tokens as `batch_size` rows of `max_length`. Sequences are assumed to be full, which is
    nearly true for short rows.
    """
    mean = tokens / max(1, examples)
    share = config.effective_batch / processes * mean
    accumulation = max(1, math.ceil(share / (config.batch_size * config.max_length)))
    length = max(longest, math.ceil(share / accumulation), 1)
    sequences = math.ceil(tokens / length)
    return Packing(
        length=length,
        sequences=sequences,
        accumulation=accumulation,
        rows_per_update=min(float(examples), processes * accumulation * length / max(mean, 1.0)),
        updates=max(1, math.ceil(sequences / (processes * accumulation))),
    )
