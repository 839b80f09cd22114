import hypothesis.strategies as st
import pytest
from hypothesis import given

from pipeline.dataset import SPLITS
from pipeline.extract.config import ExtractConfig, SplitFractions
from pipeline.extract.splits import by_time, capped, cut
from traffic.errors import NotEnoughData


@given(st.integers(0, 10_000), st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_parts_add_up_and_each_is_within_one_item_of_its_fraction(count: int, weights: list[int]) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    sizes = cut(count, fractions)
    assert sum(sizes) == count
    assert all(abs(size - count * fraction) <= 1 for size, fraction in zip(sizes, fractions, strict=True))


def test_fractions_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.7"):
        cut(10, [0.5, 0.2])


def test_every_split_is_later_than_the_one_before() -> None:
    parts = by_time(range(103), ExtractConfig(), "shop.topic")
    assert list(parts) == list(SPLITS)
    assert [number for part in parts.values() for number in part] == list(range(103))
    assert [len(part) for part in parts.values()] == [62, 10, 10, 11, 10]


def test_too_few_rows_are_an_error_with_both_numbers() -> None:
    with pytest.raises(NotEnoughData, match=r"shop\.topic: 99 rows .* 100 are needed"):
        by_time(range(99), ExtractConfig(), "shop.topic")


def test_an_empty_split_is_an_error_that_says_how_many_rows_it_needs() -> None:
    fractions = SplitFractions(train=0.96, validation=0.01, calibration=0.01, threshold=0.01, test=0.01)
    with pytest.raises(NotEnoughData, match=r"20 rows leave nothing for validation, .* at least 100 rows"):
        by_time(range(20), ExtractConfig(min_rows=5, splits=fractions), "shop.topic")


def test_the_cap_keeps_the_latest_rows() -> None:
    assert capped(list(range(10)), ExtractConfig(max_train_rows=3)) == [7, 8, 9]


def test_a_sample_under_the_cap_is_in_the_order_of_time_and_follows_the_seed() -> None:
    first, again, other = (
        capped(list(range(1000)), ExtractConfig(max_train_rows=50, cap="sample", seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again == sorted(first)
    assert len(first) == 50
    assert first != other


def test_no_cap_keeps_all_rows() -> None:
    assert capped([1, 2, 3], ExtractConfig()) == [1, 2, 3]
