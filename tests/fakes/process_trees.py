"""Looking at process trees from outside: who descends from whom, and waiting for processes to end."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Self

from traffic.process_guard import descendants

ROOT = Path(__file__).resolve().parents[2]


def command_line(pid: int) -> str:
    """The arguments of a process, with spaces between them; nothing if it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def tree(pid: int) -> dict[int, str]:
    """A process and its descendants that run, with their command lines."""
    return {process: line for process in (pid, *descendants(pid)) if (line := command_line(process))}


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Blocks until the condition holds. Raises: AssertionError."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        select.select([], [], [], 0.02)


def wait_until_gone(pids: Iterable[int], seconds: float = 30) -> None:
    """Blocks until these processes have ended; a zombie has. Raises: AssertionError naming one that has not."""
    deadline = time.monotonic() + seconds
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ended, _, _ = select.select([handle], [], [], max(0.0, deadline - time.monotonic()))
        finally:
            os.close(handle)
        assert ended, f"{pid} still runs after {seconds:g} s: {command_line(pid)}"


class MarkedCommand:
    """A command of ours whose processes can be found by a variable of their environment, wherever they hang."""

    def __init__(self, *arguments: str | Path, log: Path, env: Mapping[str, str] | None = None) -> None:
        self.mark = f"FASTTIER_TEST_MARK={uuid.uuid4().hex}"
        name, value = self.mark.split("=")
        self._log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "cli", *map(str, arguments)],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                env={**os.environ, **(env or {}), name: value},
                start_new_session=True,
            )

    def pids(self) -> dict[int, str]:
        """Its processes that run, with their command lines."""
        lines = {}
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in environ.read_bytes():
                    pid = int(environ.parent.name)
                    lines[pid] = command_line(pid)
        return {pid: line for pid, line in lines.items() if line}

    def wait_for(self, part: str, seconds: float = 120) -> int:
        """Blocks until it runs a process with this in its command line: that one's pid."""
        pids: list[int] = []

        def look() -> bool:
            pids[:] = [pid for pid, line in self.pids().items() if part in line]
            assert pids or self.process.poll() is None, f"ended with {self.process.returncode}: {self.log_text()}"
            return bool(pids)

        wait_for(look, f"no process has {part!r}: {self.log_text()}", seconds)
        return pids[0]

    def kill(self, pid: int, number: signal.Signals, seconds: float = 30) -> int:
        """Send a signal to one of its processes and wait until all have ended; the command's exit status.

        Raises: AssertionError naming one that lives on.
        """
        os.kill(pid, number)
        wait_for(lambda: self.process.poll() is not None, "the command still runs", seconds)
        self.wait_until_gone(seconds)
        return self.process.returncode

    def wait_until_gone(self, seconds: float = 30) -> None:
        """Wait until none of its processes is left: multiprocessing's tracker ends a little after its parent.

        Raises: AssertionError.
        """
        wait_for(lambda: not self.pids(), "processes are left", seconds)

    def log_text(self) -> str:
        """The end of what it printed."""
        return self._log.read_text(encoding="utf-8", errors="replace")[-3000:]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Whatever a failed test leaves behind.
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()
