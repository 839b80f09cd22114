"""Intervals and the non-inferiority test."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pipeline.statistics import (
    bootstrap_interval,
    cluster_bootstrap_interval,
    items_needed,
    mean_interval,
    non_inferiority,
    paired_difference_interval,
    proportion_interval,
    ratio_of_sums,
)

COUNTS = st.integers(0, 400)


def test_wilsons_interval_of_8_in_10_by_hand() -> None:
    # z = 1.96: centre (0.8 + 3.8415/20) / 1.38415 = 0.7167, half width 0.2266.
    found = proportion_interval(8, 10)
    assert (found.low, found.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert found.level == 0.95


def test_all_right_leaves_room_below_one_and_none_above() -> None:
    found = proportion_interval(50, 50)
    assert found.high == 1
    assert found.low == pytest.approx(50 / (50 + stats.norm.ppf(0.975) ** 2))


@pytest.mark.parametrize("successes,n", [(0, 0), (3, 2), (-1, 5)])
def test_an_impossible_proportion_is_refused(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match="successes of"):
        proportion_interval(successes, n)


@pytest.mark.parametrize(
    "counts,low,high",
    [
        # Tables of Fagerland, Lydersen and Laake, Statistical Analysis of Contingency Tables (2017), chapter 8;
        # the second is also what R's `contingencytables` prints.
        ((1, 1, 7, 12), -0.517, -0.026),  # airway hyper-responsiveness (Bentur et al. 2009)
        ((59, 6, 16, 80), -0.1240, -0.0054),  # complete response (Cavo et al. 2012)
    ],
)
def test_tangos_interval_is_the_published_one(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    found = paired_difference_interval(*counts)
    assert found.low == pytest.approx(low, abs=6e-4 if abs(low) > 0.5 else 6e-5)
    assert found.high == pytest.approx(high, abs=6e-4 if abs(low) > 0.5 else 6e-5)


def test_without_discordant_items_tangos_interval_is_z2_over_n_plus_z2() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    found = paired_difference_interval(90, 0, 0, 10)
    assert (found.low, found.high) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)))


def test_tangos_interval_agrees_with_a_paired_bootstrap_where_items_are_many() -> None:
    both, only_new, only_old, neither = 700, 90, 60, 150
    new = np.repeat([1, 1, 0, 0], [both, only_new, only_old, neither])
    old = np.repeat([1, 0, 1, 0], [both, only_new, only_old, neither])
    boot = stats.bootstrap(
        (new, old),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        paired=True,
        batch=200,
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = paired_difference_interval(both, only_new, only_old, neither)
    assert (found.low, found.high) == pytest.approx((boot.low, boot.high), abs=0.002)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_tangos_interval_holds_the_difference_and_mirrors_when_the_models_swap(
    both: int, only_new: int, only_old: int, neither: int
) -> None:
    assume(n := both + only_new + only_old + neither)
    found = paired_difference_interval(both, only_new, only_old, neither)
    assert -1 <= found.low <= (only_new - only_old) / n <= found.high <= 1
    swapped = paired_difference_interval(both, only_old, only_new, neither)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_a_higher_level_gives_a_wider_interval(both: int, only_new: int, only_old: int, neither: int) -> None:
    assume(both + only_new + only_old + neither)
    narrow = paired_difference_interval(both, only_new, only_old, neither, level=0.8)
    wide = paired_difference_interval(both, only_new, only_old, neither, level=0.95)
    assert wide.low <= narrow.low
    assert narrow.high <= wide.high


def test_no_items_have_no_interval() -> None:
    with pytest.raises(ValueError, match="all counts are zero"):
        paired_difference_interval(0, 0, 0, 0)
    with pytest.raises(ValueError, match="negative"):
        paired_difference_interval(5, -1, 0, 0)


def test_tangos_interval_covers_the_truth_19_times_in_20() -> None:
    rng = np.random.default_rng(3)
    shares = [0.80, 0.06, 0.04, 0.10]
    draws = rng.multinomial(120, shares, size=1500)
    covered = 0
    for counts in draws:
        found = paired_difference_interval(*(int(count) for count in counts))
        covered += found.low <= 0.02 <= found.high
    # 95% +- 2 standard errors of 1,500 simulations (0.56 points each), and the asymptotic error.
    assert 0.935 <= covered / 1500 <= 0.97


def test_the_bootstrap_interval_of_a_mean_covers_it_and_shrinks_with_the_sample() -> None:
    rng = np.random.default_rng(5)
    samples = rng.beta(2, 1, size=(150, 60))
    hits = sum(found.low <= 2 / 3 <= found.high for found in map(mean_interval, samples))
    assert 0.88 <= hits / 150 <= 0.99
    small, large = mean_interval(samples[0]), mean_interval(samples.ravel())
    assert (large.high - large.low) < (small.high - small.low) / 5


def test_the_same_data_give_the_same_interval() -> None:
    values = np.random.default_rng(0).random(50)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values, seed=1) != mean_interval(values, seed=2)


def test_columns_are_resampled_together() -> None:
    # new - old is the same for every item, so the difference of the means has no spread to speak of.
    old = np.random.default_rng(0).random(80)
    found = bootstrap_interval([old + 0.1, old], lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis))
    assert found.high - found.low < 1e-12 or (found.low, found.high) == pytest.approx((0.1, 0.1), abs=0.05)


@pytest.mark.parametrize("n", [1, 10, 100])
def test_items_that_are_all_right_leave_the_room_of_the_rule_of_three(n: int) -> None:
    found = mean_interval(np.ones(n))
    assert found.high == 1
    # The largest error rate under which n right answers in a row still happen once in 20 times.
    assert found.low**n == pytest.approx(0.05)


def test_equal_scores_between_0_and_1_leave_room_on_both_sides() -> None:
    found = mean_interval(np.full(59, 0.5))
    assert found.low == pytest.approx(0.5 - 0.5 * (1 - 0.05 ** (1 / 59)))
    assert found.high == pytest.approx(0.5 + 0.5 * (1 - 0.05 ** (1 / 59)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_no_scores_give_nan_or_leave_the_unit_interval(values: list[float]) -> None:
    found = bootstrap_interval([values], np.mean, resamples=50)
    assert -1e-9 <= found.low <= found.high <= 1 + 1e-9


@pytest.mark.parametrize("columns", [[], [[]], [[1.0, 2.0], [1.0]]])
def test_columns_without_items_or_of_different_lengths_are_refused(columns: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="columns of one length"):
        bootstrap_interval(columns, np.mean)


def test_clusters_of_equal_items_widen_the_interval_as_much_as_they_shrink_the_sample() -> None:
    rng = np.random.default_rng(9)
    sessions = rng.random(100) < 0.7
    values, clusters = np.repeat(sessions, 4), np.repeat(np.arange(100), 4).tolist()
    clustered = cluster_bootstrap_interval(values, clusters)
    naive = cluster_bootstrap_interval(values, list(range(400)))
    # Four copies of each item carry the evidence of one: twice the width, sqrt(4).
    assert (clustered.high - clustered.low) / (naive.high - naive.low) == pytest.approx(2, rel=0.12)


def test_clustered_intervals_keep_their_level_where_ignoring_clusters_does_not() -> None:
    rng = np.random.default_rng(11)
    covered = {"clustered": 0, "naive": 0}
    clusters = np.repeat(np.arange(40), 8)
    for _ in range(120):
        values = rng.random(320) < np.repeat(rng.beta(1.5, 1.5, size=40), 8)
        for name, groups in (("clustered", clusters.tolist()), ("naive", list(range(320)))):
            found = cluster_bootstrap_interval(values, groups)
            covered[name] += found.low <= 0.5 <= found.high
    assert covered["clustered"] >= 0.88 * 120
    assert covered["naive"] <= 0.85 * 120


def test_one_cluster_says_nothing() -> None:
    found = cluster_bootstrap_interval([1, 0, 1], ["a", "a", "a"])
    assert (found.low, found.high) == (0, 1)
    found = cluster_bootstrap_interval([1, -1], ["a", "a"])
    assert (found.low, found.high) == (-1, 1)


def test_a_ratio_of_sums_weighs_items_not_clusters() -> None:
    assert ratio_of_sums(np.array([3.0, 0.0]), np.array([3.0, 1.0])) == 0.75
    assert ratio_of_sums(np.array([0.0]), np.array([0.0])) == 0


@pytest.mark.parametrize("discordance,published", [(0.02, 309), (0.04, 618), (0.06, 927), (0.10, 1546)])
def test_the_items_that_a_margin_of_2_points_needs(discordance: float, published: int) -> None:
    # The published numbers are rounded to the nearest item, ours up.
    assert 0 <= items_needed(discordance, margin=0.02) - published <= 1


def test_an_equal_model_passes_with_enough_items() -> None:
    found = non_inferiority(1760, 20, 20, 200)
    assert found.verdict == "pass"
    assert found.low > -0.02
    assert found.items == 2000


def test_a_model_that_is_5_points_worse_fails() -> None:
    found = non_inferiority(1700, 20, 120, 160)
    assert found.verdict == "fail"
    assert found.high < -0.02
    assert found.difference == -0.05


@pytest.mark.parametrize("counts", [(0, 0, 0, 0), (20, 0, 0, 0), (180, 4, 4, 12), (0, 1, 0, 0)])
def test_few_items_are_insufficient_evidence_never_a_pass(counts: tuple[int, int, int, int]) -> None:
    found = non_inferiority(*counts)
    assert found.verdict == "insufficient evidence"
    assert found.items_needed > found.items


def test_a_difference_that_is_not_significant_is_no_pass() -> None:
    # McNemar's test finds nothing here (exact p = 0.5); 3 points worse is still possible.
    assert stats.binomtest(8, 20).pvalue > 0.4
    assert non_inferiority(270, 8, 12, 10).verdict == "insufficient evidence"


def test_a_model_exactly_at_the_margin_passes_at_most_as_often_as_alpha_says() -> None:
    rng = np.random.default_rng(13)
    draws = rng.multinomial(800, [0.83, 0.03, 0.05, 0.09], size=1500)
    passes = sum(non_inferiority(*(int(count) for count in counts)).verdict == "pass" for counts in draws)
    # Nominal 5%; two standard errors of 1,500 simulations are 1.1 points.
    assert 0.03 <= passes / 1500 <= 0.065


@pytest.mark.parametrize("margin,alpha", [(0.0, 0.05), (-0.02, 0.05), (0.02, 0.5), (0.02, 0.0)])
def test_a_meaningless_margin_or_alpha_is_refused(margin: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        non_inferiority(10, 1, 1, 1, margin=margin, alpha=alpha)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_more_evidence_of_the_same_kind_never_turns_a_pass_into_a_fail(
    both: int, only_new: int, only_old: int, neither: int
) -> None:
    once = non_inferiority(both, only_new, only_old, neither)
    thrice = non_inferiority(3 * both, 3 * only_new, 3 * only_old, 3 * neither)
    assert {once.verdict, thrice.verdict} != {"pass", "fail"}
    assert math.isclose(once.difference, thrice.difference)
