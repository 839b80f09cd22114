"""Logs of invented companies."""

import json
from pathlib import Path

import pytest

from benchmarks.invented.write import COMPANIES, rows, write


@pytest.mark.parametrize("name", COMPANIES)
def test_a_company_has_all_tiers_and_mostly_unique_texts(name: str) -> None:
    sites = list(rows(name, 300, 1))
    assert {gold["tier_true"] for _, gold in sites} == {1, 2, 3}
    assert {row["id"] for row, _ in sites} == {gold["id"] for _, gold in sites}
    assert len({json.dumps(row["messages"]) for row, _ in sites}) > 200


def test_a_seed_gives_the_same_log_with_and_without_tags(tmp_path: Path) -> None:
    logs = [write("ops", tmp_path / str(n), requests=20, seed=4, tagged=n < 2)[0].read_text() for n in range(3)]
    assert logs[0] == logs[1]
    assert "requester_metadata" in logs[2]
    assert '"feature"' not in logs[2]
