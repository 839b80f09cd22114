"""Confidence intervals and tests for scores and for differences of two models. Pure functions.

Tests come from scipy and statsmodels where those have one; Tango's interval for paired proportions, which neither has,
is implemented here. `pipeline/gate` decides by them.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED = 20261101
LEVEL = 0.95
RESAMPLES = 2000
# scipy holds a batch of resamples in memory at once: 100 x 100,000 items x 8 bytes = 80 MB.
_BATCH = 100
_BCA_ITEMS = 2000
_KINDS = 64

Statistic = Callable[..., Any]
"""Takes columns of the items, resampled together along their last axis; returns the statistic along that axis."""


class Interval(msgspec.Struct, frozen=True):
    """A two-sided confidence interval."""

    low: float
    high: float
    level: float


def proportion_interval(successes: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion; counts may be divided by a design effect.

    Raises: ValueError if n is 0 or successes are not within 0..n.
    """
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n}")
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    # Rounding may leave a perfect score just outside of its interval.
    return Interval(max(0.0, float(low)) if successes else 0.0, min(1.0, float(high)), level)


def mean_interval(values: ArrayLike, level: float = LEVEL, seed: int = SEED) -> Interval:
    """Bootstrap interval of a mean of scores in [0, 1]; `bootstrap_interval` has the details."""
    return bootstrap_interval([values], np.mean, level=level, seed=seed)


