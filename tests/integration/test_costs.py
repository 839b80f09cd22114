"""`fasttier costs` as a user runs it: from a log file to cost per feature and paying customer."""

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.logs import litellm_lines, write_log

ROOT = Path(__file__).resolve().parents[2]


def fasttier(home: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", *arguments, "--home", str(home), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("costs")
    write_log(folder / "log.jsonl.gz", litellm_lines(300, seed=1))
    fasttier(folder / "home", "ingest", str(folder / "log.jsonl.gz"))
    return folder / "home"


def test_cost_per_feature_and_paying_customer_in_one_command(home: Path, tmp_path: Path) -> None:
    customers = tmp_path / "customers.csv"
    customers.write_text("customer_id,plan,paying_from,paying_until\nx,pro,2026-01-01,\ny,pro,2026-01-01,\n")
    table = tmp_path / "costs.csv"
    found = fasttier(
        home, "costs", "--by", "feature,plan", "--per", "customer", "--month", "2026-03",
        "--customers", str(customers), "--csv", str(table),
    )  # fmt: skip
    logged = [json.loads(line) for line in litellm_lines(300, seed=1)]
    truth = sum(row["response_cost"] or 0.0 for row in logged)
    total = found["total"]
    assert total["usd"] - (total["estimated_usd"] or 0.0) == pytest.approx(truth, rel=1e-6)
    assert total["usd_per_customer"] == pytest.approx(total["usd"] / 2)
    assert sum(row["usd"] or 0.0 for row in found["rows"]) == pytest.approx(total["usd"])
    with table.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(found["rows"])
