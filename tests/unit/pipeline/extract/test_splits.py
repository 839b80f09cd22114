import itertools

import hypothesis.strategies as st
import pytest
from hypothesis import given

from pipeline.dataset import SPLITS
from pipeline.extract.config import ExtractConfig, SplitFractions
from pipeline.extract.rows import Row
from pipeline.extract.splits import by_time, capped, cut
from tests.fakes.call_site_rows import row
from traffic.errors import NotEnoughData


def in_groups(names: list[int]) -> list[Row]:
    """One row per minute, in the groups with these numbers."""
    return [row(n, group=f"r{names.index(name):05}") for n, name in enumerate(names)]


@given(st.integers(0, 10_000), st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_split_sizes_add_up_and_are_within_one_item_of_their_fractions(count: int, weights: list[int]) -> None:
    fractions = [weight / sum(weights) for weight in weights]
    sizes = cut(count, fractions)
    assert sum(sizes) == count
    assert all(abs(size - count * fraction) <= 1 for size, fraction in zip(sizes, fractions, strict=True))


def test_fractions_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.7"):
        cut(10, [0.5, 0.2])


def test_without_groups_splits_have_their_share_and_follow_in_time() -> None:
    parts, straddling = by_time([row(n) for n in range(103)], ExtractConfig(), "shop.topic")
    assert list(parts) == list(SPLITS)
    assert [row.id for part in parts.values() for row in part] == [f"r{n:05}" for n in range(103)]
    assert [len(part) for part in parts.values()] == [62, 10, 10, 11, 10]
    assert straddling == 0


@given(st.lists(st.integers(0, 60), min_size=100, max_size=200), st.booleans())
def test_no_group_is_in_two_splits_and_every_row_is_kept_or_counted(names: list[int], by_user: bool) -> None:
    by = ("user",) if by_user else ("session",)
    config = ExtractConfig(splits=SplitFractions(group_by=by))
    rows = in_groups(names)
    try:
        parts, straddling = by_time(rows, config, "shop.topic")
    except NotEnoughData:
        return
    where = [{row.group for row in part} for part in parts.values()]
    assert all(not first & second for first, second in itertools.combinations(where, 2))
    assert sum(map(len, parts.values())) + straddling == len(rows)
    firsts = [min(part, key=lambda r: min(o.ts for o in rows if o.group == r.group)) for part in parts.values()]
    begins = [min(o.ts for o in rows if o.group == first.group) for first in firsts]
    assert begins == sorted(begins)
    if not by_user:
        kept = [row.ts for part in parts.values() for row in part]
        assert kept == sorted(kept)


def test_a_group_belongs_to_its_first_split_and_later_rows_are_removed() -> None:
    names = list(range(100))
    names[95] = 3  # almost the text of row 3, but in the time of the test split
    names[5] = 3
    parts, straddling = by_time(in_groups(names), ExtractConfig(), "shop.topic")
    assert straddling == 1
    assert {"r00003", "r00005"} <= {each.id for each in parts["train"]}
    assert "r00095" not in {row.id for part in parts.values() for row in part}


def test_a_user_with_old_and_new_requests_is_only_in_the_first_split() -> None:
    names = [n if n % 10 else 0 for n in range(200)]
    config = ExtractConfig(splits=SplitFractions(group_by=("user",)))
    parts, straddling = by_time(in_groups(names), config, "shop.topic")
    assert straddling == 0
    assert sum(each.group == "r00000" for each in parts["train"]) == 20


def test_an_empty_split_is_an_error_with_the_required_number_of_rows() -> None:
    fractions = SplitFractions(train=0.96, validation=0.01, calibration=0.01, threshold=0.01, test=0.01)
    with pytest.raises(NotEnoughData, match=r"20 rows leave nothing for validation, .* at least 100 rows"):
        by_time([row(n) for n in range(20)], ExtractConfig(min_rows=5, splits=fractions), "shop.topic")


def test_the_cap_keeps_the_latest_rows() -> None:
    assert capped(list(range(10)), 3, ExtractConfig()) == [7, 8, 9]
    assert capped(list(range(10)), 0, ExtractConfig()) == []


def test_a_sample_is_in_time_order_and_depends_on_the_seed() -> None:
    first, again, other = (capped(list(range(1000)), 50, ExtractConfig(cap="sample", seed=seed)) for seed in (1, 1, 2))
    assert first == again == sorted(first)
    assert len(first) == 50
    assert first != other


def test_no_cap_keeps_all_rows() -> None:
    assert capped([1, 2, 3], None, ExtractConfig()) == [1, 2, 3]
