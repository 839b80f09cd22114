"""Schedules the steps of a check, and reports them as a table and a JSON file."""

import argparse
import contextlib
import datetime as dt
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu import report, serve, steps
from benchmarks.gpu.runner import Check, Note, Runner, Step, scratch_folder
from benchmarks.gpu.setup import MODELS, Setup
from pipeline.train import compute_dtype, offers
from pipeline.train.config import Architecture
from serving.config import Device, detect_device

PACKAGES = (
    "torch", "transformers", "trl", "peft", "accelerate", "datasets", "bitsandbytes", "flash-attn", "kernels", "vllm",
)  # fmt: skip
CONVENTIONS = {
    "tokens_per_second": "prompt and completion tokens of training steps, padding not counted, validation not included",
    "tflops, mfu": (
        "FLOPs of LoRA: 2 per weight and token forward, 2 backward through frozen weights, 6 per adapter weight, "
        "causal attention; output layer for completion tokens only; nothing recomputed counts; over the dense bfloat16 "
        "peak of the data sheet (on a CPU: measured products)"
    ),
    "peak_gib": "GPU: PyTorch's allocator, without the driver's context; CPU: resident memory of the process",
    "weights": "random, so losses show whether training works, not the quality of a model",
}
DRIVER = Path("/proc/driver/nvidia/version")
"""Exists if the driver is loaded, even without nvidia-smi."""
LARGEST_BYTES = 40e9
"""Space for the weights of both models and the output of runs."""


