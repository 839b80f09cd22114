"""The fidelity matrix, run as its users run it: no cell fails, and docs/router.md has this table."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.integration


def test_nothing_is_lost_between_any_two_dialects() -> None:
    command = [sys.executable, "-m", "benchmarks.fidelity", "--check", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    told = json.loads(done.stdout.splitlines()[-1])
    assert [cell for cell in told["cells"] if cell["verdict"] == "fail"] == []
    assert len(told["cells"]) % 36 == 0
    assert done.returncode == 0, done.stderr
