"""Writing the demo's request log."""

from pathlib import Path
from typing import Any

import pytest

from demo import traffic


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        traffic.generate(tmp_path / name / "log.jsonl", requests=200, days=3, seed=7)
    traffic.generate(tmp_path / "other" / "log.jsonl", requests=200, days=3, seed=8)
    for file in ("log.jsonl", "gold.jsonl"):
        same, again, other = ((tmp_path / name / file).read_bytes() for name in ("one", "two", "other"))
        assert same == again != other


def test_every_attempt_has_a_line_in_gold(log: Any) -> None:
    assert [row["id"] for row in log.rows] == [gold.id for gold in log.gold]
    assert len(log.rows) == log.facts.rows
    assert len({gold.id for gold in log.gold}) == len(log.gold)


def test_truncated_lines_are_counted(log: Any) -> None:
    lines = len(log.path.read_bytes().splitlines())
    assert lines == log.facts.rows + log.facts.cut_lines
    assert log.facts.cut_lines > 0


def test_the_summary_has_the_paths_of_the_files(log: Any) -> None:
    assert str(log.path) in log.facts.lines()[-1]


def test_zero_requests_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        traffic.generate(tmp_path / "log.jsonl", requests=0, days=1, seed=0)