def bootstrap_interval(
    columns: Sequence[ArrayLike],
    statistic: Statistic,
    *,
    level: float = LEVEL,
    vectorized: bool = True,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Bootstrap interval of a statistic over items: `columns` are resampled together, item by item.

    `statistic(*columns, axis=-1)` if vectorised, else `statistic(*columns)`. The same data and seed
    give the same interval. The method is BCa up to 2,000 items and percentile above, where the two
    agree and BCa's jackknife (n statistics of n items) would take seconds.

    Without spread between items (one item, or all alike) the bootstrap is not informative. A statistic in [0, 1] is
    then bounded as for n equal draws (rule of three: with 100 of 100 right, up to 2.95% may be wrong).

    Raises: ValueError without items, or if the columns differ in length.
    Source: Efron (1987), JASA 82:171 (BCa), through scipy.stats.bootstrap.
    """
    data = [np.asarray(column) for column in columns]
    n = data[0].shape[-1] if data else 0
    if n == 0 or any(column.shape != (n,) for column in data):
        raise ValueError(f"columns of one length with at least one item are needed, not {[c.shape for c in data]}")
    estimate = float(statistic(*data))
    if all((column == column[0]).all() for column in data):
        return _all_alike(estimate, n, level)
    method: Literal["BCa", "percentile"] = "BCa" if n <= _BCA_ITEMS else "percentile"
    return _resampled(data, statistic, estimate, level, method, vectorized, resamples, seed)


def cluster_bootstrap_interval(
    values: ArrayLike, clusters: Sequence[object], *, weights: ArrayLike | None = None
) -> Interval:
    """95% interval of a (weighted) mean over items in clusters (sessions, customers): resamples whole clusters.

    For a difference of two models pass `new - old` per item. Treating correlated items as
    independent makes intervals too narrow. A single cluster gives the widest interval that the
    values allow, [-1, 1] or [0, 1].

    Raises: ValueError without items, or if the lengths differ.
    Source: Miller (2024), arXiv 2411.00640, section 2.2.
    """
    sums, counts = cluster_sums(values, clusters, weights)
    if len(sums) == 1:
        return Interval(-1.0 if np.min(np.asarray(values)) < 0 else 0.0, 1.0, LEVEL)
    # Percentile: BCa's skewness correction is unstable with the few clusters that cohorts have.
    means = resampled_means(sums, counts)
    low, high = (float(end) for end in np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    if low == high:
        return _all_alike(float(ratio_of_sums(sums, counts)), len(sums), LEVEL)
    return Interval(low, high, LEVEL)


def cluster_sums(
    values: ArrayLike, clusters: Sequence[object] | NDArray[Any], weights: ArrayLike | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted sum of the values of each cluster, and its total weight; without weights, its number of values.

    A value of weight w counts as w equal values of the same cluster.

    Raises: ValueError without items, or if the lengths differ.
    """
    scores = np.asarray(values, dtype=float)
    times = np.ones(len(scores)) if weights is None else np.asarray(weights, dtype=float)
    if len(scores) == 0 or not len(scores) == len(clusters) == len(times):
        raise ValueError(f"{len(scores)} values, {len(clusters)} clusters and {len(times)} weights")
    if isinstance(clusters, np.ndarray):
        codes = np.unique(clusters, return_inverse=True)[1]
    else:
        numbers: dict[object, int] = {}
        codes = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    sums, counts = (np.bincount(codes, weights=column) for column in (scores * times, times))
    return sums.astype(np.float64), counts.astype(np.float64)


def resampled_means(
    sums: NDArray[np.float64], counts: NDArray[np.float64], *, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """Means over items when whole clusters are drawn anew with replacement; shape (resamples,).

    Clusters with equal sum and size are interchangeable, so a multinomial draw of how many there are of each kind
    replaces drawing every cluster: for binary scores a handful of numbers per resample.
    """
    rng = np.random.default_rng(seed)
    kinds, times = np.unique(np.stack([sums, counts], axis=1), axis=0, return_counts=True)
    total = len(sums)
    if len(kinds) <= _KINDS:
        drawn = rng.multinomial(total, times / total, size=resamples)
        means: NDArray[np.float64] = (drawn @ kinds[:, 0]) / (drawn @ kinds[:, 1])
        return means
    means = np.empty(resamples)
    for start in range(0, resamples, _BATCH):
        indexes = rng.integers(0, total, size=(min(_BATCH, resamples - start), total))
        means[start : start + _BATCH] = sums[indexes].sum(axis=1) / counts[indexes].sum(axis=1)
    return means


def ratio_of_sums(numerators: NDArray[Any], denominators: NDArray[Any], axis: int = -1) -> Any:
    """sum / sum along an axis, 0 where the denominator is 0: a mean over clusters, or a micro-average."""
    below = np.sum(denominators, axis=axis)
    return np.sum(numerators, axis=axis) / np.where(below == 0, 1, below)


def paired_difference_interval(both: int, only_new: int, only_old: int, neither: int, level: float = LEVEL) -> Interval:
    """Interval of accuracy(new) - accuracy(old) on the same items, as fractions in [-1, 1].

    The arguments count items by which model is right. The interval contains all differences that a score test does not
    reject; unlike Wald's it keeps its level with few or no discordant items.

    Raises: ValueError if all counts are zero or one is negative.
    Source: Tango (1998), Statistics in Medicine 17:891.
    """
    if min(both, only_new, only_old, neither) < 0:
        raise ValueError("counts cannot be negative")
    return score_interval(only_new, only_old, both + only_new + only_old + neither, level)


def score_interval(only_new: float, only_old: float, n: float, level: float = LEVEL) -> Interval:
    """Tango's interval from discordant counts, which may be fractions (counts divided by a design effect).

    Raises: ValueError if there are no items.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if n <= 0:
        raise ValueError("no items: all counts are zero")
    z = float(norm.ppf((1 + level) / 2))
    difference = (only_new - only_old) / n

    def score_minus(target: float) -> Callable[[float], float]:
        return lambda delta: _tango_score(delta, only_new, only_old, n) - target

    # The score falls from above +z to below -z over the interval's range, and is 0 at the estimate.
    low = -1.0 if difference <= -1 else brentq(score_minus(z), -1 + 1e-12, difference, xtol=1e-12)
    high = 1.0 if difference >= 1 else brentq(score_minus(-z), difference, 1 - 1e-12, xtol=1e-12)
    return Interval(float(low), float(high), level)


def score_p_value(only_new: float, only_old: float, n: float, margin: float) -> float:
    """One-sided p-value for the hypothesis that the new model is worse by `margin` or more.

    Tango's score test, which his interval inverts: below alpha exactly when the interval's lower end at level
    1 - 2 alpha is above -margin.
    """
    from scipy.stats import norm

    return float(norm.sf(_tango_score(-margin, only_new, only_old, n)))


def design_effect(
    differences: NDArray[np.float64],
    sums: NDArray[np.float64],
    counts: NDArray[np.float64],
    weights: NDArray[np.float64] | None = None,
) -> float:
    """Number of clustered items with the evidence of one independent item, for the mean of `differences`; at least 1.

    Variance with clusters as units divided by the variance with items as units; `sums` and `counts` are those of
    `cluster_sums`. One cluster of typical size whose items all differ alike is added to the data: few or no discordant
    items say nothing about how they cluster, and then a cluster counts as little more than one item.

    Source: Rao and Scott (1992), Biometrics 48:577 (counts divided by the design effect).
    """
    times = np.ones(len(differences)) if weights is None else weights
    n = counts.sum()
    mean = float((differences * times).sum()) / n
    size = float((counts**2).sum() / n)
    between = float(((sums - counts * mean) ** 2).sum()) + size**2
    within = float((times * (differences - mean) ** 2).sum()) + size
    return max(1.0, between / within)


def items_needed(
    discordance: float, margin: float, alpha: float = 0.05, power: float = 0.8, difference: float = 0.0
) -> int:
    """Sample size for Tango's non-inferiority test at this power.

    `discordance`: share of the items on which only one model is right; `difference`: the true one, above -margin.
    The common formula (z_alpha + z_beta)^2 * discordance / margin^2 uses the variance at the true difference for the
    margin too; for models that rarely disagree its power is 67% instead of 80% (2% discordance, margin 2 points).

    Raises: ValueError if the difference is not above -margin: no sample size is enough.
    Source: Nam (1997), Biometrics 53:1422.
    """
    from scipy.stats import norm

    if difference <= -margin:
        raise ValueError(
            f"a difference of {difference:g} is not within the margin {margin:g}: no sample size is enough"
        )
    share = max(discordance, abs(difference))
    at_margin = _tango_variance(-margin, (share + difference) / 2, (share - difference) / 2, 1.0)
    at_difference = share - difference**2
    reach = float(norm.ppf(1 - alpha)) * math.sqrt(at_margin) + float(norm.ppf(power)) * math.sqrt(at_difference)
    return math.ceil((reach / (margin + difference)) ** 2)


def _tango_variance(delta: float, only_new: float, only_old: float, n: float) -> float:
    """Variance of only_new - only_old if the true difference is `delta`."""
    # Maximum-likelihood share of `only_old` items given delta: the larger root of a quadratic.
    a = 2 * n
    b = -only_new - only_old + (2 * n - only_new + only_old) * delta
    c = -only_old * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    return n * (2 * share + delta * (1 - delta))


def _tango_score(delta: float, only_new: float, only_old: float, n: float) -> float:
    """Score statistic for a true difference of `delta`; decreases in delta, 0 at the estimate."""
    variance = _tango_variance(delta, only_new, only_old, n)
    gap = only_new - only_old - n * delta
    if variance <= 0:
        return 0.0 if gap == 0 else math.copysign(math.inf, gap)
    return gap / math.sqrt(variance)


def _resampled(
    data: list[NDArray[Any]],
    statistic: Statistic,
    estimate: float,
    level: float,
    method: str,
    vectorized: bool,
    resamples: int,
    seed: int,
) -> Interval:
    import warnings

    from scipy import stats

    with warnings.catch_warnings():
        # BCa divides by the spread of its jackknife values; without any it warns and gives nan.
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        result = stats.bootstrap(
            data,
            statistic,
            paired=True,
            vectorized=vectorized,
            n_resamples=resamples,
            batch=_BATCH,
            confidence_level=level,
            method=method,
            rng=np.random.default_rng(seed),
        )
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if math.isnan(low) or math.isnan(high):
        if float(np.ptp(result.bootstrap_distribution)) == 0.0:
            return _all_alike(estimate, data[0].shape[-1], level)
        tails = [(1 - level) / 2, (1 + level) / 2]
        low, high = (float(end) for end in np.quantile(result.bootstrap_distribution, tails))
    elif low == high:
        return _all_alike(estimate, data[0].shape[-1], level)
    return Interval(low, high, level)


def _all_alike(value: float, n: int, level: float) -> Interval:
    if not 0 <= value <= 1:
        return Interval(value, value, level)
    unseen = 1 - (1 - level) ** (1 / n)
    return Interval(value * (1 - unseen), value + unseen * (1 - value), level)
