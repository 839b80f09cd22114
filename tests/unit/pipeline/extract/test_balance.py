import hypothesis.strategies as st
from hypothesis import given

from pipeline.extract.balance import quotas, thin, within
from pipeline.extract.config import Balance, ExtractConfig
from pipeline.extract.filters import Ledger
from tests.fakes.call_site_rows import row


def test_call_sites_above_the_median_size_are_sampled_by_square_root() -> None:
    assert quotas({"a": 100, "b": 400, "c": 1600}, ExtractConfig()) == {"a": 100, "b": 400, "c": 800}


def test_temperature_1_keeps_the_log_up_to_the_cap_per_call_site() -> None:
    sizes = {"a": 10, "b": 300, "c": 5000}
    assert quotas(sizes, ExtractConfig(balance=Balance(temperature=1))) == sizes
    capped = ExtractConfig(balance=Balance(temperature=1, max_rows_per_call_site=200))
    assert quotas(sizes, capped) == {"a": 10, "b": 200, "c": 200}


def test_a_single_call_site_is_not_sampled() -> None:
    assert quotas({"a": 5000}, ExtractConfig()) == {"a": 5000}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 9000), min_size=1), st.integers(1, 20_000))
def test_the_total_cap_is_filled_within_the_size_of_each_call_site(sizes: dict[str, int], limit: int) -> None:
    fitted = within(sizes, sizes, ExtractConfig(max_train_rows=limit))
    assert sum(fitted.values()) == min(limit, sum(sizes.values()))
    assert all(0 <= fitted[name] <= size for name, size in sizes.items())


def test_removed_rows_are_counted_and_the_others_are_in_time_order() -> None:
    rows = [row(n, call_site="big" if n % 5 else "small") for n in range(500)]
    ledger = Ledger(500)
    kept = thin(rows, ExtractConfig(max_train_rows=100, cap="sample"), ledger)
    assert [row.ts for row in kept] == sorted(row.ts for row in kept)
    assert len(kept) == 100
    assert ledger.counts()["balance"] + ledger.counts()["train_cap"] == 400
    # 100 and 400 rows, by their roots: 1 to 2.
    assert sum(row.call_site == "small" for row in kept) == 33
