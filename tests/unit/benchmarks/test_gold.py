import json
from pathlib import Path

from benchmarks.gold import read_gold


def test_a_field_may_be_null(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps({"id": "a", "feature": None, "tier_true": 1, "pii": None, "drift": None}) + "\n")
    (row,) = read_gold(path)
    assert (row.id, row.tier_true, row.pii or (), bool(row.drift)) == ("a", 1, (), False)
