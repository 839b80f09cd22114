"""The certified threshold: exact bounds, the fixed order of tests, targets out of reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.calibrate import threshold
from pipeline.calibrate.threshold import NEVER, Choice, Infeasible, choose, plan


def answers(sure: int, unsure: int, unsure_right: float = 0.5) -> tuple[list[float], list[bool]]:
    """Confident right answers, then less confident ones of which a share is right."""
    right = [place < unsure * unsure_right for place in range(unsure)]
    return [0.99] * sure + [0.5] * unsure, [True] * sure + right


@pytest.mark.parametrize("errors, n", [(0, 149), (1, 236), (5, 523), (30, 2030)])
def test_149_answers_certify_two_percent_at_95_percent(errors: int, n: int) -> None:
    assert threshold.upper_bound(errors, n) <= 0.02
    assert threshold.upper_bound(errors, n - 1) > 0.02


@given(st.integers(1, 3000), st.data(), st.floats(0.5, 0.999))
def test_the_bound_equals_scipys_exact_one(n: int, data: st.DataObject, confidence: float) -> None:
    errors = data.draw(st.integers(0, n))
    exact = stats.binomtest(errors, n, alternative="less").proportion_ci(confidence, method="exact").high
    assert threshold.upper_bound(errors, n, confidence) == pytest.approx(exact, abs=1e-9)


def test_the_threshold_keeps_confident_answers_and_escalates_the_others() -> None:
    chosen = choose(*answers(300, 100))
    assert isinstance(chosen, Choice)
    assert (chosen.threshold, chosen.kept, chosen.errors) == (0.99, 300, 0)
    assert chosen.escalation == 0.25
    assert chosen.bound <= 0.02


def test_every_answer_is_kept_if_all_are_correct() -> None:
    chosen = choose([0.9, 0.8] * 200, [True] * 400)
    assert isinstance(chosen, Choice)
    assert (chosen.kept, chosen.escalation) == (400, 0.0)


def test_unusable_answers_escalate_at_any_threshold() -> None:
    chosen = choose([0.9] * 300 + [NEVER] * 100, [True] * 400)
    assert isinstance(chosen, Choice)
    assert chosen.kept == 300


def test_testing_stops_at_the_first_threshold_that_fails() -> None:
    # The loosest would pass again, but a test behind a failed one has no guarantee left.
    p = [0.9] * 200 + [0.8] * 40 + [0.7] * 4000
    right = [True] * 200 + [False] * 20 + [True] * 20 + [True] * 4000
    chosen = choose(p, right, order=(0.9, 0.8, 0.7))
    assert isinstance(chosen, Choice)
    assert (chosen.threshold, chosen.tested) == (0.9, 2)


def test_too_few_answers_are_reported_before_testing() -> None:
    chosen = choose([0.9] * 100, [True] * 100)
    assert isinstance(chosen, Infeasible)
    assert (chosen.items_needed, chosen.base_risk) == (149, 0.0)
    assert "149" in chosen.reason


def test_an_uninformative_signal_is_infeasible() -> None:
    rng = np.random.default_rng(1)
    chosen = choose(rng.random(1000), rng.random(1000) < 0.9)
    assert isinstance(chosen, Infeasible)
    assert chosen.least_escalation == pytest.approx((chosen.base_risk - 0.02) / 0.98)
    assert chosen.base_risk == pytest.approx(0.1, abs=0.03)
    assert "most confident answers" in chosen.reason


def test_a_plan_runs_from_the_strictest_sufficient_threshold_to_the_loosest() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(5000)
    order = plan(p, items=1000, target=0.02, confidence=0.95)
    assert list(order) == sorted(order, reverse=True)
    assert len(order) <= threshold.STEPS
    assert np.mean(p >= order[0]) * 1000 >= 149
    assert order[-1] == pytest.approx(p.min())


def test_a_plan_by_observed_errors_tolerates_underestimated_probabilities() -> None:
    p = np.linspace(0.2, 0.3, 1000)
    order = plan(p, np.ones(1000, dtype=bool), items=1000, target=0.02, confidence=0.95)
    assert order[0] == pytest.approx(0.2)


def test_too_few_answers_give_no_plan() -> None:
    assert plan([NEVER] * 900 + [0.9] * 100, items=1000, target=0.02, confidence=0.95) == ()


@pytest.mark.slow
def test_the_error_among_kept_answers_is_above_the_target_in_at_most_one_run_of_twenty() -> None:
    rng = np.random.default_rng(3)
    broken = 0
    for _ in range(400):
        # The true probabilities are known here, so the true error of a threshold is too.
        p = 1 - rng.beta(0.4, 4, 800)
        order = plan(1 - rng.beta(0.4, 4, 800), items=800, target=0.05, confidence=0.95)
        chosen = choose(p, rng.random(800) < p, target=0.05, order=order)
        large = 1 - rng.beta(0.4, 4, 4000)
        if isinstance(chosen, Choice):
            broken += float(np.mean(1 - large[large >= chosen.threshold])) > 0.05
    assert broken <= 29  # P(Bin(400, 0.05) > 29) < 2%; the seed is fixed


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200), st.floats(0.01, 0.99))
def test_the_escalation_rate_is_met_and_never_exceeded(p: list[float], most: float) -> None:
    cut = threshold.for_escalation(p, most)
    measured = threshold.measure(p, [True] * len(p), cut)
    assert measured.escalation <= most + 1e-9
    stricter = sorted({value for value in p if value > cut})
    if stricter:
        assert threshold.measure(p, [True] * len(p), stricter[0]).escalation > most - 1e-9


def test_the_threshold_adds_no_escalations_if_failed_checks_exceed_the_rate() -> None:
    assert threshold.for_escalation([NEVER, NEVER, 0.3, 0.9], 0.25) == 0.0


@pytest.mark.parametrize("target, confidence", [(0.0, 0.95), (1.0, 0.95), (0.02, 1.0)])
def test_a_target_or_confidence_outside_0_and_1_is_an_error(target: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        choose([0.5], [True], target=target, confidence=confidence)


def test_probabilities_and_verdicts_must_have_equal_length() -> None:
    with pytest.raises(ValueError, match="one probability per answer"):
        choose([0.5, 0.6], [True])


def test_answers_of_one_session_count_as_little_more_than_one() -> None:
    p, right = answers(300, 0)
    alone = choose(p, right, clusters=range(300))
    assert isinstance(alone, Choice)
    assert alone.bound == threshold.upper_bound(0, 300)
    together = choose(p, right, clusters=[place // 3 for place in range(300)])
    assert isinstance(together, Infeasible)
    assert "at most 3.0%" in together.reason


def test_only_kept_answers_of_a_session_count() -> None:
    p, right = [0.9] * 200 + [0.1] * 400, [True] * 600
    clusters = [*range(200), *([200] * 400)]
    measured = threshold.measure(p, right, 0.5, clusters=clusters)
    assert measured.bound == threshold.upper_bound(0, 200)
