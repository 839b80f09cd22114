"""Many deadlines on one timer."""

import asyncio

from router.deadlines import MAX_CANCELLED, Deadlines


def test_deadlines_are_met_in_their_order_and_cancelled_ones_are_not() -> None:
    async def run() -> list[str]:
        loop = asyncio.get_running_loop()
        deadlines, met = Deadlines.of(loop), []
        done = asyncio.Event()
        now = loop.time()
        deadlines.at(now + 0.03, done.set)
        deadlines.at(now + 0.02, lambda: met.append("second"))
        cancelled = deadlines.at(now + 0.01, lambda: met.append("cancelled"))
        deadlines.at(now + 0.005, lambda: met.append("first"))
        cancelled.cancel()
        cancelled.cancel()
        await asyncio.wait_for(done.wait(), 5)
        return met

    assert asyncio.run(run()) == ["first", "second"]


def test_a_deadline_may_be_set_by_another_one() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        deadlines = Deadlines.of(loop)
        deadlines.at(loop.time() + 0.005, lambda: void(deadlines.at(loop.time() + 0.005, done.set)))
        await asyncio.wait_for(done.wait(), 5)

    asyncio.run(run())


def test_cancelled_deadlines_do_not_fill_the_memory() -> None:
    async def run() -> int:
        loop = asyncio.get_running_loop()
        deadlines = Deadlines.of(loop)
        kept = deadlines.at(loop.time() + 100, lambda: None)
        for _ in range(10 * MAX_CANCELLED):
            deadlines.at(loop.time() + 100, lambda: None).cancel()
        size = len(deadlines._heap)
        kept.cancel()
        return size

    assert asyncio.run(run()) <= MAX_CANCELLED + 3


def void(value: object) -> None:
    del value
