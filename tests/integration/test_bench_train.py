"""The training benchmark, run as its users run it, on a tiny random model: does it measure what it says?"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fakes import task_datasets, tiny_models
from traffic.artifacts import Home

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.models


def test_the_benchmark_trains_and_scores_all_arms_on_the_same_rows(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    task_datasets.make(home.datasets, train=24, others=6)
    base = tiny_models.make(tmp_path / "model", "llama")
    path = tmp_path / "figures.json"
    options = ["--home", str(home.root), "--dataset", "support.intent", "--set", f"model.path={base}", "--no-levers"]
    command = [sys.executable, "-m", "benchmarks.train", *options, "--examples", "16", "--json", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    told = json.loads(path.read_text())
    trl, unpruned, pruned = told["arms"]
    assert (told["setting"]["rows"], told["setting"]["labels"], told["setting"]["test_rows"]) == (16, 4, 6)
    assert {arm["examples"] for arm in told["arms"]} == {16}
    assert {arm["steps"] for arm in told["arms"]} == {2}
    assert {arm["scored"] for arm in told["arms"]} == {6}
    assert trl["prompt_tokens"] == unpruned["prompt_tokens"] > pruned["prompt_tokens"]
    assert trl["times_trl"] == trl["lever"] == 1
    assert pruned["times_trl"] == pytest.approx(unpruned["times_trl"] * pruned["lever"])
    assert all(arm["peak_rss_gib"] > 0.1 and arm["supervised_tokens_per_second"] > 0 for arm in told["arms"])
    # Both start from the same random model, which knows no answer.
    assert trl["loss"] == pytest.approx(unpruned["loss"], rel=0.2)
    assert [bar["at_least"] for bar in told["bars"]] == [2.5, 5.0]
    assert "bar 5.0x, pruned prompts" in done.stdout
