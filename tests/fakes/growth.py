"""Whether work grows no faster than its input, on a machine of any speed and beside other work."""

import gc
import time
from collections.abc import Callable

SHORTEST = 2e-5
"""Seconds under which a measurement says nothing."""


def assert_linear(prepare: Callable[[int], Callable[[], object]], size: int, times: int = 32) -> None:
    """Asserts that the work `prepare(size)()` takes about `times` as long as `prepare(size // times)()`.

    The limit lies between linear and quadratic growth, as far from one as from the other as a ratio. There are three
    attempts since other load makes single ones slow, of different sizes so that no cache answers for the work.
    """
    # The first call imports and compiles.
    prepare(size // times + 9)()
    ratios: list[float] = []
    for attempt in range(3):
        small, large = (_seconds(prepare(part + attempt)) for part in (size // times, size))
        ratios.append(large / max(small, SHORTEST))
        if ratios[-1] < times**1.5:
            return
    raise AssertionError(f"{times} times the input takes {', '.join(f'{ratio:.0f}' for ratio in ratios)} times as long")


def _seconds(work: Callable[[], object]) -> float:
    """The thread's CPU seconds, without the collections of garbage, which grow with all that other tests keep."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        began = time.thread_time()
        work()
        return time.thread_time() - began
    finally:
        if enabled:
            gc.enable()
