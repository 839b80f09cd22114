"""Runs the steps of a check sequentially, each in a separate process with a time limit.

Results are written to a JSON file after every step and every number that a step reports, so that an interrupted check
keeps them.
"""

import contextlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, SpawnContext
from pathlib import Path
from typing import Any, Literal

import msgspec

from traffic.artifacts import write_atomic
from traffic.errors import FastTierError, Unsupported

Status = Literal["ok", "failed", "cut", "not run"]
Note = Callable[[Mapping[str, Any]], None]
"""Adds numbers to the step's result; they are kept if the step times out."""
PRELOADED = ("benchmarks.gpu.steps", "pipeline.train.entry", "benchmarks.training_arm")
MOST_LOG_LINES, MOST_LOG_BYTES = 60, 20_000
GRACE_SECONDS = 5.0
"""Time after its limit at which a step without a runner ends itself."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement in a separate process."""

    name: str
    """`kind/model`, or `kind/model/variant`."""
    run: Callable[..., None]
    """Called with a `Note` as first argument. Raises Unsupported if this machine lacks a requirement."""
    arguments: tuple[Any, ...] = ()
    limit_s: float = 60.0
    min_left_s: float = 0.0
    """Minimum remaining time to start the step."""
    after: tuple[str, ...] = ()
    """Prerequisite steps, which must have succeeded."""
    absent: str | None = None
    """Why this machine cannot run it; None if it can."""


class StepResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a step."""

    name: str
    status: Status
    seconds: float = 0.0
    detail: dict[str, Any] = {}
    reason: str = ""
    """Reason of a status other than "ok"."""
    log: list[str] = []
    """Last lines of its output if it failed or timed out."""


class Check(msgspec.Struct):
    """The JSON file of a check."""

    created_at: str
    form: Literal["full", "tiny"]
    device: Literal["cpu", "cuda"]
    machine: dict[str, Any]
    conventions: dict[str, str]
    """Definitions of the numbers."""
    steps: list[StepResult] = []
    seconds: float = 0.0
    schema_version: Literal[1] = 1

    def of(self, name: str) -> StepResult | None:
        return next((step for step in self.steps if step.name == name), None)

    def save(self, path: Path | None) -> None:
        if path is not None:
            write_atomic(path, msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")


class Runner:
    """Runs steps until the total time limit."""

    def __init__(
        self,
        check: Check,
        path: Path | None,
        logs: Path,
        seconds: float,
        tell: Callable[[str], None],
        preloaded: Sequence[str] = PRELOADED,
    ) -> None:
        self._check, self._path, self._logs, self._tell = check, path, logs, tell
        self._began = time.monotonic()
        self._ends = self._began + seconds
        # On a CPU, steps are forked from a process that has imported all libraries. A GPU's driver does not work after
        # a fork once a library has used it, so there each step starts a new interpreter.
        forked = check.device == "cpu"
        self._context: ForkServerContext | SpawnContext = (
            multiprocessing.get_context("forkserver") if forked else multiprocessing.get_context("spawn")
        )
        if forked:
            self._context.set_forkserver_preload(list(preloaded))

    def run(self, step: Step) -> StepResult:
        """Run or skip the step, and write the result."""
        reason = self._skip_reason(step)
        begun = StepResult(name=step.name, status="not run" if reason else "cut", reason=reason or "the check ended")
        self._check.steps.append(begun)
        self._keep(begun)
        result = begun if reason else self._run_process(step)
        self._keep(result)
        numbers = "" if result.status == "ok" else f": {result.reason}"
        self._tell(f"{result.status:8} {result.seconds:6.1f} s  {step.name}{numbers}")
        return result

    def _keep(self, result: StepResult) -> None:
        self._check.steps[-1] = result
        self._check.seconds = round(time.monotonic() - self._began, 1)
        self._check.save(self._path)

    def _skip_reason(self, step: Step) -> str | None:
        if step.absent:
            return step.absent
        for name in step.after:
            before = self._check.of(name)
            if before is None or before.status != "ok":
                return f"{name} did not succeed"
        left = self._ends - time.monotonic()
        return f"{left:.0f} s left, it takes {step.min_left_s:.0f}" if left < max(1.0, step.min_left_s) else None

    def _run_process(self, step: Step) -> StepResult:
        """Run the step in a process and return its result; the process and its descendants have ended then."""
        limit = min(step.limit_s, self._ends - time.monotonic())
        ours, theirs = self._context.Pipe()
        log = self._logs / f"{step.name.replace('/', '-')}.log"
        began, detail = time.monotonic(), dict[str, Any]()
        process = self._context.Process(target=_child, args=(step.run, step.arguments, theirs, log, limit))
        process.start()
        theirs.close()
        status: Status = "failed"
        reason = ""
        try:
            while True:
                left = began + limit - time.monotonic()
                if left <= 0:
                    status, reason = "cut", f"after {limit:.0f} s"
                    break
                if not ours.poll(min(left, 0.5)):
                    continue
                try:
                    kind, payload = ours.recv()
                except EOFError:
                    process.join(GRACE_SECONDS)
                    reason = f"its process ended with status {process.exitcode}"
                    break
                if kind == "note":
                    detail |= payload
                    self._keep(StepResult(name=step.name, status="cut", reason="the check ended", detail=detail))
                    continue
                status, reason = kind, payload
                break
        finally:
            _end(process)
        seconds = round(time.monotonic() - began, 2)
        lines = tail(log) if status in ("failed", "cut") else []
        return StepResult(name=step.name, status=status, seconds=seconds, detail=detail, reason=reason, log=lines)


def _end(process: Any) -> None:
    """Kill the process with its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _child(run: Callable[..., None], arguments: tuple[Any, ...], pipe: Connection, log: Path, limit_s: float) -> None:
    os.setsid()
    # Ends this process if the runner does not.
    signal.alarm(int(limit_s + GRACE_SECONDS))
    with log.open("ab", buffering=0) as output:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(output.fileno(), stream.fileno())
    try:
        run(lambda numbers: pipe.send(("note", rounded(numbers))), *arguments)
    except Unsupported as error:
        pipe.send(("not run", str(error)))
    except BaseException as error:  # noqa: BLE001 - any exception is the step's result
        # Flushed before the traceback; the parent kills this process once it has the result.
        sys.stdout.flush()
        traceback.print_exc()
        sys.stderr.flush()
        text = str(error) if isinstance(error, FastTierError) else f"{type(error).__name__}: {error}"
        pipe.send(("failed", (text.strip().splitlines() or ["no message"])[0]))
    else:
        pipe.send(("ok", ""))


def tail(log: Path) -> list[str]:
    """The last lines of a log, shortened."""
    if not log.is_file():
        return []
    text = log.read_bytes()[-MOST_LOG_BYTES:].decode(errors="replace")
    return [line.rpartition("\r")[2][:400] for line in text.splitlines() if line.strip()][-MOST_LOG_LINES:]


@contextlib.contextmanager
def showing(log: Path) -> Iterator[None]:
    """Print the end of a program's log if the block fails, since the file is deleted with the check's folder."""
    try:
        yield
    except BaseException:
        print("\n".join(tail(log)), flush=True)
        raise


def rounded(value: Any) -> Any:
    """The value with floats to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def scratch_folder(wanted_bytes: float) -> Path:
    """Parent folder with enough space for the weights: in memory if possible, else the disk for temporary files."""
    import tempfile

    shared = Path("/dev/shm")  # noqa: S108 - weights are read a dozen times; they are removed at the end
    if shared.is_dir() and shutil.disk_usage(shared).free > 1.3 * wanted_bytes:
        return shared
    return Path(tempfile.gettempdir())
