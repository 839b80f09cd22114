"""Gold files and the report against them."""

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.replay import gold_report, read_gold
from traffic.errors import InputError

CELLS = st.dictionaries(st.tuples(st.integers(1, 3), st.integers(0, 3)), st.integers(1, 99), min_size=1)


def test_a_gold_file_may_be_compressed_and_say_nothing_of_a_request(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"id": "a", "tier_true": 2, "more": 1}\n\n{"id": "b", "tier_true": null}\n'))
    assert list(read_gold(path)) == [("a", 2)]


@pytest.mark.parametrize(
    "text, says", [('{"id": "a", "tier_true": 4}', ":1: tier_true 4"), ('{"id": "a"}\n{', ":2: a gold file has")]
)
def test_a_wrong_line_of_a_gold_file_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=says):
        list(read_gold(path))


@given(CELLS)
def test_the_shares_of_errors_and_of_right_and_refused_requests_make_one(cells: dict[tuple[int, int], int]) -> None:
    found = gold_report(cells)
    rest = sum(n for (true, chosen), n in cells.items() if chosen in (0, true)) / found.requests
    assert found.sent_low_share + found.sent_high_share + rest == pytest.approx(1)
    assert sum(found.confusion.values()) == found.requests
