"""How fast this machine's CPU multiplies bfloat16 matrices: what its plans are made with, as GPUs have data sheets.

CPUs differ by an order of magnitude in this (AMX, AVX512-BF16, neither), so no constant stands for all of them.
"""

import time

from pipeline.train.config import Architecture
from pipeline.train.estimate import Cpu

ROWS = 512
"""Tokens of the product that is timed: what a pass over short rows has."""
TRIES = 5
SECONDS = 0.02
"""A try repeats the product for so long: a single one is over in a millisecond."""


def measure(arch: Architecture) -> Cpu:
    """The rate of the model's widest linear layer, the best of some tries: others may use the machine too."""
    import torch

    tokens = torch.ones(ROWS, arch.hidden, dtype=torch.bfloat16)
    weights = torch.ones(arch.hidden, arch.intermediate, dtype=torch.bfloat16)
    tokens @ weights
    best = 0.0
    for _ in range(TRIES):
        began, products = time.perf_counter(), 0
        while (passed := time.perf_counter() - began) < SECONDS:
            tokens @ weights
            products += 1
        best = max(best, products / passed)
    return Cpu(best * 2 * ROWS * arch.hidden * arch.intermediate)
