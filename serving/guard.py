"""Runs a server and takes its whole process group down, whoever dies first. Started by supervise.py:

    python -I -S guard.py GRACE_SECONDS COMMAND...

Its stdin is a pipe whose other end only our process holds: when that ends, for whatever reason
(`kill -9` included), the pipe closes and the server is stopped. It prints the server's pid. A guard
apart is needed because vLLM's engine is a child of vLLM: killing vLLM alone leaves the engine behind
with all the memory. Standard library only, so that it starts in milliseconds.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from types import FrameType

PR_SET_PDEATHSIG = 1


def main(grace_s: float, command: list[str]) -> int:
    """Run the command to its end. Returns its exit status, negative for a signal."""
    server = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        process_group=0,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (no threads are running yet)
    )
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.flush()

    def stop() -> None:
        _signal_group(server.pid, signal.SIGTERM)
        timer = threading.Timer(grace_s, _signal_group, (server.pid, signal.SIGKILL))
        timer.daemon = True
        timer.start()

    def stop_on_signal(_number: int, _frame: FrameType | None) -> None:
        stop()

    def stop_when_pipe_closes() -> None:
        while os.read(0, 1024):
            pass
        stop()

    signal.signal(signal.SIGTERM, stop_on_signal)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=stop_when_pipe_closes, daemon=True).start()
    status = server.wait()
    # What the server left behind: its engine, when the server itself was killed.
    _signal_group(server.pid, signal.SIGKILL)
    return status


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def _die_with_parent() -> None:
    # Should the guard itself be killed: Linux then tells the server to end, and vLLM ends its engine.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


if __name__ == "__main__":
    result = main(float(sys.argv[1]), sys.argv[2:])
    sys.exit(result if result >= 0 else 128 - result)
