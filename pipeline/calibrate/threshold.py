"""Chooses the threshold above which answers are kept: Learn-then-Test with an exact binomial bound. Pure.

    choose(probabilities, correct, target=0.02, confidence=0.95) -> Choice | Infeasible

Thresholds are tested one after the other, from strict to loose, until one cannot be certified; the last certified one
is chosen. A fixed order needs no correction for multiple tests (Angelopoulos et al., Learn then Test,
arXiv 2110.01052, section 3.2) if the tested items did not influence it: make it with `plan` from the items that the
probabilities were fitted on.

Answers of one session or near-duplicates are not independent evidence, and an item may stand for several requests:
with `clusters` or `weights` the bound is of the counts of requests divided by the design effect of the errors.

An answer that can never be kept (failed checks, no log-probabilities) has the probability `NEVER`.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline import statistics
from traffic.calibrations import KeptAnswers

__all__ = ["NEVER", "Choice", "Infeasible", "KeptAnswers", "choose", "plan"]

NEVER = -1.0
STEPS = 200
"""Maximum number of planned thresholds."""


class Choice(KeptAnswers, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A certified threshold: at most `target` of the kept answers are wrong, at `confidence`."""

    target: float
    tested: int
    """Thresholds tested, including the one that failed."""


class Infeasible(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No threshold can be certified."""

    reason: str
    target: float
    confidence: float
    items: int
    base_risk: float
    """Share of the items whose answer is wrong or can never be kept."""
    least_escalation: float
    """Escalation rate that even a perfect signal needs: (base risk - target) / (1 - target)."""
    items_needed: int
    """Number of kept answers that certify the target if all are right."""


def choose(
    probabilities: ArrayLike,
    correct: ArrayLike,
    *,
    target: float = 0.02,
    confidence: float = 0.95,
    order: Sequence[float] | None = None,
    clusters: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
) -> Choice | Infeasible:
    """The loosest threshold with at most `target` wrong answers among the kept ones, certified at `confidence`.

    `probabilities`, `correct`: shape (items,). `order`: thresholds from `plan`; None plans by these items' own
    probabilities, without using `correct`. `clusters`: cluster of each item; None: all independent. `weights`: requests
    that each item stands for.

    Raises: ValueError for shapes that differ, or a target or confidence outside (0, 1).
    """
    p, right = _columns(probabilities, correct)
    _check(target, confidence)
    impossible = feasibility(p, right, items=len(p), target=target, confidence=confidence)
    if impossible is not None:
        return impossible
    thresholds = plan(p, items=len(p), target=target, confidence=confidence) if order is None else order
    best: KeptAnswers | None = None
    tested = 0
    for threshold in thresholds:
        measured = measure(p, right, threshold, confidence=confidence, clusters=clusters, weights=weights)
        tested += 1
        # The exact test rejects "error above target" when the upper bound is not above the target.
        if measured.kept == 0 or measured.bound > target:
            break
        best = measured if best is None or measured.kept >= best.kept else best
    if best is None:
        failed = None
        if thresholds:
            failed = measure(p, right, thresholds[0], confidence=confidence, clusters=clusters, weights=weights)
        return _infeasible(p, right, target, confidence, _why_none(failed, target, confidence))
    return Choice(**msgspec.structs.asdict(best), target=target, tested=tested)


def plan(
    probabilities: ArrayLike, correct: ArrayLike | None = None, *, items: int, target: float, confidence: float
) -> tuple[float, ...]:
    """Thresholds in the order of testing, strictest first, for a test on `items` other items of the same kind.

    Starts where the clearest result is expected (stricter thresholds keep too few answers to show anything) and ends
    with the loosest. Expectations come from `correct`, or without it from the probabilities. Empty if too few answers
    can be kept.

    Raises: ValueError for a target or confidence outside (0, 1).
    """
    from scipy.special import betainc

    _check(target, confidence)
    p = np.asarray(probabilities, dtype=float)
    surest = np.argsort(-p, kind="stable")[: int((p >= 0).sum())]
    usable = p[surest]
    risks = 1 - usable if correct is None else 1 - np.asarray(correct, dtype=float)[surest]
    # The last index of each value: a threshold keeps all answers with equal probability.
    indices = np.flatnonzero(np.append(usable[:-1] != usable[1:], True))
    if len(indices) > STEPS:
        indices = indices[np.unique(np.linspace(0, len(indices) - 1, STEPS).round().astype(int))]
    indices = indices[(indices + 1) * items >= items_needed(target, confidence) * len(p)]
    if not len(indices):
        return ()
    kept_counts = (indices + 1) / len(p) * items
    wrong = np.cumsum(risks)[indices] / (indices + 1) * kept_counts
    # P(Bin(kept, target) <= wrong), for fractional counts.
    expected = betainc(np.maximum(kept_counts - wrong, 1e-9), wrong + 1, 1 - target)
    return tuple(float(value) for value in usable[indices[int(np.argmin(expected)) :]])


def feasibility(
    probabilities: ArrayLike, correct: ArrayLike, *, items: int, target: float, confidence: float
) -> Infeasible | None:
    """Why no threshold can be certified on `items` items like these, for any signal; None if one might be."""
    p, right = _columns(probabilities, correct)
    _check(target, confidence)
    min_kept = items_needed(target, confidence)
    good = float(np.mean(right & (p >= 0))) * items if len(p) else 0.0
    if good >= min_kept:
        return None
    return _infeasible(
        p,
        right,
        target,
        confidence,
        f"{items} items with about {good:.0f} usable right answers cannot show an error of at most {target:.2%} at "
        f"{confidence:.0%}: at least {min_kept} kept answers are needed",
        items,
    )


def measure(
    probabilities: ArrayLike,
    correct: ArrayLike,
    threshold: float,
    *,
    confidence: float = 0.95,
    clusters: Sequence[object] | None = None,
    weights: ArrayLike | None = None,
) -> KeptAnswers:
    """Answers kept at a threshold, in requests."""
    p, right = _columns(probabilities, correct)
    times = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=float)
    mask = (p >= threshold) & (p >= 0)
    wrong, mine = (~right[mask]).astype(float), times[mask]
    kept, errors = int(mine.sum()), int((wrong * mine).sum())
    effect = 1.0
    if (clusters is not None or weights is not None) and kept:
        names = np.flatnonzero(mask) if clusters is None else [clusters[index] for index in np.flatnonzero(mask)]
        effect = statistics.design_effect(wrong, *statistics.cluster_sums(wrong, names, mine), mine)
    return KeptAnswers(
        threshold=float(threshold),
        items=int(times.sum()),
        kept=kept,
        errors=errors,
        bound=upper_bound(errors / effect, kept / effect, confidence),
        confidence=confidence,
    )


def upper_bound(errors: float, n: float, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a proportion; 1 without data. Counts may be divided by a design effect.

    Source: Clopper and Pearson (1934), Biometrika 26:404.
    """
    from scipy.special import betaincinv

    return 1.0 if errors >= n else float(betaincinv(errors + 1, n - errors, confidence))


def items_needed(target: float, confidence: float) -> int:
    """Number of kept answers that certify the target if all are right: 149 for 2% at 95%."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - target))


def for_escalation(probabilities: ArrayLike, max_share: float, weights: ArrayLike | None = None) -> float:
    """The strictest threshold that escalates at most the share `most` of the requests.

    0 if more than that can never be kept. Answers with equal probability stay together, so the rate may be lower.
    """
    p = np.asarray(probabilities, dtype=float)
    if not len(p):
        return 0.0
    times = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=float)
    order = np.argsort(p, kind="stable")
    escalated = np.cumsum(times[order])
    index = min(int(np.searchsorted(escalated, max_share * escalated[-1] + 1e-9, side="right")), len(p) - 1)
    return max(0.0, float(p[order][index]))


def _infeasible(
    p: NDArray[np.float64],
    right: NDArray[np.bool_],
    target: float,
    confidence: float,
    reason: str,
    items: int | None = None,
) -> Infeasible:
    risk = 1 - float(np.mean(right & (p >= 0))) if len(p) else 1.0
    return Infeasible(
        reason=reason,
        target=target,
        confidence=confidence,
        items=len(p) if items is None else items,
        base_risk=risk,
        least_escalation=max(0.0, (risk - target) / (1 - target)),
        items_needed=items_needed(target, confidence),
    )


def _why_none(failed: KeptAnswers | None, target: float, confidence: float) -> str:
    """Why the first threshold could not be certified."""
    if failed is None:
        return f"fewer than {items_needed(target, confidence)} answers can be kept: the others fail their checks"
    clustered = failed.bound > upper_bound(failed.errors, failed.kept, confidence) + 1e-9
    note = " (counts divided by the design effect of their groups)" if clustered else ""
    return (
        f"{failed.errors} of the {failed.kept} most confident answers are wrong: at {confidence:.0%} that shows an "
        f"error of at most {failed.bound:.1%}{note}, not {target:.2%}"
    )


def _columns(probabilities: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    p, right = np.asarray(probabilities, dtype=float), np.asarray(correct, dtype=bool)
    if p.ndim != 1 or p.shape != right.shape:
        raise ValueError(f"expected one probability per answer, got shapes {p.shape} and {right.shape}")
    return p, right


def _check(target: float, confidence: float) -> None:
    if not 0 < target < 1 or not 0 < confidence < 1:
        raise ValueError(f"target {target} and confidence {confidence} must lie between 0 and 1")
