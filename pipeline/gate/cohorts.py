"""Tests each cohort and derives which requests a candidate may answer. Pure.

A candidate that passes overall and in every tested cohort is promoted for all requests; "passes everywhere" needs no
correction for the number of cohorts. Cohorts with too few items are not tested, and nothing is claimed about them.
Otherwise it is promoted by cohort, and Holm's correction keeps the probability of any wrong promotion below alpha (both
together are part of Hochberg's step-up procedure, 1988, Biometrika 75:800). A request goes to the candidate if all of
its cohort values were promoted; values with too little evidence stay with the incumbent.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from pipeline.gate.label_groups import KEY as LABEL_GROUP
from pipeline.gate.paired import PairedTest, missing, points

Degraded = Literal["carve_out", "block", "report"]
Unsettled = Literal["stay", "follow"]
By = Literal["whole", "cohorts", "none"]
Outcome = Literal["promoted", "stays", "degraded"]


class Cohort(NamedTuple):
    key: str
    value: str

    def __str__(self) -> str:
        return f"{self.key} {self.value}"


class CohortTest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One cohort's test and its outcome."""

    key: str
    value: str
    items: int
    test: PairedTest | None = None
    """None: too few items, not tested."""
    p_holm: float | None = None
    """p-value after Holm's correction over the tested cohorts."""
    outcome: Outcome
    why: str


class Promotion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which requests a candidate may answer."""

    by: By
    """whole: all requests; cohorts: those of the promoted cohorts; none."""
    blocked: bool = False
    """A degraded cohort or label group blocks the candidate; more items would not help."""
    only: dict[str, tuple[str, ...]] = {}
    """Promoted values by cohort key: a request needs one of them for each key. Empty with `whole`."""
    share: float
    """Share of the requests that it may answer."""
    reasons: tuple[str, ...] = ()
    """Why it is not promoted for all requests."""
    cohorts: tuple[CohortTest, ...] = ()


class Settings(NamedTuple):
    """See `pipeline/decide/config.py`."""

    alpha: float
    degraded: Degraded = "carve_out"
    unsettled: Unsettled = "stay"
    min_items: int = 1
    """Cohorts with fewer items are not tested."""


class Sample(NamedTuple):
    items: int
    test: PairedTest | None
    """None: too few items to test."""


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values after Holm's step-down correction, in the given order. Source: Holm (1979), Scand. J. Statist. 6:65."""
    from statsmodels.stats.multitest import multipletests

    return [float(p) for p in multipletests(p_values, method="holm")[1]] if p_values else []


def promote(
    overall: PairedTest,
    cohorts: Mapping[Cohort, Sample],
    values: Sequence[Mapping[str, str]],
    settings: Settings,
    weights: Sequence[float] | None = None,
    *,
    passed: bool | None = None,
) -> Promotion:
    """The promotion that follows from the overall test and the cohorts' tests.

    `values`: cohort values of each item, and `weights` the requests it stands for, for the promoted share. Requests
    cannot be routed by label, so a degraded label group blocks the candidate, unless degraded cohorts are only
    reported. `passed`: whether the overall test passes after the correction for several candidates; None: uncorrected.
    """
    passed = overall.verdict == "pass" if passed is None else passed
    tested_cohorts = _judge(cohorts, settings, passed=passed)
    routable = [cohort for cohort in tested_cohorts if cohort.key != LABEL_GROUP]
    degraded = [cohort for cohort in tested_cohorts if cohort.outcome == "degraded"]
    blocking = [cohort for cohort in degraded if settings.degraded == "block" or cohort.key == LABEL_GROUP]
    if settings.degraded == "report":
        blocking = []
    staying = [cohort for cohort in routable if cohort.outcome != "promoted"]
    if settings.degraded == "report":
        staying = [cohort for cohort in staying if cohort.outcome != "degraded"]
    if not passed or blocking:
        reasons = tuple(f"{cohort.key} {cohort.value} degrades: {cohort.why}" for cohort in blocking)
        return Promotion(by="none", blocked=bool(blocking), share=0.0, reasons=reasons, cohorts=tested_cohorts)
    if not staying:
        return Promotion(by="whole", share=1.0, cohorts=tested_cohorts)
    stay = {Cohort(cohort.key, cohort.value) for cohort in staying}
    keys = sorted({cohort.key for cohort in routable})
    only = {
        key: tuple(
            sorted(cohort.value for cohort in routable if cohort.key == key and Cohort(key, cohort.value) not in stay)
        )
        for key in keys
    }
    times = [1.0] * len(values) if weights is None else weights
    mine = sum(
        weight
        for weight, item in zip(times, values, strict=True)
        if all(item.get(key) in promoted for key, promoted in only.items())
    )
    reasons = tuple(f"{cohort.key} {cohort.value} stays with the incumbent: {cohort.why}" for cohort in staying)
    if not mine:
        return Promotion(by="none", share=0.0, reasons=reasons, cohorts=tested_cohorts)
    return Promotion(by="cohorts", only=only, share=mine / sum(times), reasons=reasons, cohorts=tested_cohorts)


def _judge(cohorts: Mapping[Cohort, Sample], settings: Settings, *, passed: bool) -> tuple[CohortTest, ...]:
    family = [cohort for cohort, tested in cohorts.items() if tested.test is not None and cohort.key != LABEL_GROUP]
    adjusted = dict(zip(family, holm([_p(cohorts[cohort]) for cohort in family]), strict=True))
    verdicts = [tested.test.verdict for cohort in family if (tested := cohorts[cohort]).test is not None]
    everywhere = all(verdict == "pass" for verdict in verdicts)
    follow = settings.unsettled == "follow" and passed
    return tuple(
        _judge_one(cohort, tested, adjusted.get(cohort), everywhere, follow, settings)
        for cohort, tested in cohorts.items()
    )


def _judge_one(
    cohort: Cohort, tested: Sample, p_holm: float | None, everywhere: bool, follow: bool, settings: Settings
) -> CohortTest:
    test = tested.test
    outcome: Outcome = "stays"
    if test is None:
        more = max(1, settings.min_items - tested.items)
        reason = f"insufficient evidence: {tested.items:,} items are too few; at least {more:,} more are needed"
    elif test.verdict == "fail":
        outcome, reason = "degraded", f"worse by more than the margin: {points(test)}"
    elif test.verdict == "pass" and (everywhere or cohort.key == LABEL_GROUP or (p_holm or 0) <= settings.alpha):
        outcome, reason = "promoted", f"not worse by the margin: {points(test)}"
    elif test.verdict == "pass":
        reason = f"passes, but not after Holm's correction (p {p_holm:.3f}): {points(test)}"
    else:
        reason = f"insufficient evidence: {points(test)}{missing(test)}"
    if outcome == "stays" and follow:
        outcome, reason = "promoted", f"{reason}; follows the whole (unsettled_cohorts)"
    return CohortTest(
        key=cohort.key, value=cohort.value, items=tested.items, test=test, p_holm=p_holm, outcome=outcome, why=reason
    )


def _p(tested: Sample) -> float:
    assert tested.test is not None
    return tested.test.p_value
