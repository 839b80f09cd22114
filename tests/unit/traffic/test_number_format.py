"""Formatting of numbers."""

import pytest

from traffic import number_format


@pytest.mark.parametrize(
    "value, text",
    [
        (None, "unpriced"),
        (0, "$0"),
        (0.000001234, "$0.00000123"),
        (0.0123456, "$0.0123"),
        (0.5, "$0.50"),
        (0.9999, "$1.00"),
        (12.3, "$12.30"),
        (1234.5, "$1,234"),
        (-0.25, "-$0.25"),
        (-0.025, "-$0.025"),
        (-1500, "-$1,500"),
    ],
)
def test_money_keeps_three_digits_of_small_amounts(value: float | None, text: str) -> None:
    assert number_format.usd(value) == text


@pytest.mark.parametrize(
    "seconds, text",
    [
        (0, "0 ms"),
        (0.0123, "12 ms"),
        (4.5, "4.5 s"),
        (45, "45 s"),
        (192, "3.2 min"),
        (5400, "1.5 h"),
        (181440, "2.1 days"),
    ],
)
def test_durations_use_a_suitable_unit(seconds: float, text: str) -> None:
    assert number_format.duration(seconds) == text


def test_shares_and_differences_are_formatted() -> None:
    assert number_format.percent(0.1234) == "12.3%"
    assert number_format.percent(0.1234, 0) == "12%"
    assert number_format.percent(None) == number_format.points(None) == number_format.number(None) == "-"
    assert number_format.points(0.012, -0.003, 0.027) == "+1.2 (-0.3..+2.7)"
    assert number_format.points(-0.5) == "-50.0"


@pytest.mark.parametrize(
    "value, text",
    [(0, "0"), (1234.4, "1,234"), (56.78, "56.8"), (0.0000123, "0.0000123"), (-3.0, "-3"), (100.0, "100")],
)
def test_numbers_have_three_digits_and_no_exponent(value: float, text: str) -> None:
    assert number_format.number(value) == text


def test_counts_are_formatted_with_singular_and_plural() -> None:
    assert number_format.count(1, "file") == "1 file"
    assert number_format.count(1200, "reply", "replies") == "1,200 replies"
    assert number_format.some(["a", "b"]) == "a, b"