def run(options: argparse.Namespace) -> int:
    """Run the check. Exit status: 0, 1 if a step failed or timed out, 2 without a usable device."""
    device: Device = "cpu" if options.cpu else "cuda" if DRIVER.exists() else detect_device()
    if device == "cpu" and not options.tiny:
        print("check-gpu: no GPU here (nvidia-smi lists none); --tiny runs the same steps on a CPU", file=sys.stderr)
        return 2
    if device == "cuda":
        print(f"check-gpu: {options.seconds:.0f} s on this GPU", flush=True)
    chosen = tuple(filter(None, options.models.split(","))) or MODELS
    if unknown := set(chosen) - set(MODELS):
        print(f"check-gpu: no model {unknown.pop()!r}; there are {', '.join(MODELS)}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with scratch(options) as root:
        check = Check(
            created_at=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            form="tiny" if options.tiny else "full",
            device=device,
            machine=machine(),
            conventions=CONVENTIONS,
        )
        runner = Runner(check, options.json, root / "logs", options.seconds, lambda line: print(line, flush=True))
        try:
            run_steps(runner, check, root, chosen, options)
        finally:
            print("\n".join(report.table(check)), flush=True)
    return 0 if all(step.status in ("ok", "not run") for step in check.steps) else 1


def run_steps(runner: Runner, check: Check, root: Path, chosen: tuple[str, ...], options: argparse.Namespace) -> None:
    """Run the steps in order."""
    box = runner.run(Step(name="device", run=inspect, arguments=(check.device,), limit_s=120))
    check.machine |= box.detail
    if box.status != "ok":
        return
    setup = Setup(
        root=root,
        form=check.form,
        device=check.device,
        compute_dtype=box.detail["compute_dtype"],
        peak_flops=box.detail["peak_tflops"] * 1e12 if box.detail["peak_tflops"] else None,
    )
    every = list(schedule(setup, chosen, serving=options.serve))
    for step in needed(every, tuple(filter(None, options.only.split(",")))):
        runner.run(step)


def needed(every: list[Step], only: tuple[str, ...]) -> list[Step]:
    """The steps of these kinds and their prerequisites, in order; all if `only` is empty."""
    if not only:
        return every
    names = {step.name for step in every if step.name.partition("/")[0] in only}
    for step in reversed(every):
        if step.name in names:
            names |= set(step.after)
    return [step for step in every if step.name in names]


def schedule(setup: Setup, chosen: tuple[str, ...], *, serving: bool) -> Iterator[Step]:
    """All steps, the most important first."""
    gpu = setup.device == "cuda"
    nf4 = None if importlib.util.find_spec("bitsandbytes") else "bitsandbytes is not installed"
    first, rest = chosen[0], chosen[1:]

    def step(name: str, run: Callable[..., None], *arguments: Any, after: tuple[str, ...], **limits: Any) -> Step:
        return Step(name=name, run=run, arguments=(setup, *arguments), after=after, **limits)

    data = ("dataset",)
    yield step("dataset", steps.write_dataset, after=(), limit_s=60)
    for model in chosen:
        yield step(f"plan/{model}", steps.plan_shipped, model, after=data, limit_s=60)
    for model in chosen:
        weights, train = (f"weights/{model}",), f"train/{model}"
        way = steps.launched if model == first else steps.forked
        yield step(weights[0], steps.write_weights, model, after=data, limit_s=120, min_left_s=30 if gpu else 0)
        yield step(train, way, train, model, after=weights, limit_s=150, min_left_s=40 if gpu else 0)
        for name, arm in ARMS[:2] if model == first else ARMS[1:2]:
            yield _speed(setup, model, name, arm, weights)
        yield step(f"reload/{model}", steps.reloaded, train, after=(train,), limit_s=90, min_left_s=25 if gpu else 0)
        if model != first:
            continue
        yield step(
            f"nf4/{model}", steps.forked, f"nf4/{model}", model, "quantization=nf4",
            after=weights, limit_s=150, min_left_s=40 if gpu else 0, absent=nf4,
        )  # fmt: skip
        yield step(f"nf4-reload/{model}", steps.reloaded, f"nf4/{model}", after=(f"nf4/{model}",), limit_s=90)
        yield step(
            f"equal/{model}", steps.equal_updates, model, after=weights, limit_s=180, min_left_s=30 if gpu else 0
        )
    after = (f"train/{first}",)
    yield step(f"resume/{first}", steps.resumed, f"resume/{first}", after[0], after=after, limit_s=180)
    yield step(f"repeat/{first}", steps.repeated, f"repeat/{first}", after[0], after=after, limit_s=120)
    for name, arm in ARMS[2:]:
        yield _speed(setup, first, name, arm, (f"weights/{first}",))
    for model in rest:
        yield _speed(setup, model, *ARMS[0], (f"weights/{model}",))
    yield from serve.schedule(setup, first, wanted=gpu or serving)


Arm = tuple[str, bool, tuple[str, ...], str | None]
ARMS: tuple[tuple[str, Arm], ...] = (
    ("TRL defaults", ("original_prompt", True, ("packing=false", "attention=sdpa", "kernels=false"), None)),
    ("shipped", ("prompt", False, (), None)),
    ("shipped, unpruned", ("original_prompt", False, (), None)),
    ("packed, sdpa", ("prompt", False, ("packing=true", "attention=sdpa"), None)),
    ("not packed", ("prompt", False, ("packing=false", "attention=sdpa"), None)),
    ("packed, flex_attention", ("prompt", False, ("packing=true", "attention=flex_attention"), "cuda")),
    ("no checkpointing", ("prompt", False, ("gradient_checkpointing=false",), "cuda")),
    ("nf4", ("prompt", False, ("quantization=nf4",), None)),
)
"""By name: prompts, whether TRL's trainer is used, changes of the shipped configuration, and device."""


def _speed(setup: Setup, model: str, name: str, arm: Arm, after: tuple[str, ...]) -> Step:
    prompt, trl, changes, device = arm
    absent = None if device in (None, setup.device) else "needs a GPU"
    if "quantization=nf4" in changes and importlib.util.find_spec("bitsandbytes") is None:
        absent = "bitsandbytes is not installed"
    return Step(
        name=f"speed/{model}/{name}", run=steps.speed, arguments=(setup, model, prompt, trl, *changes), after=after,
        limit_s=90, min_left_s=25 if setup.device == "cuda" else 0, absent=absent,
    )  # fmt: skip


def inspect(note: Note, device: Device) -> None:
    """Report the devices that PyTorch detects. Raises: Unsupported."""
    import torch

    from traffic.errors import Unsupported

    if device == "cuda":
        if not torch.cuda.is_available():
            raise Unsupported(f"nvidia-smi lists a GPU, but PyTorch {torch.__version__} sees none")
        name = torch.cuda.get_device_name(0)
        known = offers.device_named(name)
        total = torch.cuda.get_device_properties(0).total_memory / 2**30
        note({"name": name, "memory_gib": total, "cuda": torch.version.cuda})
        note({"compute_dtype": compute_dtype.gpu_dtype(), "peak_tflops": known.tflops if known else None})
        return
    arch = Architecture(kind="llama", layers=1, hidden=576, intermediate=1536, heads=9, kv_heads=3, vocab=1024)
    dtype = compute_dtype.choose(arch.hidden, arch.intermediate, "cpu")
    peak = compute_dtype.cpu(arch, dtype).flops_per_second / 1e12
    note({"name": _cpu_name(), "compute_dtype": dtype, "peak_tflops": peak})


def machine() -> dict[str, Any]:
    """This machine and its packages."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    details: dict[str, Any] = {"cores": os.cpu_count(), "python": platform.python_version(), "packages": versions}
    if shutil.which("git"):
        head = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        details["commit"] = head.stdout.strip() or None
    return details


def _cpu_name() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


@contextlib.contextmanager
def scratch(options: argparse.Namespace) -> Iterator[Path]:
    """Folder for all files of the check, removed at the end."""
    parent = options.scratch or scratch_folder(LARGEST_BYTES if not options.tiny else 1e9)
    with tempfile.TemporaryDirectory(prefix="check-gpu-", dir=parent, ignore_cleanup_errors=True) as folder:
        (Path(folder) / "logs").mkdir()
        yield Path(folder)
