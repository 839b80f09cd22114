"""How rows are packed into sequences: so that an update still sees about `effective_batch` of them.

Packed to `max_length`, a sequence of 2,048 tokens holds fifty short rows, and a run of thousands would be a handful of
updates. A sequence gets the rows of one update instead, as far as the memory of a pass goes. Pure.
"""

import math

import msgspec

from pipeline.train.config import TrainConfig


class Packing(msgspec.Struct, frozen=True):
    """The sequences of one epoch; each device computes one at a time."""

    length: int
    """Tokens that a sequence holds at most."""
    sequences: int
    """Of one epoch, all devices together."""
    accumulation: int
    """Sequences per update on each device."""
    rows_per_update: float
    """Examples in one update of all devices, on average."""
    updates: int
    """Of one epoch."""


def of(config: TrainConfig, *, examples: int, tokens: int, longest: int, processes: int) -> Packing:
    """`tokens` of one epoch's `examples`, of which the longest row has `longest`: it must fit into a sequence.

    A pass holds no more than `batch_size` rows of `max_length` would take without packing. Sequences are counted as if
    they were full to the end, which short rows come close to.
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
