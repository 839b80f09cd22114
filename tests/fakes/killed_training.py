"""Training processes that end by `kill -9` at a chosen moment: the real entry, forked where it is loaded already.

A fork starts in a tenth of a second, where a new interpreter would import libraries for ten.
"""

import multiprocessing
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import train
from pipeline.train.job import Job


class Moment(NamedTuple):
    """The n-th time that the first process starts to write a file whose path contains this."""

    path: str
    nth: int = 1


def run(work: Job, killed_at: Moment | None = None, *, environment: dict[str, str] | None = None) -> None:
    """Prepare the run's folder as the stage does, then train: to the end, or until the first process is killed."""
    train.prepare(work)
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["pipeline.train.entry"])
    port = _free_port()
    ranks = [
        forks.Process(target=_train, args=(work, rank, port, killed_at, environment or {}))
        for rank in range(work.processes)
    ]
    for rank in ranks:
        rank.start()
    ranks[0].join()
    for rank in ranks[1:]:
        if killed_at:
            rank.kill()
        rank.join()
    log = (work.folder / "train.log").read_text(errors="replace")
    assert ranks[0].exitcode == (-signal.SIGKILL if killed_at else 0), log[-3000:]


def _train(work: Job, rank: int, port: int, killed_at: Moment | None, environment: dict[str, str]) -> None:
    if work.processes > 1:
        world = str(work.processes)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": world}
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= environment
    log = os.open(work.folder / "train.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if killed_at and rank == 0:
        _kill_at(killed_at)
    from pipeline.train import entry

    entry.train(work)


def _kill_at(moment: Moment) -> None:
    opened = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal opened
        if event != "open" or not isinstance(arguments[0], str | Path) or moment.path not in str(arguments[0]):
            return
        if arguments[2] & (os.O_WRONLY | os.O_RDWR):
            opened += 1
            if opened == moment.nth:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
