"""Confidence signals from log-probabilities."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from traffic.confidence import Isotonic, Platt, Step, feature, from_openai_logprobs, signals, weighted


def entry(token: str, p: float, *rivals: tuple[str, float], listed: bool = True) -> dict[str, object]:
    """One element of OpenAI's `logprobs.content`, from probabilities."""
    chosen = {"token": token, "logprob": math.log(p), "bytes": list(token.encode())}
    others = [{"token": name, "logprob": math.log(q), "bytes": None} for name, q in rivals]
    return {**chosen, "top_logprobs": ([chosen] if listed else []) + others}


def test_signals_of_three_tokens_by_hand() -> None:
    measured = from_openai_logprobs(
        [entry("card", 0.9, ("cash", 0.06)), entry("_pay", 0.5, ("_fee", 0.4)), entry("<|im_end|>", 0.7, ("s", 0.3))]
    )
    assert measured is not None
    assert measured.min_margin == pytest.approx(0.1)
    # Sorted margins are 0.1, 0.4, 0.84; the 10th percentile lies a fifth of the way to the second.
    assert measured.p10_margin == pytest.approx(0.16)
    assert measured.mean_margin == pytest.approx((0.84 + 0.1 + 0.4) / 3)
    assert measured.first_margin == pytest.approx(0.84)
    assert measured.min_logprob == pytest.approx(math.log(0.5))
    assert measured.mean_logprob == pytest.approx(math.log(0.9 * 0.5 * 0.7) / 3)
    assert measured.tokens == 3


@pytest.mark.parametrize("content", [None, [], ()])
def test_no_log_probabilities_give_no_signals(content: list[dict[str, object]] | None) -> None:
    assert from_openai_logprobs(content) is None


def test_a_token_that_is_not_the_most_probable_has_a_negative_margin() -> None:
    measured = from_openai_logprobs([entry("b", 0.2, ("a", 0.7))])
    assert measured is not None
    assert measured.min_margin == pytest.approx(-0.5)


def test_a_chosen_token_missing_from_the_alternatives_is_compared_with_the_best_one() -> None:
    measured = from_openai_logprobs([entry("z", 0.05, ("a", 0.6), ("b", 0.3), listed=False)])
    assert measured is not None
    assert measured.first_margin == pytest.approx(-0.55)


def test_a_rival_with_the_same_text_and_probability_stays_a_rival() -> None:
    measured = from_openai_logprobs([entry("\ufffd", 0.4, ("\ufffd", 0.4))])
    assert measured is not None
    assert measured.first_margin == 0


@pytest.mark.parametrize("top", [[], None])
def test_without_rivals_the_margin_is_its_lower_bound(top: list[object] | None) -> None:
    measured = from_openai_logprobs([{"token": "a", "logprob": math.log(0.8), "top_logprobs": top}])
    assert measured is not None
    assert measured.first_margin == pytest.approx(0.6)


def test_the_servers_placeholder_for_minus_infinity_is_probability_zero() -> None:
    measured = signals([Step(-9999.0, [0.0])])
    assert measured is not None
    assert measured.min_margin == -1


LOGPROB = st.floats(min_value=-9999, max_value=0)


@given(st.lists(st.builds(Step, LOGPROB, st.lists(LOGPROB, max_size=5)), min_size=1, max_size=30))
def test_signals_are_ordered_and_bounded(steps: list[Step]) -> None:
    measured = signals(steps)
    assert measured is not None
    # The mean is rounded once more than its terms.
    slack = 1e-12
    assert -1 <= measured.min_margin <= measured.p10_margin <= 1
    assert measured.min_margin - slack <= measured.mean_margin <= 1
    assert measured.min_margin <= measured.first_margin
    assert measured.min_logprob - 1e-9 <= measured.mean_logprob <= 0
    assert measured.tokens == len(steps)


@given(st.lists(st.floats(min_value=-20, max_value=0), min_size=1, max_size=50))
def test_the_tenth_percentile_equals_numpys(logprobs: list[float]) -> None:
    import numpy as np

    measured = signals([Step(logprob, []) for logprob in logprobs])
    assert measured is not None
    assert measured.p10_margin == pytest.approx(np.percentile([2 * math.exp(x) - 1 for x in logprobs], 10), abs=1e-12)


def test_a_score_is_the_weighted_sum_of_its_features() -> None:
    measured = signals([Step(math.log(0.9), [math.log(0.1)]), Step(math.log(0.6), [math.log(0.2)])])
    assert measured is not None
    assert feature(measured, "length") == pytest.approx(math.log(2))
    assert weighted(measured, (("min_margin", 2.0), ("length", -1.0))) == pytest.approx(2 * 0.4 - math.log(2))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_a_sigmoid_is_a_probability_for_any_score(slope: float, score: float) -> None:
    assert 0 <= Platt(slope, 0.0).probability(score) <= 1


def test_a_curve_is_constant_outside_its_knots_and_linear_between_them() -> None:
    curve = Isotonic((0.0, 0.5, 0.5, 1.0), (0.2, 0.4, 0.6, 1.0))
    probabilities = [curve.probability(score) for score in (-1.0, 0.0, 0.25, 0.75, 1.0, 2.0)]
    assert probabilities == pytest.approx([0.2, 0.2, 0.3, 0.8, 1.0, 1.0])
    assert 0.4 <= curve.probability(0.5) <= 0.6
