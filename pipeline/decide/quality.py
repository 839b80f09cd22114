"""Is a candidate good enough: the paired non-inferiority test against the reference, on the same items."""

from collections.abc import Collection, Mapping
from typing import Literal

import msgspec

from pipeline import statistics
from pipeline.decide.evidence import Evaluated, Item
from pipeline.metrics import Metric

QualityVerdict = Literal["reference", "pass", "fail", "insufficient evidence", "not evaluated"]


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the evaluation says of a candidate; differences are to the reference, as fractions."""

    verdict: QualityVerdict
    metric: str | None = None
    """accuracy, json_exact or similarity: what candidates of this task are told apart by."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    """95% interval of the value; None for a cohort, where only the difference decides."""
    n: int = 0
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    """One-sided bounds at 1 - alpha."""
    items_needed: int | None = None
    """To settle it if both are equally good; None where it is settled or the score is graded."""


NOT_EVALUATED = Quality(verdict="not evaluated")


def judge(
    new: Evaluated, reference: Evaluated, margin: float, alpha: float, ids: Collection[str] | None = None
) -> Quality:
    """The candidate's quality on all items, or on those of a cohort. The reference itself is adequate by definition."""
    metric = new.scores.main_metric
    items = new.items if ids is None else {record_id: new.items[record_id] for record_id in ids}
    value, low, high = _value(items, metric, new.scores.metrics.get(metric) if ids is None else None)
    plain = Quality(verdict="reference", metric=metric, value=value, low=low, high=high, n=len(items))
    if new is reference:
        return plain
    found = _graded if metric == "similarity" else _right_or_wrong
    return msgspec.structs.replace(plain, **found(items, reference.items, margin, alpha))


def _value(
    items: Mapping[str, Item], metric: str, known: Metric | None
) -> tuple[float | None, float | None, float | None]:
    if known is not None:
        return known.value, known.interval.low, known.interval.high
    values = [item.score if metric == "similarity" else float(item.correct) for item in items.values()]
    return (sum(values) / len(values) if values else None), None, None


def _right_or_wrong(
    items: Mapping[str, Item], reference: Mapping[str, Item], margin: float, alpha: float
) -> dict[str, object]:
    pairs = [(item.correct, reference[record_id].correct) for record_id, item in items.items()]
    both, neither = pairs.count((True, True)), pairs.count((False, False))
    only_new, only_old = pairs.count((True, False)), pairs.count((False, True))
    test = statistics.non_inferiority(both, only_new, only_old, neither, margin=margin, alpha=alpha)
    return {
        "verdict": test.verdict,
        "difference": test.difference,
        "difference_low": test.low,
        "difference_high": test.high,
        "items_needed": test.items_needed if test.verdict == "insufficient evidence" else None,
    }


def _graded(items: Mapping[str, Item], reference: Mapping[str, Item], margin: float, alpha: float) -> dict[str, object]:
    """Mean difference of similarities, which are rarely just right or wrong: bounds by paired bootstrap."""
    differences = [item.score - reference[record_id].score for record_id, item in items.items()]
    # Shifted into [0, 1], where the bootstrap also knows what to say of items that are all alike.
    shifted = statistics.mean_interval([(difference + 1) / 2 for difference in differences], level=1 - 2 * alpha)
    low, high = 2 * shifted.low - 1, 2 * shifted.high - 1
    verdict: QualityVerdict = "insufficient evidence"
    if low > -margin:
        verdict = "pass"
    elif high < -margin:
        verdict = "fail"
    return {
        "verdict": verdict,
        "difference": sum(differences) / len(differences),
        "difference_low": low,
        "difference_high": high,
    }
