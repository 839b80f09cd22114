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


def fasttier(home: Path, *arguments: str, status: int = 0) -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", *arguments, "--home", str(home), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr
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


def test_plan_savings_invoice_alerts_and_playbook_over_one_log(home: Path, tmp_path: Path) -> None:
    use = ("--requests-per-user", "12", "--users", "4000")
    found = fasttier(home, "costs", "plan", "--feature", "new", "--like", "helpdesk.topic", *use)
    assert 0 < found["low_usd"] < found["month_usd"] < found["high_usd"]
    ledger = fasttier(home, "costs", "savings", "--baseline", "gpt-4o")
    assert all(sum(m["parts"].values()) == pytest.approx(m["saved_usd"]) for m in ledger["months"])
    bill = tmp_path / "bill.csv"
    bill.write_text("day,sku,usd\n2026-03-05,gpt-4o,12.50\n")
    columns = "invoice.columns={day: day, model: sku, usd: usd}"
    compared = fasttier(home, "costs", "--invoice", str(bill), "--set", columns)
    assert compared["billed_usd"] == pytest.approx(12.5)
    assert sum(compared["causes"].values()) == pytest.approx(12.5 - compared["metered_usd"])
    rules = tmp_path / "rules.yaml"
    budget = ("--set", "budgets={total: 0.0001}", "--rules", str(rules))
    assert [a["kind"] for a in fasttier(home, "alerts", *budget, status=1)["alerts"]].count("budget") == 1
    assert rules.is_file()
    assert len(fasttier(home, "status", "--playbook")["steps"]) == 7
