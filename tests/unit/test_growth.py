"""tests/fakes/growth.py"""

from collections.abc import Callable

import pytest

from tests.fakes.growth import assert_linear


def pairs(items: int) -> Callable[[], object]:
    return lambda: sum(1 for _ in range(items) for _ in range(items))


def test_linear_work_passes() -> None:
    assert_linear(lambda items: lambda: sum(range(items)), 300_000)


def test_quadratic_work_fails() -> None:
    with pytest.raises(AssertionError):
        assert_linear(pairs, 1_600)
