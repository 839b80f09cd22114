"""Paired non-inferiority test of a candidate against the incumbent, on the same items. Pure.

Two methods must agree. Tango's score test is accurate for binary scores even with few discordant items; it assumes
independent items, so its counts are divided by the design effect. A bootstrap over whole clusters (sessions,
near-duplicates) makes no assumption about dependence but is too narrow with few discordant clusters. Each reported
bound is the more conservative of the two, so the rate of false passes is at most that of either method.

An item may stand for several requests (duplicates are one item): with weights, rates are those of requests, and the
requests of one item are one cluster. A dominant item, whose share of the requests exceeds the margin, is not a sample:
both answers to it are known. Dominant items form a certainty stratum and count as observed, like the largest units of a
survey. The candidate must be non-inferior on the rest and on the whole; the lower of the two bounds counts. So one
frequent item that the candidate answers better cannot decide the verdict, and one that it answers worse cannot hide.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline import statistics

Verdict = Literal["pass", "fail", "insufficient evidence"]
OPEN: Verdict = "insufficient evidence"
RESAMPLES = 5000
"""The smallest p-value of the bootstrap is 1/5,001: enough for Holm over 200 cohorts."""
DOMINANT = 10.0
"""Minimum ratio of a dominant item's requests to those of the mean item."""


class PairedTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The candidate's mean score minus the incumbent's; differences are fractions, bounds one-sided at 1 - alpha."""

    verdict: Verdict
    """pass: worse by less than the margin; fail: worse by more; otherwise there are too few items to tell."""
    difference: float
    low: float
    high: float
    p_value: float
    """For "worse by the margin or more": the larger of the two methods."""
    superior: bool
    """Better: the lower bound is above 0. Tested after non-inferiority, it costs no alpha."""
    equivalent: bool
    """Neither worse nor better by the margin: both bounds are within it."""
    items: int
    clusters: int
    discordant: int
    """Items on which the two scores differ; only these decide."""
    design_effect: float
    """Requests (items, without weights) that carry the evidence of one independent request."""
    items_needed: int
    """For 80% power at this discordance and clustering, if both are equally good."""
    items_missing: int | None
    """Additional items that would probably settle it; 0 if settled, None if more would probably show it worse."""
    requests: int | None = None
    """Total weight of the items; None without weights."""
    dominant: int = 0
    """Items that each hold more requests than the margin; taken as observed."""
    dominant_share: float = 0.0
    """Share of the requests that they hold."""


class _Sample(NamedTuple):
    """Differences of the item scores with their weights, and the sums of each cluster."""

    differences: NDArray[np.float64]
    weights: NDArray[np.float64]
    sums: NDArray[np.float64]
    counts: NDArray[np.float64]
    effect: float
    """Design effect."""

    @property
    def total(self) -> float:
        return float(self.weights.sum())

    def sum_of(self, values: NDArray[Any]) -> float:
        return float((values * self.weights).sum())


def compare(
    new: ArrayLike,
    old: ArrayLike,
    clusters: Sequence[object] | NDArray[Any],
    *,
    margin: float,
    alpha: float,
    weights: ArrayLike | None = None,
) -> PairedTest:
    """Test a candidate's scores (`new`, one per item, in [0, 1]) against the incumbent's on the same items.

    `clusters`: items of one cluster are not independent; independent items each have their own. `weights`: requests
    that each item stands for.

    Raises: ValueError for a margin or alpha outside (0, 1) and (0, 0.5), without items, or for lengths that differ.
    """
    if not 0 < margin < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin} must lie in (0, 1), alpha {alpha} in (0, 0.5)")
    scores, others = np.asarray(new, dtype=float), np.asarray(old, dtype=float)
    if scores.shape != others.shape:
        raise ValueError(f"{len(scores)} and {len(others)} scores: both must be of the same items")
    strata = _stratify(scores - others, clusters, weights, margin)
    sample, limit = strata.rest, strata.limit
    by_item, by_cluster = _by_item(sample, limit, alpha), _by_cluster(sample, limit, alpha)
    low = strata.lower(min(by_item.low, by_cluster.low))
    high = strata.upper(max(by_item.high, by_cluster.high))
    verdict: Verdict = "pass" if low > -margin else "fail" if high < -margin else OPEN
    power = _Power(strata, margin, alpha)
    return PairedTest(
        verdict=verdict,
        difference=strata.difference,
        low=low,
        high=high,
        p_value=max(by_item.p_value, by_cluster.p_value),
        superior=low > 0,
        equivalent=low > -margin and high < margin,
        items=len(scores),
        clusters=len(sample.sums) + strata.dominant,
        discordant=int(np.count_nonzero(scores - others)),
        design_effect=sample.effect,
        items_needed=power.items_needed() + strata.dominant,
        items_missing=power.missing() if verdict == OPEN else 0,
        requests=None if weights is None else round(float(np.sum(weights))),
        dominant=strata.dominant,
        dominant_share=round(strata.share, 4),
    )


class _Strata(NamedTuple):
    """Dominant items, whose difference is known, and the rest, which is a sample."""

    rest: _Sample
    dominant: int
    share: float
    """Share of the requests that dominant items hold."""
    known: float
    """Contribution of the dominant items to the overall difference."""
    margin: float

    @property
    def limit(self) -> float:
        """The margin that the rest is tested with: the whole and the rest must both be within the margin."""
        return max(-1 + 1e-9, min(self.margin, (self.margin + self.known) / (1 - self.share)))

    @property
    def difference(self) -> float:
        return self.known + (1 - self.share) * self.rest.sum_of(self.rest.differences) / self.rest.total

    def lower(self, low: float) -> float:
        """Bound of the whole and the rest from that of the rest."""
        return min(low, self.known + (1 - self.share) * low)

    def upper(self, high: float) -> float:
        return max(high, self.known + (1 - self.share) * high)


def _stratify(
    differences: NDArray[np.float64],
    clusters: Sequence[object] | NDArray[Any],
    weights: ArrayLike | None,
    margin: float,
) -> _Strata:
    if weights is None:
        return _Strata(_sample(differences, clusters, None), 0, 0.0, 0.0, margin)
    times = np.asarray(weights, dtype=float)
    total = float(times.sum())
    dominant = (times > margin * total) & (times > DOMINANT * times.mean())
    sample_clusters = [cluster for cluster, out in zip(clusters, dominant, strict=True) if not out]
    sample = _sample(differences[~dominant], sample_clusters, times[~dominant])
    share = float(times[dominant].sum()) / total
    known = float((differences * times)[dominant].sum()) / total
    return _Strata(sample, int(dominant.sum()), share, known, margin)


def points(test: PairedTest) -> str:
    """The difference in percentage points, with its bounds."""
    return f"{100 * test.difference:+.1f} points ({100 * test.low:+.1f} to {100 * test.high:+.1f})"


def missing(test: PairedTest) -> str:
    """How many more items would settle it, as the end of a sentence; empty if it is settled."""
    if test.items_missing is None:
        return "; more items would probably show it worse"
    return f"; about {test.items_missing:,} more items would settle it" if test.items_missing else ""


def _sample(
    differences: NDArray[np.float64], clusters: Sequence[object] | NDArray[Any], weights: ArrayLike | None
) -> _Sample:
    times = np.ones(len(differences)) if weights is None else np.asarray(weights, dtype=float)
    sums, counts = statistics.cluster_sums(differences, clusters, times)
    return _Sample(differences, times, sums, counts, statistics.design_effect(differences, sums, counts, times))


class _Bounds(NamedTuple):
    low: float
    high: float
    p_value: float


def _by_item(sample: _Sample, margin: float, alpha: float) -> _Bounds:
    """Tango's test of binary scores; for graded ones (similarity of texts) a normal approximation.

    Graded answers may fail completely and rarely, which few items do not show: to each side are added as many total
    failures, and as many equal pairs, as Agresti and Coull (1998), The American Statistician 52:119, add to a share.
    """
    from scipy.stats import norm

    differences = sample.differences
    n = sample.total / sample.effect
    if np.isin(differences, (-1.0, 0.0, 1.0)).all():
        only_new = sample.sum_of(differences > 0) / sample.effect
        only_old = sample.sum_of(differences < 0) / sample.effect
        interval = statistics.score_interval(only_new, only_old, n, level=1 - 2 * alpha)
        return _Bounds(interval.low, interval.high, statistics.score_p_value(only_new, only_old, n, margin))
    z = float(norm.ppf(1 - alpha))
    mean, square = sample.sum_of(differences) / sample.total, sample.sum_of(differences**2) / sample.total

    def end(side: int) -> tuple[float, float]:
        """Mean and its standard error with the failures of one side (-1 or 1) added."""
        centre = (n * mean + side * z**2 / 2) / (n + z**2)
        spread = (n * square + z**2 / 2) / (n + z**2) - centre**2
        return centre, float(np.sqrt(spread / (n + z**2)))

    (below, error), (above, error_above) = end(-1), end(1)
    return _Bounds(below - z * error, above + z * error_above, float(norm.sf((below + margin) / error)))


def _by_cluster(sample: _Sample, margin: float, alpha: float) -> _Bounds:
    """Percentiles of the mean difference over resampled clusters."""
    if len(sample.sums) == 1:
        return _Bounds(-1.0, 1.0, 1.0)
    means = statistics.resampled_means(sample.sums, sample.counts, resamples=RESAMPLES)
    low, high = (float(end) for end in np.quantile(means, [alpha, 1 - alpha]))
    return _Bounds(low, high, float((np.count_nonzero(means <= -margin) + 1) / (RESAMPLES + 1)))


class _Power:
    """Sample sizes for the test, in items that are not dominant."""

    def __init__(self, strata: _Strata, margin: float, alpha: float) -> None:
        sample = strata.rest
        self._margin, self._alpha = margin, alpha
        self._worse = strata.difference <= -margin or strata.limit <= 0
        self._limit = strata.limit if strata.limit > 0 else margin
        self._items = len(sample.differences)
        self._difference = sample.sum_of(sample.differences) / sample.total
        # One more discordant item than observed: observing none does not mean that there are none.
        typical = sample.sum_of(sample.weights) / sample.total
        self._discordance = min(1.0, (sample.sum_of(sample.differences**2) + typical) / sample.total)
        # Items that carry the evidence of one independent request.
        self._per_item = sample.effect * self._items / sample.total

    def items_needed(self, difference: float = 0.0) -> int:
        """Items for 80% power at this true difference."""
        required = statistics.items_needed(self._discordance, self._limit, self._alpha, difference=difference)
        return round(self._per_item * required)

    def missing(self) -> int | None:
        """Additional items that would settle an open test; None if they would probably show it worse."""
        required = self.items_needed()
        if required > self._items:
            return required - self._items
        # There are enough items for equally good models, so assume the observed difference.
        if self._worse or self._difference <= -self._limit:
            return None
        return max(1, self.items_needed(min(0.0, self._difference)) - self._items)
