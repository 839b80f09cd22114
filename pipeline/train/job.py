"""Files between the training stage and the training process it launches, all in the run's folder.

data/runs/train-<task>@<key>/
    job.json          the job (Job)
    progress.jsonl    one Event per line, appended by the first process
    checkpoint-<n>/   written by `transformers`
    adapter/          PEFT files and tokenizer of the best checkpoint, parity.jsonl
    result.json       Result, written last
    train.log         output of the processes; train-<n>.log that of machine n
    training.lock     held by the first training process while it runs
"""

import contextlib
import fcntl
import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from pipeline.train.config import TrainConfig
from traffic.adapters import ComputeDtype
from traffic.artifacts import write_atomic
from traffic.errors import InputError


class Job(msgspec.Struct, frozen=True):
    """`job.json`."""

    config: TrainConfig
    base: str
    """Folder of the base model's weights."""
    base_name: str
    base_revision: str
    dataset: str
    """Folder of the task dataset."""
    run: str
    """The run's own folder."""
    device: Literal["cpu", "cuda"]
    processes: int
    max_tokens: int
    """Maximum answer length of parity items."""
    compute_dtype: ComputeDtype = "bfloat16"
    """Resolved by the stage. Files of earlier versions do not have it: they trained in bfloat16."""

    @property
    def folder(self) -> Path:
        return Path(self.run)


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `progress.jsonl`."""

    kind: Literal["phase", "step", "log", "eval", "pace"]
    """`pace`: what a run with `max_seconds` measured, and the steps that it therefore takes."""
    step: int = 0
    total: int = 0
    """Optimiser steps of the whole run."""
    phase: str = ""
    metrics: dict[str, float] = {}


class Result(msgspec.Struct, frozen=True):
    """`result.json`."""

    examples: int
    validation_examples: int
    too_long: dict[str, int]
    """Rows left out of each split because they exceed max_length."""
    steps: int
    planned_steps: int
    epochs: float
    resumed_from: int | None
    """Step of the checkpoint that this attempt continued."""
    best_step: int
    best_eval_loss: float
    seconds: float
    """Training and validation time of this attempt, without loading and parity."""
    trained_examples: int
    """Examples in the steps of this attempt, counted once per epoch."""
    supervised_tokens: int
    """Completion tokens of those examples."""
    peak_gpu_bytes: int
    """0 on a CPU."""
    peak_rss_bytes: int = 0
    """Peak memory of the first process until the end of training."""
    control_tokens: dict[str, int] = {}
    """Rows left out of each split because a message holds a control token of the base model."""


def load_job(path: Path) -> Job:
    """Raises: InputError."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: {error}") from None


def save(path: Path, value: msgspec.Struct) -> None:
    """Write a struct as JSON, atomically."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


class EventWriter:
    """Appends events, one write each, so that readers see whole lines."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.jsonl"

    def write(self, event: Event) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")


class EventReader:
    """Reads events as they are appended."""

    def __init__(self, folder: Path, *, offset: int = 0) -> None:
        self._path = folder / "progress.jsonl"
        self._offset = offset

    def new(self) -> list[Event]:
        """Events since the last call; empty while the file does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        complete = data[: data.rfind(b"\n") + 1]
        self._offset += len(complete)
        return [msgspec.json.decode(line, type=Event) for line in complete.splitlines()]


def rewind(folder: Path, step: int) -> None:
    """Drop events after `step`, which a run that continues from that checkpoint writes again."""
    kept = [event for event in EventReader(folder).new() if event.kind in ("log", "eval") and event.step <= step]
    write_atomic(folder / "progress.jsonl", b"".join(msgspec.json.encode(event) + b"\n" for event in kept))


class CheckpointState(msgspec.Struct, frozen=True):
    """The fields of `trainer_state.json` used to continue a run."""

    global_step: int
    max_steps: int
    epoch: float | None = None
    best_metric: float | None = None
    best_global_step: int | None = None
    stateful_callbacks: dict[str, Any] = {}

    @property
    def ended(self) -> bool:
        """Whether training ended at this step, by its length or by early stopping."""
        control = self.stateful_callbacks.get("TrainerControl", {})
        return self.global_step >= self.max_steps or bool(control.get("args", {}).get("should_training_stop"))


def state_of(checkpoint: Path) -> CheckpointState | None:
    """`trainer_state.json` of a checkpoint; None if it is missing or truncated."""
    try:
        # Not msgspec's decoder: `transformers` writes infinite gradient norms as Infinity, which is not JSON.
        return msgspec.convert(json.loads((checkpoint / "trainer_state.json").read_bytes()), CheckpointState)
    except (OSError, ValueError, msgspec.ValidationError):
        return None


def is_whole(checkpoint: Path, processes: int) -> bool:
    """Whether every process finished writing its part of a checkpoint.

    The first process writes trainer_state.json last but does not wait for the others' random states. `torch.save`
    writes a zip archive with its directory at the end, so a truncated file is not a valid archive.
    """
    random = ["rng_state.pth"] if processes == 1 else [f"rng_state_{rank}.pth" for rank in range(processes)]
    archives = {path for path in checkpoint.glob("*") if path.suffix in (".pt", ".pth", ".bin")}
    archives |= {checkpoint / name for name in ("scheduler.pt", *random)}
    return state_of(checkpoint) is not None and all(zipfile.is_zipfile(path) for path in archives)


def last_checkpoint(folder: Path, processes: int) -> tuple[int, Path] | None:
    """Step and folder of the last complete checkpoint of a run with this many processes, or None."""
    complete = [(step, path) for step, path in _checkpoints(folder) if is_whole(path, processes)]
    return max(complete, default=None)


def drop_checkpoints(folder: Path, *, broken_in: int | None = None) -> None:
    """Remove a run's checkpoints; with `broken_in`, only those incomplete for a run with that many processes."""
    for _, path in _checkpoints(folder):
        if broken_in is None or not is_whole(path, broken_in):
            shutil.rmtree(path)


def forget(folder: Path) -> None:
    """Remove checkpoints and results, so that the run starts from scratch."""
    drop_checkpoints(folder)
    for name in ("adapter.name", "result.json", "job.json", "progress.jsonl"):
        (folder / name).unlink(missing_ok=True)
    if (folder / "adapter").is_dir():
        shutil.rmtree(folder / "adapter")


def finished(folder: Path, work: Job) -> Result | None:
    """Result of a training process that finished exactly this job, or None."""
    try:
        is_same_job = msgspec.json.decode((folder / "job.json").read_bytes(), type=Job) == work
        result = msgspec.json.decode((folder / "result.json").read_bytes(), type=Result)
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    return result if is_same_job else None


@contextlib.contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder's training lock, waiting for it if need be.

    Processes of a killed stage may still be ending when the stage is started again.
    """
    with (folder / "training.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    steps = ((path.name.removeprefix("checkpoint-"), path) for path in folder.glob("checkpoint-*"))
    return [(int(step), path) for step, path in steps if step.isdigit()]
