"""benchmarks/gpu/runner.py: each step runs in its own process with a time limit and keeps partial results."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.gpu.runner import Check, Note, Runner, Step, rounded
from traffic.errors import InputError, Unsupported

pytestmark = pytest.mark.slow


def notes(note: Note, value: float) -> None:
    note({"value": value})


def fails(note: Note) -> None:
    note({"before": 1})
    sys.stdout.write("reading rows.json\n")
    raise InputError("rows.json: no rows")


def runs_out_of_memory(note: Note) -> None:
    raise MemoryError


def lacks(note: Note) -> None:
    raise Unsupported("no bitsandbytes here")


def hangs(note: Note) -> None:
    note({"half": 2})
    time.sleep(60)


def is_killed(note: Note) -> None:
    note({"half": 3})
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def check() -> Check:
    return Check(created_at="2026-11-28T00:00:00+00:00", form="tiny", device="cpu", machine={}, conventions={})


@pytest.fixture
def runner(check: Check, tmp_path: Path) -> Runner:
    (tmp_path / "logs").mkdir()
    return Runner(check, tmp_path / "check.json", tmp_path / "logs", 100.0, lambda line: None, preloaded=())


def step(run: Callable[..., None], **fields: Any) -> Step:
    return Step(name=run.__name__, run=run, **fields)


def test_numbers_are_in_the_file_after_each_step(runner: Runner, check: Check, tmp_path: Path) -> None:
    runner.run(step(notes, arguments=(1.23456789,)))
    runner.run(step(lacks))
    kept = msgspec.json.decode((tmp_path / "check.json").read_bytes(), type=Check)
    assert [(step.name, step.status, step.detail) for step in kept.steps] == [
        ("notes", "ok", {"value": 1.23457}),
        ("lacks", "not run", {}),
    ]
    assert kept.steps == check.steps


@pytest.mark.parametrize(
    "run, status, detail",
    [
        (fails, "failed", {"before": 1}),
        (runs_out_of_memory, "failed", {}),
        (hangs, "cut", {"half": 2}),
        (is_killed, "failed", {"half": 3}),
    ],
)
def test_a_failed_step_keeps_its_numbers_and_has_a_reason(
    runner: Runner, run: Callable[..., None], status: str, detail: dict[str, int]
) -> None:
    result = runner.run(step(run, limit_s=8 if run is hangs else 30))
    assert (result.status, result.detail) == (status, detail)
    assert result.reason
    assert "\n" not in result.reason
    assert result.seconds < 20


def test_the_end_of_a_failed_step_s_output_is_kept(runner: Runner) -> None:
    result = runner.run(step(fails))
    assert "reading rows.json" in result.log
    assert result.log[-1].endswith("rows.json: no rows")
    assert runner.run(step(notes, arguments=(1.0,))).log == []


def reads_the_file(note: Note, path: Path) -> None:
    kept = msgspec.json.decode(path.read_bytes(), type=Check)
    note({"status": kept.steps[-1].status, "name": kept.steps[-1].name})


def test_a_killed_check_leaves_the_name_of_its_current_step(runner: Runner, tmp_path: Path) -> None:
    result = runner.run(step(reads_the_file, arguments=(tmp_path / "check.json",)))
    assert result.detail == {"status": "cut", "name": "reads_the_file"}


def test_steps_after_a_failed_prerequisite_are_not_run(runner: Runner) -> None:
    runner.run(step(fails))
    result = runner.run(step(notes, arguments=(1.0,), after=("fails",)))
    assert (result.status, result.detail) == ("not run", {})
    assert "fails" in result.reason


def test_a_step_is_not_started_without_enough_time(runner: Runner) -> None:
    assert runner.run(step(notes, arguments=(1.0,), min_left_s=1000)).status == "not run"


def test_a_step_that_cannot_run_here_names_the_missing_requirement(runner: Runner) -> None:
    result = runner.run(step(notes, arguments=(1.0,), absent="vLLM is not installed"))
    assert (result.status, result.reason) == ("not run", "vLLM is not installed")


def test_numbers_are_rounded_inside_lists_and_mappings() -> None:
    assert rounded({"a": [1 / 3, (2 / 3,)], "b": "text", "c": 7}) == {"a": [0.333333, [0.666667]], "b": "text", "c": 7}
