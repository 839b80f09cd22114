"""The router's benchmark, run as its users run it, with a fraction of the requests: does it measure what it says?"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.needs_program("wrk")
def test_the_benchmark_verifies_the_log_and_reports_which_bars_are_met(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks.router", "--quick", "--scale", "0.05", "--json", str(path)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert finished.returncode == 0, finished.stderr
    figures = json.loads(path.read_text())
    rows = {(row["target"], row["stream"], row["concurrency"]): row for row in figures["rows"]}
    ours = [key for key in rows if key[0].startswith("fasttier")]
    assert len(ours) == 2 * 2 * 3
    assert all(rows[key]["p50_ms"] > 0 and rows["direct", *key[1:]]["p50_ms"] > 0 for key in ours)
    assert all(0 < rows[key]["generator_busy"] <= 1 for key in ours)
    peers = set(figures["gateways"])
    assert peers == {"haproxy", "vllm-router"}
    assert {bar["met"] for bar in figures["bars"]} <= {True, False}
    if ("vllm-router", False, 16) in rows:
        assert len(figures["bars"]) == 6
        assert all(bar["ratio"] > 0 for bar in figures["bars"] if bar["bar"].startswith("CPU"))
    else:
        assert figures["gateways"]["vllm-router"].startswith("left out: ")
    assert figures["log_records"] >= sum(rows[key]["requests"] for key in ours)
    assert all(line in finished.stdout for line in ("added to the direct call", "vllm-router:", "durable log"))
