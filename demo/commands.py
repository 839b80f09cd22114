"""Running the stages of the loop as a user does: `fasttier` commands in processes of their own."""

import collections
import contextlib
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from traffic import processes
from traffic.artifacts import Home
from traffic.errors import EndpointError, FastTierError

FASTTIER = (sys.executable, "-m", "cli")


class StageFailed(FastTierError, RuntimeError):
    """A command of the loop ended with an error; it has printed its own line."""


def sets(values: Sequence[str]) -> list[str]:
    """`--set` options of these values."""
    return [word for value in values for word in ("--set", value)]


def run(home: Home, stage: str, *arguments: str | Path, gate: bool = False) -> dict[str, Any]:
    """Run a stage to its end, its lines on the terminal; return its machine-readable summary.

    `gate`: exit status 1, a gate that says no, is a result too. Raises: StageFailed.
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


@contextlib.contextmanager
def serving(home: Home, adapter: str, options: Sequence[str]) -> Iterator[str]:
    """vLLM with the adapter, checked against its training, while the block lasts; its base URL."""
    with running(home, "serve", adapter, *options, "--json", ready="{", stream="stdout") as line:
        base_url: str = json.loads(line)["base_url"]
        yield base_url


@contextlib.contextmanager
def running(home: Home, stage: str, *arguments: str | Path, ready: str, stream: str) -> Iterator[str]:
    """A stage that runs until it is stopped; yields the line it prints when it is ready. Raises: EndpointError."""
    words = [stage, *map(str, arguments), "--home", str(home.root)]
    _print([*words, "&"])
    pipes: dict[str, Any] = {stream: subprocess.PIPE}
    with processes.started([*FASTTIER, *words], **pipes) as child:
        lines = child.process.stdout if stream == "stdout" else child.process.stderr
        assert lines is not None
        line = next((line for line in lines if ready in line), None)
        if line is None:
            raise EndpointError(f"`fasttier {stage}` ended before it was ready; its message is above")
        # Read on: a process whose pipe is full waits.
        threading.Thread(target=collections.deque, args=(lines, 0), daemon=True).start()
        yield line


def _print(words: Sequence[str]) -> None:
    sys.stdout.write(f"$ fasttier {shlex.join(words).replace(chr(39) + '&' + chr(39), '&')}\n")
    sys.stdout.flush()
