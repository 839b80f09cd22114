"""Many time limits on one timer of the event loop.

    deadline = Deadlines.of(loop).at(loop.time() + 5.0, expire)
    ...
    deadline.cancel()

Almost every limit of a request is cancelled, and making and cancelling a timer of the loop costs more than a place in a
heap: only the nearest deadline has a timer, and cancelled ones are taken out when they are many.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import ClassVar

MAX_CANCELLED = 256
"""Kept in the heap beyond the number of deadlines that count."""


class Deadline:
    """A callback at a time, until it is cancelled."""

    __slots__ = ("_owner", "action")

    def __init__(self, owner: "Deadlines", action: Callable[[], None]) -> None:
        self._owner = owner
        self.action: Callable[[], None] | None = action

    def cancel(self) -> None:
        if self.action is not None:
            self.action = None
            self._owner.cancelled()


class Deadlines:
    """The deadlines of one event loop."""

    _latest: "ClassVar[Deadlines | None]" = None

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = loop.time
        self._call_at = loop.call_at
        self._heap: list[tuple[float, int, Deadline]] = []
        self._live = 0
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> "Deadlines":
        """Those of the running loop; a process has one loop at a time."""
        known = cls._latest
        if known is None or known._loop is not loop:
            known = cls._latest = cls(loop)
        return known

    def at(self, when: float, action: Callable[[], None]) -> Deadline:
        """Call `action` at `when`, a time of the loop's clock."""
        deadline = Deadline(self, action)
        heapq.heappush(self._heap, (when, next(self._numbers), deadline))
        self._live += 1
        if when < self._timer_at:
            self._wake_at(when)
        return deadline

    def cancelled(self) -> None:
        """One more of the deadlines counts no more."""
        self._live -= 1
        if len(self._heap) > 2 * self._live + MAX_CANCELLED:
            self._heap = [item for item in self._heap if item[2].action is not None]
            heapq.heapify(self._heap)

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._call_at(when, self._wake)

    def _wake(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        now = self._now()
        due: list[Callable[[], None]] = []
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].action is None):
            deadline = heapq.heappop(self._heap)[2]
            if deadline.action is not None:
                due.append(deadline.action)
                deadline.action = None
                self._live -= 1
        if self._heap:
            self._wake_at(self._heap[0][0])
        for action in due:
            action()
