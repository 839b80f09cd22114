"""Runs the blocks of an ingest: in this process, in a pool of processes, or on a Ray cluster."""

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import NamedTuple

from pipeline.ingest.blocks import Job, Report, read_block
from pipeline.ingest.cluster import RayExecutor
from pipeline.ingest.content import Piece
from traffic.processes import cores, pool

_POOL_BYTES = 16 << 20
"""Below this size, starting worker processes costs more than it saves."""


class Task(NamedTuple):
    """One block for a worker."""

    number: int
    pieces: tuple[Piece, ...]
    job: Job
    behind: int = 0
    """Stored position of its end, for the progress bar."""


@dataclass(frozen=True)
class Workers:
    """Where blocks are read."""

    executor: Executor | None = None
    """None: this process."""
    count: int = 1

    def reports(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Report]]:
        """Run tasks with at most two blocks per worker in flight, so that memory stays flat for any file size."""
        waiting: dict[Future[Report], Task] = {}
        for task in tasks:
            if self.executor is None:
                yield task, read_block(task.number, task.pieces, task.job)
                continue
            waiting[self.executor.submit(read_block, task.number, task.pieces, task.job)] = task
            while len(waiting) >= 2 * self.count:
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        while waiting:
            future = next(iter(waiting))
            yield waiting.pop(future), future.result()


@contextlib.contextmanager
def started(size: int, processes: int | None, ray: str | None = None) -> Iterator[Workers]:
    """Workers for `size` bytes. `processes`: default one per core, one for small logs; `ray`: the cluster's address."""
    if ray is not None:
        with RayExecutor(ray) as cluster:
            yield Workers(cluster, cluster.workers)
        return
    count = processes or cores()
    if count == 1 or (processes is None and size < _POOL_BYTES):
        yield Workers()
        return
    # Not forked: this process has threads (Arrow, DuckDB, the progress bar) whose locks a fork would copy.
    with pool(count, "spawn") as executor:
        yield Workers(executor, count)
