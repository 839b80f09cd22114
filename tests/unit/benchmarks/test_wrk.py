"""benchmarks/wrk.py: the samples that wrk adds to its latencies are removed again."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from benchmarks import wrk


def corrected(measured: Counter[int], interval: int) -> Counter[int]:
    """wrk's correction: a latency of n intervals stands for n - 1 requests that were not sent meanwhile."""
    counts = Counter(measured)
    for latency in range(2 * interval, max(measured) + 1):
        for added in range(latency - interval, interval, -interval):
            counts[added] += measured[latency]
    return +counts


def test_a_slow_answer_counts_once() -> None:
    # 46 and 24 were added for the answer that took 68, at one request every 22.
    assert wrk.uncorrected([(11, 80), (12, 5), (24, 1), (46, 1), (68, 1)], 22) == [(11, 80), (12, 5), (68, 1)]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.integers(1, 60))
def test_every_measured_latency_is_restored(latencies: list[int], interval: int) -> None:
    measured = Counter(latencies)
    assert wrk.uncorrected(corrected(measured, interval).items(), interval) == sorted(measured.items())
