"""Starting the training processes, watching them, and saying in one line why they failed."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pipeline.train.config import CONFIGS
from pipeline.train.job import Event, EventReader
from traffic.errors import TrainingFailed

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0


def command(job: Path, *, device: str, processes: int) -> list[str]:
    """The `accelerate launch` command line of a job (without the interpreter)."""
    kind = "ddp" if processes > 1 else "single"
    return [
        "accelerate",
        "launch",
        "--config_file",
        str(CONFIGS / "accelerate" / f"{kind}.yaml"),
        "--num_processes",
        str(processes),
        # accelerate would otherwise give each process a single thread.
        "--num_cpu_threads_per_process",
        str(threads(device, processes)),
        "-m",
        "pipeline.train.entry",
        str(job),
    ]


def threads(device: str, processes: int) -> int:
    """CPU threads per process: OMP_NUM_THREADS if it is set, else the machine's share (on a GPU at most 8)."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdigit() and int(given):
        return int(given)
    share = max(1, len(os.sched_getaffinity(0)) // processes)
    return share if device == "cpu" else min(share, 8)


def run(job: Path, *, device: str, processes: int, log: Path, on_event: Callable[[Event], None]) -> None:
    """Run a job to its end, passing on its events; all its processes are gone when this returns or raises.

    Raises: TrainingFailed with the log file and the last meaningful line of it.
    """
    accelerate = command(job, device=device, processes=processes)
    arguments = [sys.executable, "-m", "accelerate.commands.launch", *accelerate[2:], "--stop-with-stdin"]
    reader = EventReader(job.parent)
    with log.open("ab") as output:
        start = output.tell()
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment(device),
            # A group of its own, so that everything that accelerate starts can be ended together.
            start_new_session=True,
        )
        try:
            while process.poll() is None:
                for event in reader.new():
                    on_event(event)
                with_timeout(process, POLL_SECONDS)
        finally:
            stop(process)
    for event in reader.new():
        on_event(event)
    if process.returncode:
        with log.open("rb") as file:
            file.seek(start)
            text = file.read().decode(errors="replace")
        raise TrainingFailed(f"{failure(text, process.returncode)}; log: {log}")


def environment(device: str) -> dict[str, str]:
    """The training processes' environment: this one's, with what the run must not depend on switched off."""
    variables = os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        # The weights are here by now; a library that asks the hub all the same would wait for it.
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONUNBUFFERED": "1",
    }
    if device == "cpu":
        variables["CUDA_VISIBLE_DEVICES"] = ""
    return variables


def with_timeout(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait for the process to end, but not longer."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the process and all that it started: politely, then not."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with_timeout(process, GRACE_SECONDS)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


_ERROR = re.compile(
    r"^(?:\[rank\d+\]: )?((?:\w+\.)*\w*(?:Error|Exception|Failed|NotEnoughData|NotFound|Unsupported)): (.+)$"
)
_LAUNCHER = ("CalledProcessError", "ChildFailedError")
_OURS = ("traffic.errors.",)


def failure(log: str, status: int) -> str:
    """One line out of a log that says why training ended, and what to change if that is known."""
    matches = [match for line in log.splitlines() if (match := _ERROR.match(line.strip()))]
    causes = [match for match in matches if not match[1].endswith(_LAUNCHER)]
    if causes:
        # The first process to fail has the cause; others then fail because it is gone.
        name, message = causes[0][1], causes[0][2]
        if name.startswith(_OURS):
            return message
        if name.endswith("OutOfMemoryError") or "out of memory" in message.lower():
            return "out of GPU memory: lower batch_size or max_length, or set quantization=nf4"
        return f"training failed: {name}: {message}"
    if status in (-signal.SIGKILL, 128 + signal.SIGKILL) or "SIGKILL" in log or "Signals.SIGKILL: 9" in log:
        return "the training process was killed, most likely for want of memory: lower batch_size or max_length"
    last = next((line.strip() for line in reversed(log.splitlines()) if line.strip()), "no output")
    return f"training failed with status {status}: {last}"
