"""The paired test: pass criteria and clusters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.gate.paired import PairedTest, compare, points

COUNTS = st.integers(0, 200)


def of(only_new: int, only_old: int, n: int, clusters: list[int] | None = None) -> PairedTest:
    """First the items that only the candidate answers correctly, then those of the incumbent."""
    new = [1.0] * only_new + [0.0] * only_old + [1.0] * (n - only_new - only_old)
    old = [0.0] * only_new + [1.0] * only_old + [1.0] * (n - only_new - only_old)
    return compare(new, old, clusters or range(n), margin=0.02, alpha=0.05)


def test_an_equal_model_passes_with_enough_items() -> None:
    test = of(20, 20, 2000)
    assert (test.verdict, test.items, test.discordant, test.clusters) == ("pass", 2000, 40, 2000)
    assert test.low > -0.02
    assert test.equivalent
    assert not test.superior


def test_a_model_that_is_5_points_worse_fails() -> None:
    test = of(20, 120, 2000)
    assert (test.verdict, test.difference, test.items_missing) == ("fail", -0.05, 0)
    assert test.high < -0.02


def test_a_better_model_is_superior_and_not_equivalent() -> None:
    test = of(160, 40, 2000)
    assert (test.verdict, test.superior, test.equivalent) == ("pass", True, False)


@pytest.mark.parametrize("counts", [(0, 0, 20), (4, 4, 200), (0, 1, 1), (0, 0, 130)])
def test_few_items_are_insufficient_evidence_never_a_pass(counts: tuple[int, int, int]) -> None:
    test = of(*counts)
    assert test.verdict == "insufficient evidence"
    assert test.items_missing == test.items_needed - test.items > 0


def test_a_difference_that_is_not_significant_is_no_pass() -> None:
    # McNemar's test finds nothing here (8 against 12); 3 points worse is still possible.
    assert of(8, 12, 300).verdict == "insufficient evidence"


def test_the_observed_difference_determines_how_many_more_items_are_needed() -> None:
    test = of(10, 28, 1200)
    assert test.verdict == "insufficient evidence"
    assert test.items_needed < test.items
    assert test.items_missing is not None
    assert test.items_missing > 100


def test_more_items_are_not_recommended_beyond_the_margin() -> None:
    test = of(2, 34, 1200)
    assert (test.verdict, test.items_missing) == ("insufficient evidence", None)


def test_copies_of_items_add_no_evidence() -> None:
    assert of(0, 0, 600).verdict == "pass"
    test = of(0, 0, 600, np.repeat(np.arange(120), 5).tolist())
    assert (test.verdict, test.clusters) == ("insufficient evidence", 120)
    assert test.design_effect == pytest.approx(5)


def test_clustered_differences_widen_the_bounds() -> None:
    sessions = np.repeat(np.arange(200), 5).tolist()
    apart, together = of(15, 15, 1000), of(15, 15, 1000, sessions)
    assert together.low < apart.low - 0.005
    assert together.items_needed > 2 * apart.items_needed


def test_one_cluster_gives_no_interval() -> None:
    test = of(0, 0, 900, [7] * 900)
    assert (test.verdict, test.p_value) == ("insufficient evidence", 1)


def test_graded_scores_are_compared_by_their_mean() -> None:
    rng = np.random.default_rng(2)
    old = rng.uniform(0.6, 1, size=800)
    close, worse = old - 0.005, old - 0.04
    noise = rng.normal(0, 0.02, size=800)
    assert compare(close + noise, old, range(800), margin=0.02, alpha=0.05).verdict == "pass"
    test = compare(worse + noise, old, range(800), margin=0.02, alpha=0.05)
    assert (test.verdict, test.difference) == ("fail", pytest.approx(-0.04, abs=0.003))
    assert points(test).startswith(("-4.0 points (", "-3.9 points (", "-4.1 points ("))


def test_equal_graded_scores_are_compared() -> None:
    assert compare([0.5] * 300, [0.5] * 300, range(300), margin=0.02, alpha=0.05).verdict == "pass"
    assert compare([0.4] * 300, [0.5] * 300, range(300), margin=0.02, alpha=0.05).verdict == "fail"


def test_few_graded_items_do_not_pass_without_observed_failures() -> None:
    # A total failure in every fiftieth text would often not be among so few.
    old = np.full(50, 0.9)
    new = old.copy()
    new[0] -= 0.01
    for scores in (old, new):
        test = compare(scores, old, range(50), margin=0.02, alpha=0.05)
        assert (test.verdict, test.p_value > 0.05) == ("insufficient evidence", True)


@pytest.mark.parametrize("margin, alpha", [(0.0, 0.05), (-0.02, 0.05), (0.02, 0.5), (0.02, 0.0)])
def test_an_invalid_margin_or_alpha_is_refused(margin: float, alpha: float) -> None:
    with pytest.raises(ValueError, match="margin"):
        compare([1.0], [1.0], ["a"], margin=margin, alpha=alpha)


def test_scores_of_different_items_are_refused() -> None:
    with pytest.raises(ValueError, match="of the same items"):
        compare([1.0, 0.0], [1.0], ["a", "b"], margin=0.02, alpha=0.05)


@given(COUNTS, COUNTS, st.integers(1, 400))
def test_a_pass_means_a_p_value_below_alpha(only_new: int, only_old: int, same: int) -> None:
    test = of(only_new, only_old, only_new + only_old + same)
    assert test.low <= test.difference + 1e-9 <= test.high + 2e-9
    if test.verdict == "pass":
        assert test.p_value <= 0.06
    if test.verdict == "fail":
        assert test.p_value > 0.5


WEIGHTED = st.lists(
    st.tuples(st.booleans(), st.booleans(), st.integers(0, 4), st.integers(1, 5)), min_size=2, max_size=40
)


@settings(max_examples=40)
@given(WEIGHTED)
def test_an_item_of_n_requests_counts_like_n_equal_items(
    rows: list[tuple[bool, bool, int, int]],
) -> None:
    new, old, clusters, weights = (list(column) for column in zip(*rows, strict=True))
    expanded = [(n, o, c) for n, o, c, w in rows for _ in range(w)]
    every_new, every_old, every_cluster = (list(column) for column in zip(*expanded, strict=True))
    weighted = compare(new, old, clusters, margin=0.1, alpha=0.05, weights=weights)
    plain = compare(every_new, every_old, every_cluster, margin=0.1, alpha=0.05)
    assert weighted.difference == pytest.approx(plain.difference)
    assert (weighted.low, weighted.high) == pytest.approx((plain.low, plain.high))
    assert weighted.design_effect == pytest.approx(plain.design_effect)
    assert (weighted.items, weighted.requests) == (len(rows), len(expanded))


def test_a_candidate_that_fails_on_a_frequent_request_fails_the_gate() -> None:
    new, old = [0.0] + [1.0] * 999, [1.0] * 1000
    weights = [400] + [1] * 999
    assert compare(new, old, range(1000), margin=0.02, alpha=0.05).verdict == "pass"
    assert compare(new, old, range(1000), margin=0.02, alpha=0.05, weights=weights).verdict != "pass"


def asked(scores: list[float], requests: list[int]) -> PairedTest:
    """Items with these score differences to the incumbent, each with its number of requests."""
    new, old = [float(score >= 0) for score in scores], [float(score <= 0) for score in scores]
    return compare(new, old, range(len(scores)), margin=0.02, alpha=0.05, weights=requests)


EQUAL = [1.0] * 15 + [-1.0] * 15 + [0.0] * 1070


@pytest.mark.parametrize("known", [0.0, 1.0])
def test_a_very_frequent_item_neither_blocks_nor_carries_the_result(known: float) -> None:
    rest = asked(EQUAL, [1] * 1100)
    test = asked([known, *EQUAL], [150, *[1] * 1100])
    assert (test.verdict, test.low) == ("pass", pytest.approx(min(rest.low, rest.low * 0.88 + known), abs=1e-3))
    assert (test.dominant, test.dominant_share, test.items) == (1, pytest.approx(0.12), 1101)
    few = asked([known, *EQUAL[:200]], [150, *[1] * 200])
    assert few.verdict != "pass"
    worse = asked([known, *[-1.0] * 60, *[0.0] * 1040], [150, *[1] * 1100])
    assert worse.verdict != "pass"


def test_a_worse_answer_to_a_very_frequent_item_cannot_pass() -> None:
    test = asked([-1.0, *EQUAL], [150, *[1] * 1100])
    assert (test.verdict, test.items_missing) == ("insufficient evidence", None)
    assert test.difference == pytest.approx(-0.12)
    assert test.p_value == pytest.approx(1)


def test_rare_items_are_always_a_sample() -> None:
    assert asked([0.0] * 20, [3, 2, *[1] * 18]).dominant == 0


@given(
    st.lists(st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.integers(1, 400)), min_size=1, max_size=60),
)
def test_bounds_contain_the_difference_for_any_weights(rows: list[tuple[float, int]]) -> None:
    test = asked([score for score, _ in rows], [count for _, count in rows])
    assert test.low <= test.difference + 1e-9
    assert test.difference <= test.high + 1e-9
    assert (test.verdict == "pass") == (test.low > -0.02)
