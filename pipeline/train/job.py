"""What passes between the stage and the training process that it launches: files in the run's folder.

data/runs/train-<task>@<key>/
    job.json          what to do (Job)
    progress.jsonl    what happens, one Event a line, appended by the first process
    checkpoint-<n>/   as `transformers` writes them
    adapter/          PEFT files and tokenizer of the best checkpoint, parity.jsonl
    result.json       what came of it (Result); there when the training process has done its part
    train.log         everything that the processes printed
"""

from pathlib import Path
from typing import Literal

import msgspec

from pipeline.train.config import TrainConfig
from traffic.errors import InputError
from traffic.home import write_atomic


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
    """Longest answer that parity items generate."""

    @property
    def folder(self) -> Path:
        return Path(self.run)


class Event(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of `progress.jsonl`."""

    kind: Literal["phase", "step", "log", "eval"]
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
    """Of training and its validation in this attempt; without loading and parity."""
    trained_examples: int
    """Examples in the steps of this attempt, repeats over epochs included."""
    supervised_tokens: int
    """Completion tokens in the same examples."""
    peak_gpu_bytes: int
    """0 on a CPU."""


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
    """Appends events; each is one write, so that a reader never sees half a line of a finished one."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.jsonl"

    def write(self, event: Event) -> None:
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(event) + b"\n")


class EventReader:
    """Reads what has been appended since the last call."""

    def __init__(self, folder: Path, *, offset: int = 0) -> None:
        self._path = folder / "progress.jsonl"
        self._offset = offset

    def new(self) -> list[Event]:
        """Complete lines since the last call; none while the file does not exist."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [msgspec.json.decode(line, type=Event) for line in whole.splitlines()]


def rewind(folder: Path, step: int) -> None:
    """Forget events after `step`: a run that continues from its checkpoint there writes them again."""
    kept = [event for event in EventReader(folder).new() if event.kind in ("log", "eval") and event.step <= step]
    write_atomic(folder / "progress.jsonl", b"".join(msgspec.json.encode(event) + b"\n" for event in kept))


def last_checkpoint(folder: Path) -> tuple[int, Path] | None:
    """Step and folder of the last checkpoint that was written to its end, or None.

    `transformers` writes trainer_state.json last; a folder without it was interrupted and does not count.
    """
    found = [
        (int(path.name.removeprefix("checkpoint-")), path)
        for path in folder.glob("checkpoint-*")
        if path.name.removeprefix("checkpoint-").isdigit() and (path / "trainer_state.json").is_file()
    ]
    return max(found, default=None)
