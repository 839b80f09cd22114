import itertools

import hypothesis.strategies as st
from hypothesis import given

from pipeline.dataset import SPLITS
from pipeline.extract.config import ExtractConfig, NearDuplicates, SplitFractions
from pipeline.extract.filters import Ledger
from pipeline.extract.groups import Alike, form, without_copies, without_leaks
from pipeline.extract.rows import Row
from tests.fakes.call_site_rows import row

APART = ["the weather is fine", "my parcel is late", "who won the match", "please call me back", "open the blue door"]


def ids(rows: list[Row]) -> list[str]:
    return [row.id for row in rows]


def test_near_duplicates_keep_the_earliest_row_of_the_most_trusted_source() -> None:
    rows = [
        row(0, "Where is my card?"),
        row(1, "WHERE IS MY CARD"),
        row(2, "where is  my card!!", label_source="corrected"),
        row(3, "Where is my card?."),
    ]
    ledger = Ledger(4)
    assert ids(without_copies(rows, ExtractConfig(), ledger).rows) == ["r00002"]
    assert ledger.counts() == {"near_duplicates": 3}


def test_near_duplicates_with_different_answers_keep_the_more_frequent_one() -> None:
    rows = [row(0, "Where is it?", "gears"), row(1, "where is it", "wheels", copies=3), row(2, "WHERE IS IT", "gears")]
    ledger = Ledger(3)
    rows[0].pruned = rows[2].pruned
    kept = without_copies(rows, ExtractConfig(), ledger).rows
    assert [row.answer for row in kept] == ["wheels"]
    assert ledger.counts() == {"near_conflicting_answers": 2}


def test_texts_that_differ_in_punctuation_and_answer_are_both_kept() -> None:
    rows = [
        row(0, "Let's eat, grandma", "gears"),
        row(1, "Let's eat grandma", "wheels"),
        row(2, "lets eat, grandma", "gears"),
    ]
    ledger = Ledger(3)
    kept = without_copies(rows, ExtractConfig(), ledger).rows
    assert [(row.answer, row.copies) for row in kept] == [("gears", 2), ("wheels", 1)]
    assert ledger.counts() == {"near_duplicates": 1}


def test_numbers_with_another_sign_or_decimal_point_are_distinct() -> None:
    texts = ["it reads 45 degrees", "it reads -45 degrees", "it reads 4.5 degrees", "It reads 45 degrees!"]
    kept = without_copies([row(n, text) for n, text in enumerate(texts)], ExtractConfig(), Ledger(4))
    assert ids(kept.rows) == ["r00000", "r00001", "r00002"]
    assert kept.pairs == []


def test_a_row_counts_all_requests_with_its_text() -> None:
    rows = [row(0, "Where is it", "gears"), row(1, "where is it", "wheels", copies=3, requests=3), row(2, "Other")]
    kept = without_copies(rows, ExtractConfig(), Ledger(3)).rows
    assert [(row.copies, row.requests) for row in kept] == [(3, 4), (1, 1)]


def test_equal_texts_of_two_call_sites_are_kept_in_one_group() -> None:
    rows = [row(0, "Where is my card?"), row(1, "where is my card", call_site="shop.rewrite")]
    alike = without_copies(rows, ExtractConfig(splits=SplitFractions(max_group_share=1)), Ledger(2))
    assert alike.pairs == [(0, 1)]


def test_similar_texts_are_kept_in_one_group() -> None:
    texts = ["why was my card declined yesterday", *APART, "why was my card declined yesterday evening"]
    rows = [row(n, text) for n, text in enumerate(texts)]
    alike = without_copies(rows, ExtractConfig(), Ledger(7))
    grouped = form(alike, ExtractConfig(splits=SplitFractions(max_group_share=0.5)))
    assert [row.group for row in rows] == [*(f"r{n:05}" for n in range(6)), "r00000"]
    assert (grouped.groups, grouped.rows, grouped.largest, grouped.near_duplicate_clusters, grouped.cut) == (
        1,
        2,
        2,
        1,
        0,
    )


def test_sessions_are_groups_and_users_only_if_configured() -> None:
    rows = [row(n, f"text {n}", session_id="job" if n < 50 else f"s{n // 2}", user_id="u") for n in range(100)]
    grouped = form(Alike(rows, []), ExtractConfig())
    assert grouped.largest == 5
    assert grouped.cut > 0
    by_user = form(Alike(rows, []), ExtractConfig(splits=SplitFractions(group_by=("user",))))
    assert by_user.largest == 100


@given(st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=30), st.data())
def test_rows_of_a_pair_or_a_session_share_a_group_while_groups_are_small_enough(
    sessions: list[str | None], data: st.DataObject
) -> None:
    place = st.integers(0, len(sessions) - 1)
    pairs = [(min(p), max(p)) for p in data.draw(st.lists(st.tuples(place, place), max_size=10)) if p[0] != p[1]]
    rows = [row(n, session_id=session) for n, session in enumerate(sessions)]
    form(Alike(rows, pairs), ExtractConfig(splits=SplitFractions(max_group_share=1)))
    assert all(rows[a].group == rows[b].group for a, b in pairs)
    for first, second in itertools.combinations(rows, 2):
        if first.session_id is not None and first.session_id == second.session_id:
            assert first.group == second.group
    assert all(row.group == min(o.id for o in rows if o.group == row.group) for row in rows)


def test_near_duplicates_across_splits_are_removed_from_the_later_split() -> None:
    parts: dict[str, list[Row]] = {name: [row(n, APART[n])] for n, name in enumerate(SPLITS)}
    parts["test"] += [row(9, "my parcel is so late"), row(10, "The weather is fine!")]
    ledger = Ledger(7)
    config = ExtractConfig(near_duplicates=NearDuplicates(group_at=0.5))
    left = without_leaks(parts, config, ledger)
    assert {name: ids(part) for name, part in left.items()} == {name: [f"r{n:05}"] for n, name in enumerate(SPLITS)}
    assert ledger.counts() == {"near_of_earlier_split": 2}
