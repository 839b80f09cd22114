"""Shadow requests are bounded and end with the router."""

import asyncio

from router.shadow import Shadows


def test_shadows_are_limited_and_none_start_after_drain() -> None:
    async def scenario() -> tuple[list[bool], list[str]]:
        shadows, gate, done = Shadows(), asyncio.Event(), []

        async def work(name: str) -> None:
            await gate.wait()
            done.append(name)

        begun = [shadows.start(work(name), 2) for name in ("a", "b", "c")]
        gate.set()
        await shadows.drain()
        begun.append(shadows.start(work("d"), 2))
        return begun, done

    assert asyncio.run(scenario()) == ([True, True, False, False], ["a", "b"])


def test_shadows_that_exceed_the_drain_time_are_cancelled() -> None:
    async def scenario() -> list[str]:
        shadows, ended = Shadows(), []

        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")

        shadows.start(hang(), 1)
        await shadows.drain(0.01)
        return ended

    assert asyncio.run(scenario()) == ["cancelled"]
