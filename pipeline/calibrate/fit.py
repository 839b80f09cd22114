"""Fits P(correct given confidence signals) on graded answers.

Every signal and a weighted sum of signals compete by cross-validated log loss; the curve over the winner is isotonic
with enough items, else Platt's sigmoid. Estimators are scikit-learn's; the result is plain numbers, from which
`traffic.confidence` computes the same probabilities.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from traffic.confidence import Curve, Feature, Isotonic, Platt, Signal, Signals, Threshold, feature, weighted

ISOTONIC_FROM = 1000
"""Minimum items for an isotonic curve; with fewer it fits noise."""
COMBINED: tuple[Feature, ...] = ("min_margin", "p10_margin", "mean_margin", "first_margin", "length")
"""Features of the weighted sum."""
TILT = 1e-6
"""Rise added to the isotonic curve from its first knot to its last: the curve is constant over blocks of answers, and a
threshold must be able to cut through a block by signal."""
FOLDS = 5
MIN_PER_CLASS = 20
"""Minimum right and minimum wrong answers for choosing between signals; with fewer `min_margin` is used."""
MIN_PER_CLASS_TO_COMBINE = 50

Array = NDArray[np.float64]


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """Mapping from signals to a probability."""

    signal: Signal | Literal["combined"]
    weights: dict[Feature, float]
    """Weights of the sum; empty for a single signal."""
    curve: Curve
    method: str
    items: int
    informative: bool = True
    """False: more confident answers are not right more often; every answer has the same probability."""

    def probability(self, signals: Signals) -> float:
        """P(right), as the router computes it."""
        return Threshold(self.signal, 0.0, tuple(self.weights.items()), self.curve).value(signals)


def fit(signals: Sequence[Signals], correct: Sequence[bool], *, isotonic_from: int = ISOTONIC_FROM) -> Fitted:
    """Choose the signal and fit its curve. Raises: ValueError without items, or if the lengths differ."""
    right = np.asarray(correct, dtype=bool)
    if not len(signals) or len(signals) != len(right):
        raise ValueError(f"{len(signals)} answers but {len(right)} grades")
    signal, weights, reason = _choose(signals, right)
    scores = _scores(signals, signal, weights)
    curve: Curve
    if len(right) >= isotonic_from:
        curve, shape = isotonic(scores, right), "isotonic"
    else:
        curve, shape = platt(scores, right), "Platt"
    ends = [curve.probability(float(score)) for score in (scores.min(), scores.max())]
    return Fitted(
        signal=signal,
        weights=weights,
        curve=curve,
        method=f"{shape} curve over {signal} ({reason})",
        items=len(right),
        informative=ends[1] - ends[0] > 2 * TILT,
    )


def isotonic(scores: Array, right: NDArray[np.bool_]) -> Isotonic:
    """The best increasing curve, bounded away from 0 and 1 by the number of items."""
    from sklearn.isotonic import IsotonicRegression

    n = len(right)
    model = IsotonicRegression(y_min=1 / (n + 2), y_max=(n + 1) / (n + 2), out_of_bounds="clip")
    model.fit(scores, right.astype(float))
    x, y = np.asarray(model.X_thresholds_, dtype=float), np.asarray(model.y_thresholds_, dtype=float)
    width = x[-1] - x[0]
    if width > 0:
        y = np.minimum(y + TILT * ((x - x[0]) / width - 0.5), 1.0)
    return Isotonic(tuple(x.tolist()), tuple(np.maximum.accumulate(y).tolist()))


def platt(scores: Array, right: NDArray[np.bool_]) -> Platt:
    """Platt's sigmoid with his priors, which bound it away from 0 and 1 for few items or only one class.

    Constant if more confident answers are not right more often.
    Source: Platt (1999), Probabilistic outputs for support vector machines, section 2.2.
    """
    good, bad = int(right.sum()), int((~right).sum())
    target = np.where(right, (good + 1) / (good + 2), 1 / (bad + 2))
    spread = float(scores.std())
    if spread > 0:
        model = _logistic(((scores - scores.mean()) / spread)[:, None], target)
        slope = float(model.coef_[0, 0]) / spread
        if slope > 0:
            return Platt(slope, float(model.intercept_[0]) - slope * float(scores.mean()))
    mean = (good + 1) / (good + bad + 2)
    return Platt(0.0, float(np.log(mean / (1 - mean))))


def _choose(
    signals: Sequence[Signals], right: NDArray[np.bool_]
) -> tuple[Signal | Literal["combined"], dict[Feature, float], str]:
    """The signal with the lowest cross-validated log loss, the weights of the sum, and the reason."""
    smaller_class = min(int(right.sum()), int((~right).sum()))
    if smaller_class < MIN_PER_CLASS:
        return "min_margin", {}, f"too few right or wrong answers to compare signals: {smaller_class} of {len(right)}"
    names: tuple[Signal, ...] = get_args(Signal)
    losses: dict[str, float] = {}
    for name in names:
        column = _scores(signals, name, {})[:, None]
        # Equal signals (answers of one token) tie; the first name wins.
        losses[name] = _loss(column, right)
    best: Any = min(losses, key=lambda name: (round(losses[name], 6), names.index(name)))
    if smaller_class >= MIN_PER_CLASS_TO_COMBINE:
        columns = np.array([[feature(answer, name) for name in COMBINED] for answer in signals])
        varied = _distinct(columns)
        if len(varied) > 1 and _loss(columns[:, varied], right) < losses[best]:
            weights = _weights(columns[:, varied], right, [COMBINED[index] for index in varied])
            return "combined", weights, f"beats {best} alone by cross-validated log loss"
    return best, {}, "lowest cross-validated log loss of all signals"


def _distinct(columns: Array) -> list[int]:
    """Columns that vary and do not repeat an earlier column."""
    distinct: list[int] = []
    for index in range(columns.shape[1]):
        column = columns[:, index]
        if np.ptp(column) > 0 and not any(np.allclose(column, columns[:, other]) for other in distinct):
            distinct.append(index)
    return distinct


def _weights(columns: Array, right: NDArray[np.bool_], names: Sequence[Feature]) -> dict[Feature, float]:
    spread = columns.std(axis=0)
    model = _logistic((columns - columns.mean(axis=0)) / spread, right.astype(float), c=1.0)
    return {name: float(weight) for name, weight in zip(names, model.coef_[0] / spread, strict=True)}


def _loss(columns: Array, right: NDArray[np.bool_]) -> float:
    """Cross-validated mean log loss of a logistic regression."""
    spread = columns.std(axis=0)
    scaled = (columns - columns.mean(axis=0)) / np.where(spread == 0, 1, spread)
    fold = np.arange(len(right)) % FOLDS
    # Not exactly 0 and 1, so that every fold has both classes.
    target = np.where(right, 0.999, 0.001)
    total = 0.0
    for number in range(FOLDS):
        training, held_out = fold != number, fold == number
        p = _logistic(scaled[training], target[training], c=1.0).predict_proba(scaled[held_out])[:, 1]
        p = np.clip(p, 1e-9, 1 - 1e-9)
        total -= float(np.where(right[held_out], np.log(p), np.log(1 - p)).sum())
    return total / len(right)


def _logistic(columns: Array, target: Array, c: float = 1e6) -> Any:
    """Logistic regression on targets in [0, 1]: each item counts for both classes, weighted by its target."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    stacked = np.concatenate([columns, columns])
    classes = np.concatenate([np.ones(len(target)), np.zeros(len(target))])
    weights = np.concatenate([target, 1 - target])
    used = weights > 0
    model = LogisticRegression(C=c, max_iter=1000)
    with warnings.catch_warnings():
        # Perfectly separating signals have no finite fit; the priors and C bound it.
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(stacked[used], classes[used], sample_weight=weights[used])


def _scores(signals: Sequence[Signals], signal: Signal | Literal["combined"], weights: dict[Feature, float]) -> Array:
    if signal == "combined":
        pairs = tuple(weights.items())
        return np.array([weighted(answer, pairs) for answer in signals])
    return np.array([feature(answer, signal) for answer in signals])
