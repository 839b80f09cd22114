"""Pass criteria of the training benchmark."""

import pytest

from benchmarks import train
from benchmarks.training_arm import Outcome


def outcome(right: int, first: int = 0, n: int = 200) -> Outcome:
    """The first rows are right, the others wrong."""
    return Outcome(
        name="arm", steps=1, examples=8, seconds=1.0, examples_per_second=8.0, supervised_tokens_per_second=32.0,
        prompt_tokens=9.0, supervised_tokens=4.0, peak_rss_gib=1.0, loss=1.0,
        right=[first <= place < first + right for place in range(n)],
    )  # fmt: skip


@pytest.mark.parametrize(
    "ours, times, met",
    [
        (100, 2.6, True),
        (120, 2.6, True),
        # As fast as that is not enough.
        (120, 2.4, False),
        # Two points lower may be another order of rows, five points are lower.
        (96, 2.6, True),
        (90, 2.6, False),
    ],
)
def test_a_limit_requires_the_speed_and_a_score_that_is_not_lower(ours: int, times: float, met: bool) -> None:
    bar = train._bar(outcome(100), outcome(ours, 40), {"times_trl": times}, 2.5, "a bar")
    assert bar["met"] is met
    assert bar["score_difference"] == pytest.approx((ours - 100) / 200)
    assert bar["low"] <= bar["score_difference"] <= bar["high"]
