"""Multiple-testing correction over candidates tested on the same items. Pure.

The best of several equally good candidates looks better by chance, so their number must be corrected for. Candidates
shown to be worse by more than the margin (p above 1 - alpha) are discarded first; the p-values of the rest are divided
by 1 - alpha to pay for the discarding, then corrected by Holm's method. The probability that any inadequate candidate
passes stays below alpha if candidates are independent or positively dependent, as models compared with one incumbent on
the same items are.

Source: Zhao, Small and Su (2019), JASA 114:1291 (discarding); Holm (1979), Scand. J. Statist. 6:65.
"""

from collections.abc import Mapping
from typing import NamedTuple

from pipeline.gate.cohorts import holm
from pipeline.gate.paired import PairedTest


class Corrected(NamedTuple):
    """A candidate's result among others."""

    p_holm: float
    passes: bool
    rivals: int
    """Candidates in the correction, this one included; 0 for a discarded one."""


def correct(tests: Mapping[str, PairedTest], alpha: float) -> dict[str, Corrected]:
    """Corrected p-value and verdict by candidate."""
    close = {name: test for name, test in tests.items() if test.p_value <= 1 - alpha}
    # A single candidate needs no correction.
    level = 1.0 if len(tests) == 1 else 1 - alpha
    adjusted = dict(zip(close, holm([min(1.0, test.p_value / level) for test in close.values()]), strict=True))
    return {
        name: Corrected(adjusted[name], test.verdict == "pass" and adjusted[name] <= alpha, len(close))
        if name in close
        else Corrected(1.0, False, 0)
        for name, test in tests.items()
    }
