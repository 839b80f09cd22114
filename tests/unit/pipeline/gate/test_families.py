"""Correction for several candidates on the same items."""

import numpy as np
import pytest

from pipeline.gate.families import correct
from pipeline.gate.paired import PairedTest, compare


def losing(lost: int, n: int = 1000) -> PairedTest:
    """A candidate that is wrong on `lost` items that the incumbent answers correctly."""
    new = np.ones(n)
    new[:lost] = 0
    return compare(new, np.ones(n), range(n), margin=0.02, alpha=0.05)


def test_one_candidate_needs_no_correction() -> None:
    test = losing(10)
    assert correct({"adapter": test}, 0.05) == {"adapter": (pytest.approx(test.p_value), test.verdict == "pass", 1)}


def test_a_candidate_that_passes_alone_may_fail_among_many() -> None:
    close = losing(11)
    assert (close.verdict, close.p_value > 0.005) == ("pass", True)
    tests = {"close": close, **{f"other{number}": losing(22) for number in range(9)}}
    corrected = correct(tests, 0.05)
    assert (corrected["close"].passes, corrected["close"].rivals) == (False, 10)
    assert corrected["close"].p_holm == pytest.approx(10 * close.p_value / 0.95)


def test_clearly_worse_candidates_barely_affect_the_others() -> None:
    close = losing(10)
    corrected = correct({"close": close, **{f"bad{number}": losing(60) for number in range(20)}}, 0.05)
    assert corrected["close"] == (pytest.approx(close.p_value / 0.95), True, 1)
    assert corrected["bad0"] == (1.0, False, 0)


def test_holm_correction_excludes_candidates_that_already_passed() -> None:
    corrected = correct({"good": losing(0), "close": losing(11), "open": losing(22)}, 0.05)
    assert corrected["good"].passes
    assert corrected["close"].p_holm == pytest.approx(2 * losing(11).p_value / 0.95)


def test_without_tests_there_is_no_correction() -> None:
    assert correct({}, 0.05) == {}
