import hypothesis.strategies as st
import pytest
from hypothesis import given

from pipeline.dataset import Groups
from pipeline.extract.call_site import Task
from pipeline.extract.card import describe, max_tokens
from pipeline.extract.config import ExtractConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.rows import Row, Scan
from pipeline.extract.task import TaskChecks
from tests.fakes.call_site_rows import START, row
from traffic.adapters import CallSitePrompts
from traffic.callsites import Checks

PARTS: dict[str, list[Row]] = {
    "train": [row(1, answer="gears"), row(2, answer="brakes")],
    "validation": [row(3)],
    "calibration": [row(4)],
    "threshold": [row(5, cohort={})],
    "test": [row(6, answer="wheels"), row(7, answer="gears"), row(8, answer="wheels")],
}


def card(parts: dict[str, list[Row]], considered: int = 8, labels: tuple[str, ...] = ("brakes", "gears", "wheels")):  # type: ignore[no-untyped-def]
    prompts = CallSitePrompts(templates=(), request_type="intent", checks=Checks(labels=labels))
    checks = TaskChecks(prompts.checks, "a test")
    task = Task("shop.topic", Scan(considered, START, START, {}), Ledger(considered), [], "intent", [], checks)
    return describe("shop.topic", {"shop.topic": prompts}, [task], Ledger(considered), parts, ExtractConfig(), Groups())


def test_new_labels_in_the_test_split_are_reported_as_drift() -> None:
    assert card(PARTS).unseen_labels == {"wheels": 2}
    assert card(PARTS).labels == {"gears": 5, "wheels": 2, "brakes": 1}


def test_a_task_without_labels_reports_none() -> None:
    assert card(PARTS, labels=()).labels == card(PARTS, labels=()).unseen_labels == {}


def test_cohorts_are_counted_with_the_rows_that_have_none() -> None:
    assert card(PARTS).cohorts == {"plan": {"free": 7, "unknown": 1}}


def test_splits_have_a_start_and_end_time() -> None:
    split = card(PARTS).splits["test"]
    assert (split.rows, split.first, split.last) == (3, "2026-10-01T08:06:00+00:00", "2026-10-01T08:08:00+00:00")


def test_inconsistent_counts_are_an_error() -> None:
    with pytest.raises(AssertionError, match="9 considered"):
        card(PARTS, considered=9)


@given(st.lists(st.text(max_size=200), max_size=5))
def test_the_cap_on_output_tokens_leaves_room_for_the_longest_completion(completions: list[str]) -> None:
    cap = max_tokens(completions)
    longest = max((len(text.encode()) for text in completions), default=0)
    assert cap % 8 == 0
    assert longest / 2 + 8 <= cap <= longest / 2 + 17
