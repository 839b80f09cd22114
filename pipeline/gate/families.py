"""Several candidates tested on the same items: Holm's correction for their number. Pure.

The best of several no-better candidates looks good by chance. With Holm's correction the probability that any of them
passes stays below alpha, however their answers depend on each other.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.gate.cohorts import holm
from pipeline.gate.paired import PairedTest


class Corrected(NamedTuple):
    """A candidate's result among others."""

    p_holm: float
    passes: bool


def correct(tests: Mapping[str, PairedTest], alpha: float) -> dict[str, Corrected]:
    """By candidate: its corrected p-value, and whether it passes as one of these."""
    adjusted = holm([test.p_value for test in tests.values()])
    return {
        name: Corrected(p_holm, test.verdict == "pass" and p_holm <= alpha)
        for (name, test), p_holm in zip(tests.items(), adjusted, strict=True)
    }
