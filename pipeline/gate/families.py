"""Several candidates tested on the same items: a correction for their number. Pure.

The best of several no-better candidates looks good by chance, so a test counts for less the more candidates are close.
Those that are shown to be worse by more than the margin (p above 1 - alpha) are out of the race and count for nothing;
the others' p-values are divided by 1 - alpha for that look, and corrected by Holm's method. The probability that any
no-better candidate passes stays below alpha for candidates that are independent or, as models compared with one
incumbent on the same items are, positively dependent.

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
    """Candidates that the correction is over, this one included; 0 for one that is out of the race."""


def correct(tests: Mapping[str, PairedTest], alpha: float) -> dict[str, Corrected]:
    """By candidate: its corrected p-value, and whether it passes as one of these."""
    close = {name: test for name, test in tests.items() if test.p_value <= 1 - alpha}
    # A single candidate has nothing to be corrected for.
    level = 1.0 if len(tests) == 1 else 1 - alpha
    adjusted = dict(zip(close, holm([min(1.0, test.p_value / level) for test in close.values()]), strict=True))
    return {
        name: Corrected(adjusted[name], test.verdict == "pass" and adjusted[name] <= alpha, len(close))
        if name in close
        else Corrected(1.0, False, 0)
        for name, test in tests.items()
    }
