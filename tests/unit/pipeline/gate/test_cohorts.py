"""Promotion of cohorts from the tests of all requests and of each cohort."""

import functools
from typing import Any

import numpy as np
import pytest

from pipeline.gate.cohorts import Cohort, Promotion, Sample, Settings, holm, promote
from pipeline.gate.label_groups import KEY as LABEL_GROUP
from pipeline.gate.label_groups import RARE
from pipeline.gate.paired import PairedTest, compare

GOOD, OPEN, BAD = (2, 2), (3, 6), (0, 90)
"""Items on which only the candidate, and only the incumbent, is right."""


@functools.cache
def compared(counts: tuple[int, int], n: int = 900) -> PairedTest:
    only_new, only_old = counts
    new = np.ones(n)
    old = np.ones(n)
    old[:only_new] = 0
    new[only_new : only_new + only_old] = 0
    return compare(new, old, range(n), margin=0.02, alpha=0.05)


def plans(**tests: PairedTest | None) -> dict[Cohort, Sample]:
    return {Cohort("plan", value): Sample(10 if test is None else test.items, test) for value, test in tests.items()}


def decided(cohorts: dict[Cohort, Sample], overall: PairedTest | None = None, **settings: Any) -> Promotion:
    places = [{"plan": cohort.value} for cohort, each in cohorts.items() for _ in range(each.items)]
    return promote(overall or compared(GOOD, 2700), cohorts, places, Settings(0.05, **settings))


def outcomes(promotion: Promotion) -> dict[str, str]:
    return {cohort.value: cohort.outcome for cohort in promotion.cohorts}


def test_a_candidate_that_passes_everywhere_is_promoted_for_all_requests() -> None:
    promotion = decided(plans(free=compared(GOOD), pro=compared(GOOD)))
    assert (promotion.by, promotion.only, promotion.share, promotion.reasons) == ("whole", {}, 1.0, ())


def test_a_degraded_cohort_is_excluded() -> None:
    promotion = decided(plans(free=compared(GOOD), pro=compared(BAD)))
    assert (promotion.by, promotion.only, promotion.share) == ("cohorts", {"plan": ("free",)}, 0.5)
    assert outcomes(promotion) == {"free": "promoted", "pro": "degraded"}
    assert promotion.reasons[0].startswith(
        "plan pro stays with the incumbent: worse by more than the margin: -10.0 points"
    )


def test_a_degraded_cohort_blocks_promotion_if_configured() -> None:
    promotion = decided(plans(free=compared(GOOD), pro=compared(BAD)), degraded="block")
    assert (promotion.by, promotion.share, promotion.blocked) == ("none", 0.0, True)
    assert promotion.reasons[0].startswith("plan pro degrades")


def test_a_degraded_cohort_is_promoted_only_in_report_mode() -> None:
    promotion = decided(plans(free=compared(GOOD), pro=compared(BAD)), degraded="report")
    assert (promotion.by, outcomes(promotion)["pro"]) == ("whole", "degraded")


def test_a_cohort_with_too_little_evidence_stays_with_the_incumbent() -> None:
    promotion = decided(plans(free=compared(GOOD), pro=compared((1, 1), 60), team=None), min_items=50)
    assert promotion.only == {"plan": ("free",)}
    assert promotion.reasons == (
        f"plan pro stays with the incumbent: {promotion.cohorts[1].why}",
        (
            "plan team stays with the incumbent: insufficient evidence: 10 items are too few; "
            "at least 40 more are needed"
        ),
    )
    assert "more items would settle it" in promotion.reasons[0]


def test_a_cohort_with_too_little_evidence_follows_the_total_if_configured() -> None:
    cohorts = plans(free=compared(GOOD), pro=compared((1, 1), 60))
    assert decided(cohorts, unsettled="follow").by == "whole"
    # There is nothing to follow where the whole did not pass.
    promotion = decided(cohorts, compared(OPEN, 200), unsettled="follow")
    assert (promotion.by, outcomes(promotion)) == ("none", {"free": "promoted", "pro": "stays"})


