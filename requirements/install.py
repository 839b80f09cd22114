"""Install the pins of one kind, and fasttier itself (editable), into the running environment.

    .venv/bin/python requirements/install.py requirements/cpu.txt

uv downloads in parallel and caches downloads for the next clone. On a terminal it draws its own progress bars;
otherwise a line is printed every few seconds.
"""

import os
import platform
import queue
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import IO

import pip_settings

EVERY_S = 5.0
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
UNITS = {"KiB": 1 / 1024, "MiB": 1.0, "GiB": 1024.0}


class Downloads:
    """Progress of the downloads, from uv's lines `Downloading torch (182.9MiB)` and ` Downloaded torch`."""

    def __init__(self) -> None:
        self.announced: dict[str, float] = {}
        """MiB per package; uv announces packages of at least 1 MiB."""
        self.done: set[str] = set()

    def take(self, line: str) -> bool:
        """Parse a line; False if it is not about a download."""
        if started := re.match(r"\s*Downloading (\S+) \(([\d.]+)([KMG]iB)\)", line):
            self.announced[started[1]] = float(started[2]) * UNITS[started[3]]
        elif ended := re.match(r"\s*Downloaded (\S+)", line):
            self.done.add(ended[1])
        else:
            return False
        return True

    def summary(self) -> str:
        if not self.announced:
            return "finding the packages"
        waiting = sorted(self.announced.keys() - self.done, key=lambda name: -self.announced[name])
        received = sum(size for name, size in self.announced.items() if name in self.done)
        total = sum(self.announced.values())
        text = f"downloads {len(self.done)}/{len(self.announced)}, {received:.0f} of {total:.0f} MiB"
        return f"{text}, next {', '.join(waiting[:3])}" if waiting else text


def say(text: str) -> None:
    print(f"setup: {text}", flush=True)


def follow(command: list[str], environment: dict[str, str], every_s: float = EVERY_S) -> int:
    """Run a uv command and report its progress; returns the exit code."""
    if sys.stdout.isatty() and sys.stderr.isatty():
        return subprocess.run(command, env=environment).returncode
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read, args=(process.stderr, lines), daemon=True).start()
        _report(lines, every_s)
    return process.returncode


def _read(stream: IO[str], lines: "queue.Queue[str | None]") -> None:
    for line in stream:
        lines.put(line.rstrip())
    lines.put(None)


def _report(lines: "queue.Queue[str | None]", every_s: float) -> None:
    downloads, start = Downloads(), time.monotonic()
    due = start + every_s
    while True:
        try:
            line = lines.get(timeout=max(due - time.monotonic(), 0.01))
        except queue.Empty:
            say(f"{downloads.summary()}, {time.monotonic() - start:.0f} s")
            due = time.monotonic() + every_s
            continue
        if line is None:
            return
        # Lines per installed package only repeat the pins.
        if not downloads.take(line) and not re.match(r"\s*[+-] \S+==", line):
            say(line)


def install(pins: Path) -> None:
    settings = pip_settings.of_this_machine()
    environment = dict(os.environ) | pip_settings.variables(settings, os.environ)
    uv = [str(Path(sys.executable).with_name("uv")), "pip", "install", "--python", sys.executable, "--no-deps"]
    flags = pip_settings.arguments(settings, os.environ)
    torch = re.search(r"^torch==\S+\+cpu", pins.read_text(), re.MULTILINE)
    if torch and platform.system() == "Linux":
        probe = subprocess.run([*uv, *flags, "--dry-run", torch[0]], env=environment, capture_output=True)
        # The +cpu build is not on PyPI. If no index of pip's settings has it, use PyTorch's.
        if probe.returncode and follow([*uv, *flags, "--torch-backend", "cpu", torch[0]], environment):
            sys.exit(f"setup: {torch[0]} was found neither where pip looks nor on {CPU_INDEX}")
    if follow([*uv, *flags, "-r", str(pins)], environment):
        sys.exit(f"setup: {pins} could not be installed (see above); 'make setup' again goes on where it stopped")
    if follow([*uv, *flags, "--no-build-isolation", "--quiet", "-e", "."], environment):
        sys.exit("setup: fasttier itself could not be installed (see above)")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
