"""The threshold above which answers are kept: Learn-then-Test with an exact binomial bound. Pure.

    choose(probabilities, correct, target=0.02, confidence=0.95) -> Choice | Infeasible

Thresholds are tested one after the other, from a strict one to looser ones, until the first that cannot be certified;
the last certified one is chosen. A fixed order needs no correction for the number of tests (Angelopoulos et al.,
Learn then Test, arXiv 2110.01052, section 3.2), provided that the tested items had no part in it: make it with `plan`
from the items that the probabilities were fitted on.

Answers of one session, or almost the same text, are no independent evidence: where `clusters` says which those are,
the bound is of the counts divided by the design effect of the errors among the kept.

An answer that can never be kept (it fails its checks, or came without log-probabilities) has the probability `NEVER`.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline import statistics
from traffic.calibrations import Kept

__all__ = ["NEVER", "Choice", "Infeasible", "Kept", "choose", "plan"]

NEVER = -1.0
STEPS = 200
"""Thresholds that are planned at most."""


class Choice(Kept, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A certified threshold: with probability `confidence` at most `target` of the kept answers are wrong."""

    target: float
    tested: int
    """Thresholds that were tested, the one that failed included."""


class Infeasible(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """No threshold can be certified, and why."""

    reason: str
    target: float
    confidence: float
    items: int
    base_risk: float
    """Share of the items whose answer is wrong, or can never be kept."""
    least_escalation: float
    """Even with a perfect signal so many would have to escalate: (base risk - target) / (1 - target)."""
    items_needed: int
    """Kept answers that certify the target if none of them is wrong."""


def choose(
    probabilities: ArrayLike,
    correct: ArrayLike,
    *,
    target: float = 0.02,
    confidence: float = 0.95,
    order: Sequence[float] | None = None,
    clusters: Sequence[object] | None = None,
) -> Choice | Infeasible:
    """The threshold that keeps the most answers of which at most `target` are wrong, certified at `confidence`.

    `probabilities`, `correct`: shape (items,). `order`: thresholds as `plan` gives them; None plans by these items'
    own probabilities, without a look at `correct`. `clusters`: which items hang together; None: none do.

    Raises: ValueError for shapes that differ, or a target or confidence outside (0, 1).
    """
    p, right = _columns(probabilities, correct)
    _check(target, confidence)
    impossible = feasibility(p, right, items=len(p), target=target, confidence=confidence)
    if impossible is not None:
        return impossible
    thresholds = plan(p, items=len(p), target=target, confidence=confidence) if order is None else order
    best: Kept | None = None
    tested = 0
    for threshold in thresholds:
        found = measure(p, right, threshold, confidence=confidence, clusters=clusters)
        tested += 1
        # The exact test rejects "the error is above the target" where the upper bound is not above it.
        if found.kept == 0 or found.bound > target:
            break
        best = found if best is None or found.kept >= best.kept else best
    if best is None:
        failed = measure(p, right, thresholds[0], confidence=confidence, clusters=clusters) if thresholds else None
        return _infeasible(p, right, target, confidence, _why_none(failed, target, confidence))
    return Choice(**msgspec.structs.asdict(best), target=target, tested=tested)


def plan(
    probabilities: ArrayLike, correct: ArrayLike | None = None, *, items: int, target: float, confidence: float
) -> tuple[float, ...]:
    """Thresholds in the order of testing, strictest first, for a test on `items` other items of the same kind.

    It begins where the clearest result is to be expected (stricter ones keep too few answers to show anything) and
    goes on to the loosest: by what was right among these items, or without `correct` by their probabilities. Empty
    where so little can be kept that nothing can be shown.

    Raises: ValueError for a target or confidence outside (0, 1).
    """
    from scipy.special import betainc

    _check(target, confidence)
    p = np.asarray(probabilities, dtype=float)
    surest = np.argsort(-p, kind="stable")[: int((p >= 0).sum())]
    usable = p[surest]
    risks = 1 - usable if correct is None else 1 - np.asarray(correct, dtype=float)[surest]
    # The last place of each value: a threshold keeps all answers that are as sure.
    places = np.flatnonzero(np.append(usable[:-1] != usable[1:], True))
    if len(places) > STEPS:
        places = places[np.unique(np.linspace(0, len(places) - 1, STEPS).round().astype(int))]
    places = places[(places + 1) * items >= items_needed(target, confidence) * len(p)]
    if not len(places):
        return ()
    kept = (places + 1) / len(p) * items
    wrong = np.cumsum(risks)[places] / (places + 1) * kept
    # P(Bin(kept, target) <= wrong), for numbers of answers that are no whole ones.
    expected = betainc(np.maximum(kept - wrong, 1e-9), wrong + 1, 1 - target)
    return tuple(float(value) for value in usable[places[int(np.argmin(expected)) :]])


def feasibility(
    probabilities: ArrayLike, correct: ArrayLike, *, items: int, target: float, confidence: float
) -> Infeasible | None:
    """Why no threshold can be certified on `items` items like these, whatever the signal; None if one might be."""
    p, right = _columns(probabilities, correct)
    _check(target, confidence)
    needed = items_needed(target, confidence)
    good = float(np.mean(right & (p >= 0))) * items if len(p) else 0.0
    if good >= needed:
        return None
    return _infeasible(
        p,
        right,
        target,
        confidence,
        f"{items} items with about {good:.0f} usable right answers cannot show an error of at most {target:.2%} at "
        f"{confidence:.0%}: {needed} kept answers without an error are needed",
        items,
    )


def measure(
    probabilities: ArrayLike,
    correct: ArrayLike,
    threshold: float,
    *,
    confidence: float = 0.95,
    clusters: Sequence[object] | None = None,
) -> Kept:
    """What a threshold keeps of these items."""
    p, right = _columns(probabilities, correct)
    mask = (p >= threshold) & (p >= 0)
    wrong = (~right[mask]).astype(float)
    kept, errors = len(wrong), int(wrong.sum())
    effect = 1.0
    if clusters is not None and kept:
        mine = [cluster for cluster, inside in zip(clusters, mask, strict=True) if inside]
        effect = statistics.design_effect(wrong, *statistics.cluster_sums(wrong, mine))
    return Kept(
        threshold=float(threshold),
        items=len(p),
        kept=kept,
        errors=errors,
        bound=upper_bound(errors / effect, kept / effect, confidence),
        confidence=confidence,
    )


def upper_bound(errors: float, n: float, confidence: float = 0.95) -> float:
    """Exact one-sided upper bound of a proportion; 1 where nothing was seen. Counts may be divided by a design effect.

    Source: Clopper and Pearson (1934), Biometrika 26:404.
    """
    from scipy.special import betaincinv

    return 1.0 if errors >= n else float(betaincinv(errors + 1, n - errors, confidence))


def items_needed(target: float, confidence: float) -> int:
    """Kept answers that certify the target if none of them is wrong: 149 for 2% at 95%."""
    return math.ceil(math.log(1 - confidence) / math.log(1 - target))


def for_escalation(probabilities: ArrayLike, most: float) -> float:
    """The strictest threshold that escalates at most the share `most` of these items.

    0 where more than that can never be kept. Answers that are equally sure stay together, so that it may be less.
    """
    ascending = np.sort(np.asarray(probabilities, dtype=float))
    if not len(ascending):
        return 0.0
    place = min(math.floor(most * len(ascending) + 1e-9), len(ascending) - 1)
    return max(0.0, float(ascending[place]))


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


def _why_none(failed: Kept | None, target: float, confidence: float) -> str:
    """Why not even the first threshold was certified."""
    if failed is None:
        return f"fewer than {items_needed(target, confidence)} answers can be kept: the others fail their checks"
    together = failed.bound > upper_bound(failed.errors, failed.kept, confidence) + 1e-9
    less = ", as those of one group count as little more than one" if together else ""
    return (
        f"of the {failed.kept} surest answers {failed.errors} are wrong: at {confidence:.0%} that shows an error of at "
        f"most {failed.bound:.1%}{less}, not {target:.2%}"
    )


def _columns(probabilities: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    p, right = np.asarray(probabilities, dtype=float), np.asarray(correct, dtype=bool)
    if p.ndim != 1 or p.shape != right.shape:
        raise ValueError(f"one probability per answer is needed, not {p.shape} and {right.shape}")
    return p, right


def _check(target: float, confidence: float) -> None:
    if not 0 < target < 1 or not 0 < confidence < 1:
        raise ValueError(f"target {target} and confidence {confidence} must lie between 0 and 1")
