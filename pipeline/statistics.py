"""Intervals and the non-inferiority test: how sure a score, or a difference of two models, is.

Pure functions. Tests of significance come from scipy and statsmodels where they have one; Tango's
interval for paired proportions, which neither has, is here.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

SEED = 20261101
RESAMPLES = 2000
# scipy holds a batch of resamples in memory at once: 100 x 100,000 items x 8 bytes = 80 MB.
_BATCH = 100
_BCA_ITEMS = 2000

Verdict = Literal["pass", "fail", "insufficient evidence"]
Statistic = Callable[..., Any]
"""Columns of the items, resampled together along their last axis -> the statistic along that axis."""


class Interval(msgspec.Struct, frozen=True):
    """A two-sided confidence interval."""

    low: float
    high: float
    level: float


class NonInferiority(msgspec.Struct, frozen=True):
    """Whether a new model is at most `margin` worse than an old one on the same items."""

    verdict: Verdict
    difference: float
    """accuracy(new) - accuracy(old), as a fraction; 0 when there are no items."""
    low: float
    """One-sided lower bound of the difference at confidence `1 - alpha`."""
    high: float
    """One-sided upper bound."""
    margin: float
    alpha: float
    items: int
    items_needed: int
    """Items for 80% power at the discordance seen here, if the two models are equally good."""


def proportion_interval(successes: int, n: int, level: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion. Raises: ValueError if n is 0 or successes are not within 0..n."""
    from statsmodels.stats.proportion import proportion_confint

    if not 0 <= successes <= n or n == 0:
        raise ValueError(f"{successes} successes of {n}")
    low, high = proportion_confint(successes, n, alpha=1 - level, method="wilson")
    return Interval(max(0.0, float(low)), min(1.0, float(high)), level)


def mean_interval(values: ArrayLike, level: float = 0.95, seed: int = SEED) -> Interval:
    """Bootstrap interval of a mean of scores in [0, 1]; `bootstrap_interval` has the details."""
    return bootstrap_interval([values], np.mean, level=level, seed=seed)


