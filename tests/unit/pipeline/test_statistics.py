"""Intervals and score tests."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from pipeline.statistics import (
    bootstrap_interval,
    cluster_bootstrap_interval,
    cluster_sums,
    design_effect,
    items_needed,
    mean_interval,
    paired_difference_interval,
    proportion_interval,
    ratio_of_sums,
    resampled_means,
    score_interval,
    score_p_value,
)

COUNTS = st.integers(0, 400)


def test_wilsons_interval_of_8_in_10_by_hand() -> None:
    # z = 1.96: centre (0.8 + 3.8415/20) / 1.38415 = 0.7167, half width 0.2266.
    interval = proportion_interval(8, 10)
    assert (interval.low, interval.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)
    assert interval.level == 0.95


def test_the_interval_of_a_perfect_score_ends_at_1() -> None:
    interval = proportion_interval(50, 50)
    assert interval.high == 1
    assert interval.low == pytest.approx(50 / (50 + stats.norm.ppf(0.975) ** 2))


@pytest.mark.parametrize("n", [1, 50, 10**6])
def test_the_interval_of_no_success_begins_at_0(n: int) -> None:
    assert proportion_interval(0, n).low == 0
    assert proportion_interval(n, n).high == 1


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
def test_tangos_interval_equals_the_published_values(
    counts: tuple[int, int, int, int], low: float, high: float
) -> None:
    interval = paired_difference_interval(*counts)
    assert interval.low == pytest.approx(low, abs=6e-4 if abs(low) > 0.5 else 6e-5)
    assert interval.high == pytest.approx(high, abs=6e-4 if abs(low) > 0.5 else 6e-5)


def test_without_discordant_items_tangos_interval_is_z2_over_n_plus_z2() -> None:
    z2 = stats.norm.ppf(0.975) ** 2
    interval = paired_difference_interval(90, 0, 0, 10)
    assert (interval.low, interval.high) == pytest.approx((-z2 / (100 + z2), z2 / (100 + z2)))


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
    interval = paired_difference_interval(both, only_new, only_old, neither)
    assert (interval.low, interval.high) == pytest.approx((boot.low, boot.high), abs=0.002)


@given(COUNTS, COUNTS, COUNTS, COUNTS)
def test_tangos_interval_contains_the_difference_and_is_symmetric(
    both: int, only_new: int, only_old: int, neither: int
) -> None:
    assume(n := both + only_new + only_old + neither)
    interval = paired_difference_interval(both, only_new, only_old, neither)
    assert -1 <= interval.low <= (only_new - only_old) / n <= interval.high <= 1
    swapped = paired_difference_interval(both, only_old, only_new, neither)
    assert (swapped.low, swapped.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


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
        interval = paired_difference_interval(*(int(count) for count in counts))
        covered += interval.low <= 0.02 <= interval.high
    # 95% +- 2 standard errors of 1,500 simulations (0.56 points each), and the asymptotic error.
    assert 0.935 <= covered / 1500 <= 0.97


def test_the_bootstrap_interval_of_a_mean_covers_it_and_shrinks_with_the_sample() -> None:
    rng = np.random.default_rng(5)
    samples = rng.beta(2, 1, size=(150, 60))
    hits = sum(interval.low <= 2 / 3 <= interval.high for interval in map(mean_interval, samples))
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
    interval = bootstrap_interval([old + 0.1, old], lambda a, b, axis=-1: np.mean(a, axis=axis) - np.mean(b, axis=axis))
    assert interval.high - interval.low < 1e-12 or (interval.low, interval.high) == pytest.approx((0.1, 0.1), abs=0.05)


@pytest.mark.parametrize("n", [1, 10, 100])
def test_perfect_scores_have_the_interval_of_the_rule_of_three(n: int) -> None:
    interval = mean_interval(np.ones(n))
    assert interval.high == 1
    # The largest error rate under which n right answers in a row still happen once in 20 times.
    assert interval.low**n == pytest.approx(0.05)


def test_equal_scores_between_0_and_1_have_a_two_sided_interval() -> None:
    interval = mean_interval(np.full(59, 0.5))
    assert interval.low == pytest.approx(0.5 - 0.5 * (1 - 0.05 ** (1 / 59)))
    assert interval.high == pytest.approx(0.5 + 0.5 * (1 - 0.05 ** (1 / 59)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_intervals_are_never_nan_and_stay_within_0_and_1(values: list[float]) -> None:
    interval = bootstrap_interval([values], np.mean, resamples=50)
    assert -1e-9 <= interval.low <= interval.high <= 1 + 1e-9


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


def test_clustered_intervals_keep_their_coverage() -> None:
    rng = np.random.default_rng(11)
    covered = {"clustered": 0, "naive": 0}
    clusters = np.repeat(np.arange(40), 8)
    for _ in range(120):
        values = rng.random(320) < np.repeat(rng.beta(1.5, 1.5, size=40), 8)
        for name, groups in (("clustered", clusters.tolist()), ("naive", list(range(320)))):
            interval = cluster_bootstrap_interval(values, groups)
            covered[name] += interval.low <= 0.5 <= interval.high
    assert covered["clustered"] >= 0.88 * 120
    assert covered["naive"] <= 0.85 * 120


def test_one_cluster_gives_no_interval() -> None:
    interval = cluster_bootstrap_interval([1, 0, 1], ["a", "a", "a"])
    assert (interval.low, interval.high) == (0, 1)
    interval = cluster_bootstrap_interval([1, -1], ["a", "a"])
    assert (interval.low, interval.high) == (-1, 1)


def test_a_ratio_of_sums_weighs_items_not_clusters() -> None:
    assert ratio_of_sums(np.array([3.0, 0.0]), np.array([3.0, 1.0])) == 0.75
    assert ratio_of_sums(np.array([0.0]), np.array([0.0])) == 0


@pytest.mark.parametrize("discordance, simple", [(0.04, 618), (0.06, 927), (0.10, 1546)])
def test_required_items_are_close_to_the_textbook_formula(discordance: float, simple: int) -> None:
    # (z_alpha + z_beta)^2 * discordance / margin^2 promises more power than Tango's test has.
    assert simple < items_needed(discordance, margin=0.02) < 1.15 * simple


@pytest.mark.parametrize("discordance", [0.02, 0.05, 0.1])
def test_with_the_required_items_the_test_has_the_requested_power(discordance: float) -> None:
    n = items_needed(discordance, margin=0.02)
    draws = np.random.default_rng(17).multinomial(n, [discordance / 2, discordance / 2, 1 - discordance], size=3000)
    passed = sum(score_p_value(new, old, n, 0.02) <= 0.05 for new, old, _ in draws.tolist())
    # Two standard errors of 3,000 simulations are 1.5 points.
    assert 0.785 <= passed / 3000 <= 0.88


def test_a_slightly_worse_model_needs_more_items_and_one_at_the_margin_has_no_number() -> None:
    assert items_needed(0.05, 0.02, difference=-0.01) > 3 * items_needed(0.05, 0.02)
    with pytest.raises(ValueError, match="not within the margin"):
        items_needed(0.05, 0.02, difference=-0.02)


@given(COUNTS, COUNTS, COUNTS)
def test_p_value_and_bound_agree(same: int, only_new: int, only_old: int) -> None:
    n = same + only_new + only_old
    assume(n > 0)
    low = score_interval(only_new, only_old, n, level=0.9).low
    assume(abs(low + 0.02) > 1e-9)
    assert (score_p_value(only_new, only_old, n, 0.02) < 0.05) == (low > -0.02)


def test_counts_divided_by_a_design_effect_give_the_interval_of_fewer_items() -> None:
    full, third = score_interval(30, 30, 900), score_interval(10, 10, 300)
    assert score_interval(30 / 3, 30 / 3, 900 / 3) == third
    assert third.high - third.low > full.high - full.low


def test_items_that_are_their_own_clusters_have_no_design_effect() -> None:
    values = np.array([1.0, 0.0, -1.0, 0.0, 0.0, 1.0])
    assert design_effect(values, *cluster_sums(values, range(6))) == 1


def test_a_cluster_without_discordant_items_counts_as_one_item() -> None:
    values, clusters = np.zeros(60), np.repeat(np.arange(12), 5).tolist()
    assert design_effect(values, *cluster_sums(values, clusters)) == pytest.approx(5)


def test_many_discordant_items_may_show_no_clustering() -> None:
    rng = np.random.default_rng(3)
    values, clusters = rng.choice([-1.0, 0.0, 1.0], size=6000), np.repeat(np.arange(1200), 5).tolist()
    assert design_effect(values, *cluster_sums(values, clusters)) < 1.15


def test_resampled_means_are_the_same_distribution_with_few_kinds_of_clusters_and_with_many() -> None:
    rng = np.random.default_rng(5)
    few = rng.integers(0, 2, size=300).astype(float)
    # The same values but for a hair's breadth: every cluster is a kind of its own.
    many = few + np.arange(300) * 1e-9
    counts = np.ones(300)
    one, other = resampled_means(few, counts), resampled_means(many, counts)
    assert one.shape == other.shape
    assert np.quantile(one, [0.05, 0.5, 0.95]) == pytest.approx(np.quantile(other, [0.05, 0.5, 0.95]), abs=0.008)
