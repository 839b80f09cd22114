"""Parsing of gold.jsonl."""

from pathlib import Path

import pytest

from demo import gold
from traffic.errors import InputError, NotFound


def test_a_missing_or_broken_gold_file_is_an_error_with_its_location(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gold\.jsonl"):
        gold.read(tmp_path / "gold.jsonl")
    (tmp_path / "gold.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(InputError, match=r"gold\.jsonl:1: "):
        gold.read(tmp_path / "gold.jsonl")
