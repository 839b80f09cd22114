"""Runs shadow requests in the background, with a limit on their number."""

import asyncio
from collections.abc import Coroutine
from typing import Any

DRAIN_SECONDS = 5.0


class Shadows:
    """The shadow requests of one process."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None], limit: int) -> bool:
        """Start `work` in the background; False, without starting it, if `limit` are running or after `drain`."""
        if self._closed or len(self._tasks) >= limit:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Accept no more, wait for the running ones, and cancel those that still run after `seconds`."""
        self._closed = True
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
