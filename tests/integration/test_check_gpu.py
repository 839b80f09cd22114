"""`make check-gpu` in its tiny form, as CI can run it: every step that needs no GPU."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.models
FOR_GPUS = {"packed, flex_attention", "no checkpointing"}


def test_the_tiny_check_runs_every_step_without_a_gpu(tmp_path: Path) -> None:
    path = tmp_path / "check.json"
    command = [sys.executable, "-m", "benchmarks.gpu", "--tiny", "--cpu", "--json", str(path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    told = json.loads(path.read_text())
    assert done.returncode == 0, done.stdout + done.stderr
    steps = {step["name"]: step for step in told["steps"]}
    not_run = {name for name, step in steps.items() if step["status"] != "ok"}
    assert {name.partition("/")[2].partition("/")[2] or name for name in not_run} == {
        *FOR_GPUS,
        "second/llama-3.1-8b",
        "serve/llama-3.1-8b",
    }
    for model in ("llama-3.1-8b", "qwen2.5-7b"):
        plan, train = steps[f"plan/{model}"]["detail"], steps[f"train/{model}"]["detail"]
        assert plan["parameters"] > 7e9
        assert train["loss_last_steps"] < train["loss_first_steps"]
        assert train["peak_gib"] > 0
        assert train["planned_peak_gib"] > 0
        speed = steps[f"speed/{model}/shipped"]["detail"]
        assert speed["tokens_per_second"] > 0
        assert 0 < speed["mfu"] < 1
        assert speed["save_s"] > 0
        assert steps[f"reload/{model}"]["detail"]["max_logprob_gap"] < 0.1
    assert steps["nf4/llama-3.1-8b"]["detail"]["quantization"] == "nf4"
    assert steps["nf4-reload/llama-3.1-8b"]["detail"]["max_logprob_gap"] < 0.1
    equal = steps["equal/llama-3.1-8b"]["detail"]
    assert equal["packed, sdpa: difference"]["loss"] < 0.002
    assert equal["accumulated: difference"]["loss"] < 0.002
    assert steps["speed/llama-3.1-8b/packed, sdpa"]["detail"]["packing"]
    # On a CPU the same seed gives the same bits, also after `kill -9`.
    assert steps["repeat/llama-3.1-8b"]["detail"]["identical"]
    assert steps["resume/llama-3.1-8b"]["detail"]["identical"]
    assert steps["resume/llama-3.1-8b"]["detail"]["resumed_from"] > 0
    assert "speed" in done.stdout
    assert set(told["conventions"]) >= {"tokens_per_second", "tflops, mfu", "peak_gib"}


def test_the_full_check_without_a_gpu_is_an_error() -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--cpu"]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
