"""Fits training time and test items into the demo's time on this machine. Pure: the loop measures, this decides."""

from collections.abc import Iterable

import msgspec

from demo.config import TimeBudget

MIN_TRAIN_SECONDS = 20.0
MAX_MACHINE_FACTOR = 3.0
FAST = 250e9
"""FLOP/s that two cores reach with AVX512, in bfloat16 or float32, and do not with AVX2 alone."""


class Stage(msgspec.Struct, frozen=True):
    """One stage of the loop and the seconds it is expected to take."""

    name: str
    seconds: float
    """Fixed part, on the reference machine (two cores with AVX512-BF16)."""
    items: float = 0.0
    """Seconds for the examples or items whose number is chosen on this machine."""


class ItemCost(msgspec.Struct, frozen=True):
    """Seconds per request of a model that is served here."""

    alone: float
    """One request at a time."""
    batched: float
    """Per request, many in flight."""


class Schedule:
    """Expected and elapsed times of the loop's stages."""

    def __init__(self, stages: Iterable[Stage], budget_seconds: float) -> None:
        self.stages = list(stages)
        self.budget_seconds = budget_seconds
        self._current = -1
        self._began = 0.0
        self._expected = self._taken = 0.0

    @property
    def number(self) -> int:
        """Number of the current stage, from 1."""
        return self._current + 1

    @property
    def machine_factor(self) -> float:
        """Time of the finished stages relative to the reference machine, between 1 and `MAX_MACHINE_FACTOR`.

        At least 1, because reused stages are fast and say nothing about the rest.
        """
        if not self._expected:
            return 1.0
        return min(MAX_MACHINE_FACTOR, max(1.0, self._taken / self._expected))

    def begin(self, now: float) -> Stage:
        """The next stage starts `now` seconds after the loop."""
        self._finish(now)
        self._current += 1
        self._began = now
        return self.stages[self._current]

    def _finish(self, now: float) -> None:
        if self._current < 0:
            return
        stage = self.stages[self._current]
        if not stage.items:
            self._expected += stage.seconds
            self._taken += now - self._began

    def remaining(self) -> float:
        """Seconds that the current and the later stages are expected to take."""
        return self.fixed_after(self._current - 1) + sum(stage.items for stage in self.stages[self._current :])

    def fixed_after(self, index: int) -> float:
        """Seconds of the stages after this one without their items."""
        return self.machine_factor * sum(stage.seconds for stage in self.stages[index + 1 :])

    def available(self, now: float) -> float:
        """Seconds of the budget for items: without the fixed parts of the current and the later stages."""
        return self.budget_seconds - now - self.fixed_after(self._current - 1)

    def expect(self, name: str, items: float) -> None:
        """Set the seconds that stages of this name will spend on items."""
        self.stages = [msgspec.structs.replace(s, items=items) if s.name == name else s for s in self.stages]


def budget_seconds(budget: TimeBudget, flops: float) -> float:
    """Seconds for the loop at this rate of matrix products, in FLOP/s of the faster dtype.

    Slow machines get more, so that they do not train on much less.
    """
    return 60 * (budget.minutes if flops >= FAST else budget.minutes_slow)


def training_seconds(available: float, budget: TimeBudget) -> float:
    """Training's part of the seconds available for training and evaluation."""
    return max(MIN_TRAIN_SECONDS, available * budget.training_share)


def items_to_evaluate(
    available: float, costs: Iterable[ItemCost], *, alone: int, hosted: float, budget: TimeBudget, max_items: int
) -> int:
    """Number of test items for every candidate: `alone` of them one at a time, the rest concurrently.

    `hosted`: seconds per item that the simulated hosted models wait. At least `min_items`, which a useful interval
    needs, regardless of the time.
    """
    costs = list(costs)
    remaining = available - alone * sum(cost.alone for cost in costs)
    per_item = sum(cost.batched for cost in costs) + hosted
    return min(max_items, max(budget.min_items, int(remaining / per_item) if per_item else max_items))
