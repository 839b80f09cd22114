"""benchmarks/gpu: order of the steps, table, section of docs/training.md, wheels for a machine without a network."""

import re
import zipfile
from pathlib import Path

import pytest

from benchmarks.gpu import check, report, wheels
from benchmarks.gpu.runner import Check, StepResult
from benchmarks.gpu.setup import MODELS, Setup
from traffic.artifacts import Home


def a_check(**changes: object) -> Check:
    speed = {"tokens_per_second": 100.0, "examples_per_second": 2.0, "mfu": 0.5, "peak_gib": 20.0, "save_s": 0.5}
    steps = [
        StepResult(name="train/llama-3.1-8b", status="ok", detail={"loss_first_steps": 11.0, "loss_last_steps": 4.0}),
        StepResult(name="nf4/llama-3.1-8b", status="not run", reason="bitsandbytes is not installed"),
        StepResult(name="speed/llama-3.1-8b/TRL defaults", status="ok", detail=speed),
        StepResult(name="speed/llama-3.1-8b/shipped", status="ok", detail=speed | {"examples_per_second": 8.0}),
    ]
    fields = {
        "created_at": "2026-11-28T10:00:00+00:00",
        "form": "full",
        "device": "cuda",
        "machine": {"name": "NVIDIA H100 80GB HBM3", "packages": {"torch": "2.13.0"}},
        "conventions": {},
        "steps": steps,
    }
    return Check(**(fields | changes))  # type: ignore[arg-type]


def names(setup: Setup, only: tuple[str, ...] = (), models: tuple[str, ...] = MODELS) -> list[str]:
    return [step.name for step in check.needed(list(check.schedule(setup, models, serving=False)), only)]


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path, "tiny", "cpu", "float32", 1e12)


def test_every_step_comes_after_its_prerequisites(setup: Setup) -> None:
    before: set[str] = set()
    for step in check.schedule(setup, MODELS, serving=True):
        assert set(step.after) <= before, step.name
        before.add(step.name)


def test_a_selected_kind_of_step_includes_only_its_prerequisites(setup: Setup) -> None:
    assert names(setup, ("resume",)) == [
        "dataset",
        "weights/llama-3.1-8b",
        "train/llama-3.1-8b",
        "resume/llama-3.1-8b",
    ]
    assert names(setup, ("plan",), ("qwen2.5-7b",)) == ["dataset", "plan/qwen2.5-7b"]


def test_every_required_measurement_on_a_gpu_has_a_step(setup: Setup) -> None:
    kinds = {name.partition("/")[0] for name in names(setup)}
    assert {*report.PATHS, "speed"} <= kinds


def test_a_gpu_runs_more_arms_than_a_cpu(setup: Setup, tmp_path: Path) -> None:
    gpu = Setup(tmp_path, "full", "cuda", "bfloat16", None)
    absent = {step.name for step in check.schedule(setup, MODELS, serving=False) if step.absent == "needs a GPU"}
    assert {name.rpartition("/")[2] for name in absent} == {"packed, flex_attention", "no checkpointing"}
    assert not any(step.absent == "needs a GPU" for step in check.schedule(gpu, MODELS, serving=False))


def test_the_table_compares_every_arm_with_trl(setup: Setup) -> None:
    lines = report.table(a_check())
    row = next(line for line in lines if re.match(r"llama-3.1-8b +shipped ", line))
    assert "4.00" in row.split()
    assert "50.0%" in row.split()
    assert any("bitsandbytes is not installed" in line for line in lines)


def test_the_page_lists_the_paths_that_ran_by_device() -> None:
    lines = report.section([a_check(), a_check(device="cpu", form="tiny", machine={"name": "AMD EPYC"})])
    assert "not measured" not in "\n".join(lines)
    row = next(line for line in lines if line.startswith("| QLoRA |"))
    assert row.count("not run: bitsandbytes is not installed") == 2
    assert "NVIDIA H100 80GB HBM3" in lines[2]
    # Numbers are those of the models' real size.
    assert "| timed: shipped | 100 tokens/s, 50% MFU | ok |" in lines


def test_without_a_gpu_the_page_says_not_measured() -> None:
    assert "not measured" in report.section([])[0]
    assert "not measured" in report.section([a_check(device="cpu", form="tiny")])[0]


def test_the_page_holds_the_section_of_the_kept_checks() -> None:
    page = report.PAGE.read_text(encoding="utf-8")
    assert page == report.rewrite(page, report.load_checks()), "python -m benchmarks.gpu.report"


def test_a_kept_check_replaces_the_one_before_it_of_the_same_device(tmp_path: Path) -> None:
    failed = StepResult(name="equal/llama-3.1-8b", status="failed", reason="loss 1%; log: /dev/shm/x/equal.log")
    report.keep(a_check(), tmp_path)
    path = report.keep(a_check(steps=[failed]), tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert [step.reason for step in report.load(path).steps] == ["loss 1%"]


def test_wheels_are_those_that_training_imports_and_the_machine_lacks() -> None:
    names = {line.partition("==")[0] for line in wheels.missing([], [])}
    assert {"trl", "datasets", "msgspec", "pyarrow", "pandas"} <= names
    assert not names & {"torch", "transformers", "peft", "accelerate", "numpy", "tokenizers", "jinja2"}
    assert not {"pyarrow", "pandas"} & {line.partition("==")[0] for line in wheels.missing(["pyarrow", "pandas"], [])}


def test_a_recompressed_wheel_has_the_same_files(tmp_path: Path) -> None:
    path = tmp_path / "some-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("some/data.txt", "a line of text\n" * 5000)
        archive.writestr("some-1.dist-info/RECORD", "")
    before = path.stat().st_size
    wheels.compress(path)
    assert path.stat().st_size < before
    with zipfile.ZipFile(path) as archive:
        assert archive.read("some/data.txt") == b"a line of text\n" * 5000
        assert archive.namelist() == ["some/data.txt", "some-1.dist-info/RECORD"]


def test_a_setup_overrides_only_required_keys_of_the_shipped_configuration(setup: Setup, tmp_path: Path) -> None:
    gpu = Setup(tmp_path, "full", "cuda", "bfloat16", None)
    for model in MODELS:
        configuration = gpu.shipped(model)
        assert (configuration.packing, configuration.attention, configuration.kernels, configuration.batch_size) == (
            True,
            "flash_attention_2",
            True,
            4,
        )
        assert gpu.architecture(model).hidden >= 3584
        assert setup.architecture(model).hidden == 64
    assert isinstance(setup.home, Home)