def bootstrap_interval(
    columns: Sequence[ArrayLike],
    statistic: Statistic,
    *,
    level: float = 0.95,
    method: Literal["auto", "BCa", "percentile"] = "auto",
    vectorized: bool = True,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """Bootstrap interval of a statistic over items: `columns` are resampled together, item by item.

    `statistic(*columns, axis=-1)` if vectorised, else `statistic(*columns)`. The same data and seed
    give the same interval. `auto` is BCa up to 2,000 items and percentile above, where the two
    agree and BCa's jackknife (n statistics of n items) would take seconds.

    Where resampling shows no spread (one item, or all alike) the bootstrap knows nothing; then, for
    a statistic in [0, 1], what could still hide is bounded as for n equal draws (the rule of three:
    with 100 of 100 right, up to 2.95% may be wrong).

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
    if method == "auto":
        method = "BCa" if n <= _BCA_ITEMS else "percentile"
    return _resampled(data, statistic, estimate, level, method, vectorized, resamples, seed)


def cluster_bootstrap_interval(
    values: ArrayLike, clusters: Sequence[object], level: float = 0.95, seed: int = SEED
) -> Interval:
    """Interval of a mean over items that come in clusters (sessions, customers): whole clusters are resampled.

    For a difference of two models pass `new - old` per item. Treating correlated items as
    independent makes intervals too narrow. A single cluster gives the widest interval that the
    values allow, [-1, 1] or [0, 1].

    Raises: ValueError without items, or if the lengths differ.
    Source: Miller (2024), arXiv 2411.00640, section 2.2.
    """
    scores = np.asarray(values, dtype=float)
    if len(scores) == 0 or len(scores) != len(clusters):
        raise ValueError(f"{len(scores)} values and {len(clusters)} clusters")
    numbers: dict[object, int] = {}
    codes = np.array([numbers.setdefault(cluster, len(numbers)) for cluster in clusters])
    if len(numbers) == 1:
        return Interval(-1.0 if scores.min() < 0 else 0.0, 1.0, level)
    sums, counts = np.bincount(codes, weights=scores), np.bincount(codes).astype(float)
    # Percentile: BCa's skewness correction is unstable with the few clusters that cohorts have.
    return bootstrap_interval([sums, counts], ratio_of_sums, level=level, method="percentile", seed=seed)


def ratio_of_sums(numerators: NDArray[Any], denominators: NDArray[Any], axis: int = -1) -> Any:
    """sum / sum along an axis, 0 where the denominator is 0: a mean over clusters, or a micro-average."""
    below = np.sum(denominators, axis=axis)
    return np.sum(numerators, axis=axis) / np.where(below == 0, 1, below)


def paired_difference_interval(both: int, only_new: int, only_old: int, neither: int, level: float = 0.95) -> Interval:
    """Interval of accuracy(new) - accuracy(old) on the same items, as fractions in [-1, 1].

    The arguments count items by who is right. The interval holds all differences that a score test
    does not reject; unlike Wald's it keeps its level with few discordant items, or none.

    Raises: ValueError if all counts are zero or one is negative.
    Source: Tango (1998), Statistics in Medicine 17:891.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if min(both, only_new, only_old, neither) < 0:
        raise ValueError("counts cannot be negative")
    n = both + only_new + only_old + neither
    if n == 0:
        raise ValueError("no items: all counts are zero")
    z = float(norm.ppf((1 + level) / 2))
    difference = (only_new - only_old) / n

    def score_minus(target: float) -> Callable[[float], float]:
        return lambda delta: _tango_score(delta, only_new, only_old, n) - target

    # The score falls from above +z to below -z over the interval's range, and is 0 at the estimate.
    low = -1.0 if difference <= -1 else brentq(score_minus(z), -1 + 1e-12, difference, xtol=1e-12)
    high = 1.0 if difference >= 1 else brentq(score_minus(-z), difference, 1 - 1e-12, xtol=1e-12)
    return Interval(float(low), float(high), level)


def non_inferiority(
    both: int, only_new: int, only_old: int, neither: int, *, margin: float = 0.02, alpha: float = 0.05
) -> NonInferiority:
    """Is the new model at most `margin` (a fraction) less accurate than the old one on the same items?

    `pass` if the one-sided lower bound of the difference is above -margin, `fail` if the upper bound
    is below it, else `insufficient evidence`: too few items to tell is never a pass. "Passes in
    every cohort" needs no correction for the number of cohorts.

    Raises: ValueError for a margin or alpha outside (0, 1) and (0, 0.5), or a negative count.
    """
    if not 0 < margin < 1 or not 0 < alpha < 0.5:
        raise ValueError(f"margin {margin} must lie in (0, 1), alpha {alpha} in (0, 0.5)")
    n = both + only_new + only_old + neither
    if n == 0:
        return NonInferiority(
            "insufficient evidence", 0.0, -1.0, 1.0, margin, alpha, 0, items_needed(1.0, margin, alpha)
        )
    # Both ends of a two-sided interval at 1 - 2 alpha are one-sided bounds at 1 - alpha.
    interval = paired_difference_interval(both, only_new, only_old, neither, level=1 - 2 * alpha)
    verdict: Verdict = "insufficient evidence"
    if interval.low > -margin:
        verdict = "pass"
    elif interval.high < -margin:
        verdict = "fail"
    # One discordant item more than seen: none seen does not mean that none exist.
    discordance = min(1.0, (only_new + only_old + 1) / n)
    needed = items_needed(discordance, margin, alpha)
    return NonInferiority(verdict, (only_new - only_old) / n, interval.low, interval.high, margin, alpha, n, needed)


def items_needed(discordance: float, margin: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """Items for a non-inferiority test of equally good models that disagree on a share `discordance` of them.

    (z_alpha + z_beta)^2 * discordance / margin^2, rounded up.
    """
    from scipy.stats import norm

    reach = float(norm.ppf(1 - alpha)) + float(norm.ppf(power))
    return math.ceil(reach**2 * discordance / margin**2)


def _tango_score(delta: float, only_new: int, only_old: int, n: int) -> float:
    """The score statistic for a true difference of `delta`; falls as delta grows, 0 at the estimate."""
    # Maximum-likelihood share of `only_old` items given delta: the larger root of a quadratic.
    a = 2 * n
    b = -only_new - only_old + (2 * n - only_new + only_old) * delta
    c = -only_old * delta * (1 - delta)
    share = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * share + delta * (1 - delta))
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
