import random

import pytest

from traffic.sequential import Cusum, threshold


def run(values: list[float], height: float) -> list[tuple[int, int]]:
    """Alarms with their time and the reported start of the change."""
    cusum, changes = Cusum(height), []
    for n, value in enumerate(values):
        began = cusum.add(value)
        if began is not None:
            changes.append((n, began))
    return changes


@pytest.mark.parametrize("draw", ["normal", "exponential"])
def test_false_alarms_are_as_rare_as_stated(draw: str) -> None:
    r = random.Random(7)
    height, series, length = threshold(500), 60, 500
    make = {"normal": lambda: r.gauss(3, 2), "exponential": lambda: sum(r.expovariate(1) for _ in range(10))}[draw]
    alarms = sum(len(run([make() for _ in range(length)], height)) for _ in range(series))
    # 60 expected if the rate is as stated.
    assert alarms / series <= 1.35


def test_a_change_is_detected_quickly_with_its_start() -> None:
    r = random.Random(3)
    for shift in (2.0, -2.0):
        values = [r.gauss(10, 1) for _ in range(40)] + [r.gauss(10 + shift, 1) for _ in range(30)]
        when, began = run(values, threshold(10_000))[0]
        assert 40 <= when <= 55
        assert abs(began - 40) <= 6


def test_a_constant_series_gives_no_alarm_and_a_step_gives_one() -> None:
    assert run([0.25] * 200, threshold(100)) == []
    assert len(run([0.25] * 30 + [0.5] * 60, threshold(1000))) == 1


def test_one_outlier_is_not_a_change() -> None:
    r = random.Random(5)
    values = [r.gauss(0, 1) for _ in range(60)]
    values[30] = 1e9
    assert run(values, threshold(1000)) == []


def test_the_threshold_grows_with_the_time_between_false_alarms() -> None:
    assert threshold(100) < threshold(10_000) < threshold(1_000_000)
