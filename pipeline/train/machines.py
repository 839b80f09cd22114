"""Runs over several machines: the same command on each, with a shared home.

    MASTER_ADDR=10.0.0.1 MASTER_PORT=29500 NODE_RANK=0 fasttier train --set machines=2 ...

The machine with NODE_RANK 0 writes the job and publishes the adapter; the others run their processes of it.
"""

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline.train import job
from traffic.errors import ConfigError, InputError

VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")
"""Named as by `torchrun` and cluster schedulers."""
WAIT_SECONDS = 1800.0
"""Maximum wait for the first machine, which may have to fetch the base model before it writes the job."""
POLL_SECONDS = 1.0


class Node(NamedTuple):
    """One machine of a run."""

    rank: int
    address: str
    """Of the first machine."""
    port: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Result on a machine other than the first."""

    rank: int
    machines: int
    trained: bool
    """False: the run was already complete."""
    log: Path

    def lines(self) -> list[str]:
        """The result as text."""
        did = f"finished; log {self.log}" if self.trained else "had nothing to do: the run is complete"
        return [
            f"machine     {self.rank} of {self.machines} (counted from 0) {did}",
            "next        the first machine publishes the adapter",
        ]


def here(machines: int, environ: Mapping[str, str] = os.environ) -> Node:
    """This machine, from the environment. Raises: ConfigError."""
    missing = [name for name in VARIABLES if not environ.get(name)]
    if missing:
        raise ConfigError(
            f"machines: {machines}, but {', '.join(missing)} not set: each machine needs the first one's address and "
            f"a free port of it (MASTER_ADDR, MASTER_PORT) and its own number (NODE_RANK, 0 to {machines - 1})"
        )
    address, port, rank = (environ[name] for name in VARIABLES)
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise ConfigError(f"MASTER_PORT: {port} is no port")
    if not rank.isdigit() or int(rank) >= machines:
        raise ConfigError(f"NODE_RANK: {rank} is not one of 0 to {machines - 1} (machines: {machines})")
    return Node(int(rank), address, int(port))


def arguments(machines: int, node: Node | None) -> list[str]:
    """Arguments of `accelerate launch` for several machines; without a node (in a plan), the variables' names."""
    if machines == 1:
        return []
    rank, address, port = node or ("$NODE_RANK", "$MASTER_ADDR", "$MASTER_PORT")
    return [
        *("--num_machines", str(machines)),
        *("--machine_rank", str(rank)),
        *("--main_process_ip", address),
        *("--main_process_port", str(port)),
    ]


def wait_for_job(
    work: job.Job, *, seconds: float = WAIT_SECONDS, sleep: Callable[[float], None] = time.sleep
) -> job.Job:
    """Return the first machine's job when it has written it: this one, but its compute dtype counts for all machines.

    One that an earlier attempt left is as good: training begins when the first machine's processes have joined.
    Raises: InputError after `seconds`, with what differs.
    """
    path, end = work.folder / "job.json", time.monotonic() + seconds
    while True:
        if path.is_file():
            first = job.load_job(path)
            if first == msgspec.structs.replace(work, compute_dtype=first.compute_dtype):
                return first
        if time.monotonic() >= end:
            raise InputError(f"{path}: {_difference(path, work)}; is the home shared, and the command the same?")
        sleep(POLL_SECONDS)


def _difference(path: Path, work: job.Job) -> str:
    if not path.is_file():
        return "the first machine did not write it"
    existing = job.load_job(path)
    fields = [name for name in work.__struct_fields__ if name != "compute_dtype"]
    names = [name for name in fields if getattr(existing, name) != getattr(work, name)]
    return f"the first machine's job has another {', '.join(names)} than this machine's"
