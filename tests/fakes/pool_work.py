"""What the workers of a test's pool do."""

import os
import signal
from pathlib import Path


def work_forever(_item: int) -> None:
    """Say that it has begun, then never end by itself."""
    (Path(os.environ["WORKING"]) / f"working-{os.getpid()}").touch()
    signal.pause()


def kill_itself(_item: int) -> None:
    """What the system does to a process when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)
