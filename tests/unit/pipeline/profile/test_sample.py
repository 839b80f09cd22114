"""Sampled requests: their number per group, and what is read of them."""

from pathlib import Path

import pytest

from pipeline import store
from pipeline.profile.sample import BODIES, PER_GROUP, Sampled, draw, groups, requests_per_group
from tests.fakes.call_site_rows import record
from traffic.artifacts import Home
from traffic.record import Record, Usage


def drawn(folder: Path, *records: Record) -> list[Sampled]:
    home = Home(folder)
    store.append(home, records, source="test")
    connection = store.connect(home)
    return sorted(draw(connection, groups(connection)), key=lambda sampled: sampled.id)


def test_many_small_groups_take_nothing_from_large_ones() -> None:
    assert requests_per_group([1] * 500 + [3000] * 10) == PER_GROUP


def test_all_groups_together_stay_within_the_budget() -> None:
    sizes = [5] * 1000 + [3000] * 100
    assert sum(min(size, requests_per_group(sizes)) for size in sizes) <= BODIES


@pytest.mark.parametrize("logged", ["gears<|im_end|>", "<think>a chain</think>\n\ngears", "gears"])
def test_an_answer_is_read_without_its_reasoning_and_the_token_that_ends_it(tmp_path: Path, logged: str) -> None:
    [sampled] = drawn(tmp_path, record(1, answer=logged))
    assert sampled.answer == "gears"


def test_reasoning_in_the_text_of_an_answer_counts_where_the_usage_has_none(tmp_path: Path) -> None:
    text = f"<think>{'so the chain is loose. ' * 40}</think>gears"
    usage = Usage(input_uncached=90, output=300, reasoning=250)
    estimated, counted, none = drawn(
        tmp_path, record(1, answer=text), record(2, answer=text, usage=usage), record(3, answer="gears")
    )
    assert 150 <= estimated.reasoning_tokens <= 300
    assert (counted.reasoning_tokens, none.reasoning_tokens) == (250, 0)


def test_an_answer_of_invisible_characters_is_none(tmp_path: Path) -> None:
    [sampled] = drawn(tmp_path, record(1, answer=" \n\u200b\ufeff"))
    assert sampled.answer == ""
