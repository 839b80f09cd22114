"""Requests that are made beside the answer: nobody waits for them, and there are never too many of them."""

import asyncio
from collections.abc import Coroutine
from typing import Any

DRAIN_SECONDS = 5.0


class Shadows:
    """The shadow requests of one process that are under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, work: Coroutine[Any, Any, None], most: int) -> bool:
        """Do the work beside; False, and it is not begun, while `most` are under way or after `drain`."""
        if self._closed or len(self._tasks) >= most:
            work.close()
            return False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def drain(self, seconds: float = DRAIN_SECONDS) -> None:
        """Take no more, wait for those under way, and cancel what is left after `seconds`."""
        self._closed = True
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
