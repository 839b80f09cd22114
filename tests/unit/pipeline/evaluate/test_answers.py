"""The answers file, from which an evaluation resumes."""

from pathlib import Path

import pytest

from pipeline.evaluate.answers import Answer, AnswerLog
from traffic.errors import InputError
from traffic.record import Usage

GOOD = Answer(record_id="r1", text="refund", usage=Usage(input_uncached=7, output=1), latency_ms=12.5, concurrency=4)


def test_stored_answers_are_reloaded_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    with AnswerLog(path) as log:
        log.add(GOOD)
    with AnswerLog(path) as log:
        assert log.answers == {"r1": GOOD}


def test_only_items_without_a_valid_answer_are_pending(tmp_path: Path) -> None:
    with AnswerLog(tmp_path / "answers.jsonl") as log:
        log.add(GOOD)
        log.add(Answer(record_id="r2", error="no answer within 5 s"))
        assert log.open_items(["r1", "r2", "r3"]) == ["r2", "r3"]


def test_a_later_answer_replaces_a_failed_one(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path) as log:
        log.add(Answer(record_id="r1", error="503"))
        log.add(GOOD)
    with AnswerLog(path) as log:
        assert log.answers["r1"].text == "refund"
        assert log.open_items(["r1"]) == []


def test_an_incomplete_line_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerLog(path) as log:
        log.add(GOOD)
    with path.open("ab") as file:
        file.write(b'{"record_id":"r2","te')
    with AnswerLog(path) as log:
        assert set(log.answers) == {"r1"}
        log.add(Answer(record_id="r3", text="x"))
    with AnswerLog(path) as log:
        assert set(log.answers) == {"r1", "r3"}


def test_a_broken_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'{"record_id":"r1"}\nnonsense\n')
    with pytest.raises(InputError, match=r"answers\.jsonl:2: .*delete the file"):
        AnswerLog(path).__enter__()