def test_promotion_by_cohort_is_corrected_for_the_number_of_cohorts() -> None:
    weak = compared((8, 17), 1000)
    assert weak.verdict == "pass"
    assert 0.01 < weak.p_value < 0.05
    # Where every cohort passes nothing is to be corrected ...
    assert decided(plans(free=compared(GOOD), pro=weak)).by == "whole"
    # ... and where one does not, those that pass are picked.
    promotion = decided(plans(free=compared(GOOD), pro=weak, team=compared((1, 1), 60), trial=compared((1, 1), 60)))
    assert outcomes(promotion) == {"free": "promoted", "pro": "stays", "team": "stays", "trial": "stays"}
    assert "Holm" in promotion.reasons[0]


def test_without_an_overall_pass_no_cohort_is_promoted() -> None:
    promotion = decided(plans(free=compared(GOOD)), compared(BAD))
    assert (promotion.by, promotion.share) == ("none", 0.0)


def test_too_little_evidence_everywhere_promotes_no_cohort_but_does_not_block() -> None:
    # The value's name must not be taken for what happened to it.
    promotion = decided(plans(degrades=compared((1, 1), 60)), compared(GOOD))
    assert (promotion.by, promotion.blocked) == ("none", False)
    assert not decided(plans(free=compared(GOOD), pro=compared(BAD))).blocked


def test_requests_need_a_promoted_value_for_every_key() -> None:
    good, bad = compared(GOOD), compared(BAD)
    cohorts = {
        Cohort("language", "de"): Sample(900, good),
        Cohort("language", "ja"): Sample(900, bad),
        Cohort("plan", "free"): Sample(900, good),
        Cohort("plan", "pro"): Sample(900, bad),
    }
    places = [{"language": language, "plan": plan} for language in ("de", "ja") for plan in ("free", "pro")]
    promotion = promote(compared(GOOD, 1800), cohorts, places, Settings(0.05))
    assert (promotion.only, promotion.share) == ({"language": ("de",), "plan": ("free",)}, 0.25)


def test_a_degraded_label_group_blocks_promotion() -> None:
    cohorts = plans(free=compared(GOOD)) | {Cohort(LABEL_GROUP, RARE): Sample(300, compared((0, 60), 300))}
    assert decided(cohorts).by == "none"
    assert decided(cohorts, degraded="report").by == "whole"


def test_a_label_group_without_evidence_does_not_block() -> None:
    cohorts = plans(free=compared(GOOD)) | {Cohort(LABEL_GROUP, RARE): Sample(20, None)}
    assert decided(cohorts).by == "whole"


def test_without_cohorts_the_total_decides() -> None:
    assert promote(compared(GOOD), {}, [{}], Settings(0.05)).by == "whole"


def test_holms_p_values_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_the_promoted_share_is_a_share_of_requests() -> None:
    cohorts = plans(free=compared(GOOD), pro=compared(BAD))
    values = [{"plan": "free"}, {"plan": "pro"}]
    promotion = promote(compared(GOOD, 2700), cohorts, values, Settings(0.05), weights=[1, 3])
    assert (promotion.by, promotion.share) == ("cohorts", 0.25)


def test_untestable_cohorts_do_not_affect_the_correction() -> None:
    # Each of the five passes alone, none after Holm's correction.
    near = compared((9, 19), 1050)
    assert 0.01 < near.p_value < 0.05
    tested = {f"plan{number}": near for number in range(5)}
    promotion = decided(plans(**tested, tiny=None), min_items=50)
    assert (promotion.by, outcomes(promotion)["tiny"]) == ("cohorts", "stays")
    assert all(outcomes(promotion)[name] == "promoted" for name in tested)


def test_a_rejected_candidate_is_promoted_for_no_cohort() -> None:
    cohorts = plans(free=compared(GOOD), pro=compared(GOOD))
    places = [{"plan": cohort.value} for cohort, each in cohorts.items() for _ in range(each.items)]
    promotion = promote(compared(GOOD, 2700), cohorts, places, Settings(0.05), passed=False)
    assert (promotion.by, promotion.share) == ("none", 0.0)
