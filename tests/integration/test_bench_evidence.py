"""The simulations of gate and calibration, run as users run them, with a fraction of the runs."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_measures_both_guarantees() -> None:
    command = [sys.executable, "-m", "benchmarks.evidence", "--scale", "0.02", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240)
    told = json.loads(done.stdout)
    assert done.returncode == int(bool(told["broken"])) == 0, told["broken"] or done.stderr
    assert {row["what"] for row in told["gate"]["rows"]} == {"false promotion", "power"}
    assert {row["session"] for row in told["gate"]["rows"]} >= {1, 5}
    assert all(row["any_promoted"] <= row["without_holm"] for row in told["gate"]["holm"]["rows"])
    assert len(told["calibration"]["rows"]) == 5
    assert all(len(row["drift"]) == 3 for row in told["calibration"]["rows"])
    assert set(told["routellm"]) == {"skipped"}
