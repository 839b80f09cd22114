"""Runs a program, and ends all its descendants when it or our process ends. Started by traffic/processes.py:

    python -I -S process_guard.py GRACE_SECONDS COMMAND...

Standard input is a pipe whose other end only our process holds: when that process ends in any way, even by `kill -9`,
the pipe closes and the program is stopped. Prints the program's pid; the program's output goes to standard error. A
separate process is needed because programs leave children behind: vLLM its engine, `accelerate launch` its training
processes. Standard library only, so that it starts in milliseconds.

Descendants are found by process group. On Linux the guard also adopts orphans, so descendants in other sessions are
ended too.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
REAP_SECONDS = 5.0
"""Maximum wait for killed descendants to exit."""
LINUX = sys.platform == "linux"


def main(grace_s: float, command: list[str]) -> int:
    """Run the command to its end. Returns its exit status, negative for a signal."""
    adopt_orphans()
    # The program's standard input closes with the guard; our own programs watch it (processes.end_with_stdin).
    lifeline, _held_until_exit = os.pipe()
    program = subprocess.Popen(
        command,
        stdin=lifeline,
        stdout=sys.stderr,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (no threads are running yet)
    )
    os.close(lifeline)

    def stop() -> None:
        _signal_group(program.pid, signal.SIGTERM)
        timer = threading.Timer(grace_s, _kill_all, (program.pid,))
        timer.daemon = True
        timer.start()

    def stop_on_signal(_number: int, _frame: FrameType | None) -> None:
        stop()

    def stop_when_pipe_closes() -> None:
        while os.read(0, 1024):
            pass
        stop()

    for number in STOP_SIGNALS:
        signal.signal(number, stop_on_signal)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{program.pid}\n")
        sys.stdout.flush()
    threading.Thread(target=stop_when_pipe_closes, daemon=True).start()
    status = program.wait()
    _end_remaining(program.pid)
    return status


def adopt_orphans() -> None:
    """Make orphaned descendants children of this process (Linux)."""
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def _end_remaining(group: int) -> None:
    """Kill the program's remaining descendants and wait until they have exited."""
    deadline = time.monotonic() + REAP_SECONDS
    _kill_all(group)
    while LINUX and time.monotonic() < deadline:
        try:
            reaped, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if reaped == 0:
            # Repeated for processes that were started in the meantime.
            _kill_all(group)
            time.sleep(0.01)


def _kill_all(group: int) -> None:
    _signal_group(group, signal.SIGKILL)
    for pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def children_of(parent: int) -> set[int]:
    """Direct children of a process. Empty without /proc (macOS)."""
    return _children().get(parent, set())


def _children() -> dict[int, set[int]]:
    children: dict[int, set[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # Fields 3 and 4 are the state and the parent; the name in field 2 may contain spaces and parentheses.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), set()).add(int(stat.parent.name))
    return children


def descendants(ancestor: int) -> set[int]:
    """All descendants of a process. Empty without /proc (macOS)."""
    children = _children()
    pids: set[int] = set()
    pending = [ancestor]
    while pending:
        new = set(children.get(pending.pop(), ())) - pids
        pids |= new
        pending += new
    return pids


def _signal_group(group: int, number: signal.Signals) -> None:
    # macOS raises PermissionError for a group of zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    # If the guard is killed: on Linux the program gets SIGTERM; elsewhere only its standard input closes.
    if LINUX:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    result = main(float(sys.argv[1]), sys.argv[2:])
    sys.exit(result if result >= 0 else 128 - result)
