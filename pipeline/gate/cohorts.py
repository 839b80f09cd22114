"""Which requests a candidate may answer: the test of each cohort, and the promotion that follows. Pure.

A candidate that passes overall and in every cohort is promoted for all requests; "passes everywhere" needs no
correction for the number of cohorts, and cohorts with too few items to test take no part in it: nothing is claimed of
them. Otherwise it is promoted by cohort, and Holm's correction keeps the probability of any wrong promotion below
alpha (both together are part of Hochberg's step-up procedure, 1988, Biometrika 75:800). A request goes to the candidate
if each of its cohort values was promoted; values with too little evidence stay with the incumbent.
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
    reported. `passed`: whether the whole passes after corrections that the test does not know of; None: by the test.
    """
    passed = overall.verdict == "pass" if passed is None else passed
    judged = _judge(cohorts, settings, passed=passed)
    routable = [each for each in judged if each.key != LABEL_GROUP]
    degraded = [each for each in judged if each.outcome == "degraded"]
    blocking = [each for each in degraded if settings.degraded == "block" or each.key == LABEL_GROUP]
    if settings.degraded == "report":
        blocking = []
    left = [each for each in routable if each.outcome != "promoted"]
    if settings.degraded == "report":
        left = [each for each in left if each.outcome != "degraded"]
    if not passed or blocking:
        reasons = tuple(f"{each.key} {each.value} degrades: {each.why}" for each in blocking)
        return Promotion(by="none", blocked=bool(blocking), share=0.0, reasons=reasons, cohorts=judged)
    if not left:
        return Promotion(by="whole", share=1.0, cohorts=judged)
    stay = {Cohort(each.key, each.value) for each in left}
    keys = sorted({each.key for each in routable})
    only = {
        key: tuple(sorted(each.value for each in routable if each.key == key and Cohort(key, each.value) not in stay))
        for key in keys
    }
    times = [1.0] * len(values) if weights is None else weights
    mine = sum(
        weight
        for weight, item in zip(times, values, strict=True)
        if all(item.get(key) in promoted for key, promoted in only.items())
    )
    reasons = tuple(f"{each.key} {each.value} stays with the incumbent: {each.why}" for each in left)
    if not mine:
        return Promotion(by="none", share=0.0, reasons=reasons, cohorts=judged)
    return Promotion(by="cohorts", only=only, share=mine / sum(times), reasons=reasons, cohorts=judged)


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
        why = f"insufficient evidence: {tested.items:,} items are too few; at least {more:,} more are needed"
    elif test.verdict == "fail":
        outcome, why = "degraded", f"worse by more than the margin: {points(test)}"
    elif test.verdict == "pass" and (everywhere or cohort.key == LABEL_GROUP or (p_holm or 0) <= settings.alpha):
        outcome, why = "promoted", f"not worse by the margin: {points(test)}"
    elif test.verdict == "pass":
        why = f"passes, but not after Holm's correction (p {p_holm:.3f}): {points(test)}"
    else:
        why = f"insufficient evidence: {points(test)}{missing(test)}"
    if outcome == "stays" and follow:
        outcome, why = "promoted", f"{why}; follows the whole (unsettled_cohorts)"
    return CohortTest(
        key=cohort.key, value=cohort.value, items=tested.items, test=test, p_holm=p_holm, outcome=outcome, why=why
    )


def _p(tested: Sample) -> float:
    assert tested.test is not None
    return tested.test.p_value
