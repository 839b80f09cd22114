"""Runs the stages of the loop as a user does: `fasttier` commands in child processes."""

import collections
import contextlib
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from traffic import processes
from traffic.artifacts import Home
from traffic.errors import EndpointError, FastTierError

FASTTIER = (sys.executable, "-m", "cli")


class StageFailed(FastTierError, RuntimeError):
    """A command of the loop failed; it has printed its own message."""


def sets(values: Sequence[str]) -> list[str]:
    """`--set` options of these values."""
    return [word for value in values for word in ("--set", value)]


def run(home: Home, stage: str, *arguments: str | Path, gate: bool = False) -> dict[str, Any]:
    """Run a stage with its output on the terminal; return its machine-readable summary.

    `gate`: exit status 1 (refused by a gate) is a result, too. Raises: StageFailed.
    """
    words = [stage, *map(str, arguments), "--home", str(home.root)]
    _print(words)
    out = home.root / "demo" / f"{stage}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    status = processes.run([*FASTTIER, *words, "--out", str(out)])
    if status not in ((0, 1) if gate else (0,)):
        raise StageFailed(f"`fasttier {stage}` failed; fix what it reports, the same command continues")
    summary: dict[str, Any] = json.loads(out.read_bytes())
    return summary


class Service:
    """A running command, stopped at the end of its block."""

    def __init__(self, stage: str, lines: IO[str], marker: str) -> None:
        self._stage, self._lines, self._marker = stage, lines, marker

    def ready(self) -> str:
        """Wait for the line that the command prints when it is ready; call once. Raises: EndpointError."""
        line = next((line for line in self._lines if self._marker in line), None)
        if line is None:
            raise EndpointError(f"`fasttier {self._stage}` ended before it was ready; its message is above")
        # Drain the pipe, or the process blocks when it is full.
        threading.Thread(target=collections.deque, args=(self._lines, 0), daemon=True).start()
        return line


@contextlib.contextmanager
def running(home: Home, stage: str, *arguments: str | Path, marker: str, stream: str) -> Iterator[Service]:
    """Start a command that is ready when `stream` has a line with `marker`; stop it after the block."""
    words = [stage, *map(str, arguments), "--home", str(home.root)]
    _print([*words, "&"])
    pipes: dict[str, Any] = {stream: subprocess.PIPE}
    with processes.started([*FASTTIER, *words], **pipes) as child:
        lines = child.process.stdout if stream == "stdout" else child.process.stderr
        assert lines is not None
        yield Service(stage, lines, marker)


@contextlib.contextmanager
def fetching(home: Home, config: Path, settings: Sequence[str]) -> Iterator[processes.Child]:
    """Fetch the base model of a training configuration during the block.

    A failure is left to `fasttier train`, which tries again and reports it.
    """
    command = [sys.executable, "-m", "pipeline.train.fetch", str(config), str(home.root), *settings]
    sys.stdout.write("meanwhile the base model is fetched, if this machine does not have it yet\n")
    sys.stdout.flush()
    with processes.started(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        yield child


def _print(words: Sequence[str]) -> None:
    sys.stdout.write(f"$ fasttier {shlex.join(words).replace(chr(39) + '&' + chr(39), '&')}\n")
    sys.stdout.flush()
