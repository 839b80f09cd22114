"""Paired non-inferiority of a candidate against the incumbent, on the same items. Pure.

Two methods, and both must agree. Tango's score test is right for right-or-wrong answers even where the two hardly
ever differ; it takes items for independent, so its counts are divided by the design effect. A bootstrap that
resamples whole clusters (sessions, near-duplicates) assumes nothing about how items hang together, but is too sure of
itself where few clusters differ. Each end of the reported bounds is that of the more doubtful of the two, so that
"pass" and "fail" are what neither contradicts, and the chance of a false "pass" is at most that of either.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline import statistics

Verdict = Literal["pass", "fail", "insufficient evidence"]
OPEN: Verdict = "insufficient evidence"
RESAMPLES = 5000
"""The smallest p-value that they can show is 1/5,001: enough for Holm over 200 cohorts."""


class PairedTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The candidate's mean score minus the incumbent's; differences are fractions, bounds one-sided at 1 - alpha."""

    verdict: Verdict
    """pass: worse by less than the margin; fail: worse by more; else too few items to tell, which is never a pass."""
    difference: float
    low: float
    high: float
    p_value: float
    """Of "worse by the margin or more": the larger one of the two methods."""
    superior: bool
    """Shown to be better: the lower bound is above 0. Tested after non-inferiority, that costs no alpha."""
    equivalent: bool
    """Shown to be neither worse nor better by the margin: both bounds are within it."""
    items: int
    clusters: int
    discordant: int
    """Items on which the two score differently: only these decide."""
    design_effect: float
    """Items that carry the evidence of one independent item."""
    items_needed: int
    """For 80% power at this discordance and clustering, if both are equally good."""
    items_missing: int | None
    """How many more would probably settle it; 0 where it is settled, None where more would rather show it worse."""


def compare(
    new: ArrayLike, old: ArrayLike, clusters: Sequence[object] | NDArray[Any], *, margin: float, alpha: float
) -> PairedTest:
    """Test a candidate's scores (`new`, one per item, in [0, 1]) against the incumbent's on the same items.

    Items of one cluster are not independent; give each item its own where they are.

    Raises: ValueError for a margin or alpha outside (0, 1) and (0, 0.5), without items, or for lengths that differ.
    """
    if not 0 < margin < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin} must lie in (0, 1), alpha {alpha} in (0, 0.5)")
    scores, others = np.asarray(new, dtype=float), np.asarray(old, dtype=float)
    if scores.shape != others.shape:
        raise ValueError(f"{len(scores)} and {len(others)} scores: both must be of the same items")
    differences = scores - others
    sums, counts = statistics.cluster_sums(differences, clusters)
    effect = statistics.design_effect(differences, sums, counts)
    by_item = _by_item(differences, effect, margin, alpha)
    by_cluster = _by_cluster(sums, counts, margin, alpha)
    low, high = min(by_item.low, by_cluster.low), max(by_item.high, by_cluster.high)
    verdict: Verdict = "pass" if low > -margin else "fail" if high < -margin else OPEN
    difference, n = float(differences.mean()), len(differences)
    # One discordant item more than seen: none seen does not mean that none exist.
    spread = min(1.0, (float((differences**2).sum()) + 1) / n)
    needed = round(effect * statistics.items_needed(spread, margin, alpha))
    return PairedTest(
        verdict=verdict,
        difference=difference,
        low=low,
        high=high,
        p_value=max(by_item.p_value, by_cluster.p_value),
        superior=low > 0,
        equivalent=low > -margin and high < margin,
        items=n,
        clusters=len(sums),
        discordant=int(np.count_nonzero(differences)),
        design_effect=effect,
        items_needed=needed,
        items_missing=_missing(n, needed, difference, spread, effect, margin, alpha) if verdict == OPEN else 0,
    )


def points(test: PairedTest) -> str:
    """The difference in percentage points, with its bounds."""
    return f"{100 * test.difference:+.1f} points ({100 * test.low:+.1f} to {100 * test.high:+.1f})"


def missing(test: PairedTest) -> str:
    """How many items more would settle it, as the end of a sentence; empty where it is settled."""
    if test.items_missing is None:
        return "; more items would rather show it worse"
    return f"; about {test.items_missing:,} items more would settle it" if test.items_missing else ""


class _Bounds(msgspec.Struct, frozen=True):
    low: float
    high: float
    p_value: float


def _by_item(differences: NDArray[np.float64], effect: float, margin: float, alpha: float) -> _Bounds:
    """Tango's test of right-or-wrong answers; of graded ones (similarity of texts) a normal approximation.

    Graded answers may fail completely and rarely, which few items do not show: to each side are added as many total
    failures, and as many equal pairs, as Agresti and Coull (1998), The American Statistician 52:119, add to a share.
    """
    from scipy.stats import norm

    n = len(differences)
    if np.isin(differences, (-1.0, 0.0, 1.0)).all():
        only_new = float(np.count_nonzero(differences > 0)) / effect
        only_old = float(np.count_nonzero(differences < 0)) / effect
        found = statistics.score_interval(only_new, only_old, n / effect, level=1 - 2 * alpha)
        return _Bounds(found.low, found.high, statistics.score_p_value(only_new, only_old, n / effect, margin))
    z = float(norm.ppf(1 - alpha))
    total = n / effect
    mean, square = float(differences.mean()), float((differences**2).mean())

    def end(side: int) -> tuple[float, float]:
        """Mean and its standard error with the failures of one side (-1 or 1) added."""
        centre = (total * mean + side * z**2 / 2) / (total + z**2)
        spread = (total * square + z**2 / 2) / (total + z**2) - centre**2
        return centre, float(np.sqrt(spread / (total + z**2)))

    (below, error), (above, error_above) = end(-1), end(1)
    return _Bounds(below - z * error, above + z * error_above, float(norm.sf((below + margin) / error)))


def _by_cluster(sums: NDArray[np.float64], counts: NDArray[np.float64], margin: float, alpha: float) -> _Bounds:
    """Percentiles of the mean difference over resampled clusters."""
    if len(sums) == 1:
        return _Bounds(-1.0, 1.0, 1.0)
    means = statistics.resampled_means(sums, counts, resamples=RESAMPLES)
    low, high = (float(end) for end in np.quantile(means, [alpha, 1 - alpha]))
    return _Bounds(low, high, float((np.count_nonzero(means <= -margin) + 1) / (RESAMPLES + 1)))


def _missing(
    n: int, needed: int, difference: float, spread: float, effect: float, margin: float, alpha: float
) -> int | None:
    if needed > n:
        return needed - n
    # Enough for equally good models, and still not settled: what was seen is the better guess.
    if difference <= -margin:
        return None
    again = round(effect * statistics.items_needed(spread, margin, alpha, difference=min(0.0, difference)))
    return max(1, again - n)
