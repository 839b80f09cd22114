"""Sequential change detection: has what is measured again and again changed, and since when?

A self-starting CUSUM: every observation is standardised by those before it, so that neither mean nor spread need be
known, and both sides are summed. Source: Hawkins (1987), The Statistician 36:299; threshold by Siegmund (1985).
"""

import math
from dataclasses import dataclass, field

SHIFT = 0.5
"""Half the change that is looked for, in standard deviations of one observation."""
WARM_UP = 3
"""Observations before the first one can be judged."""
_LIMIT = 3.0
"""One extreme observation counts no more than this: an outlier is no change."""


def threshold(observations: float) -> float:
    """Height of the sums at which a process without any change alarms once in so many observations on average."""
    one_side = 2 * max(observations, 1.0)
    low, high = 0.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _run_length(middle) < one_side else (low, middle)
    return high


def _run_length(height: float) -> float:
    """Mean observations to an alarm of one side: Siegmund's approximation."""
    b = height + 1.166
    return (math.exp(2 * SHIFT * b) - 2 * SHIFT * b - 1) / (2 * SHIFT**2)


@dataclass
class Cusum:
    """One series. `add` returns the index of the first observation after the change once there is evidence of one.

    After an alarm it starts anew: what follows is compared with itself, so that the rate of false alarms stays.
    """

    height: float
    floor: float = 0.0
    """Smallest spread that is believed: what chance alone does to one observation, where that is known."""
    count: int = 0
    _mean: float = 0.0
    _squares: float = 0.0
    _seen: int = 0
    _up: float = 0.0
    _down: float = 0.0
    _up_since: int = field(default=0)
    _down_since: int = field(default=0)

    def add(self, value: float) -> int | None:
        """Take one observation; the index (from 0, over all observations) at which a change began, or None."""
        index = self.count
        self.count += 1
        z = self._standardised(value)
        self._learn(value if z is None or abs(z) < _LIMIT else self._mean + math.copysign(_LIMIT, z) * self._spread())
        if z is None:
            self._up_since = self._down_since = index + 1
            return None
        self._up = max(0.0, self._up + z - SHIFT)
        self._down = max(0.0, self._down - z - SHIFT)
        if self._up == 0:
            self._up_since = index + 1
        if self._down == 0:
            self._down_since = index + 1
        if max(self._up, self._down) < self.height:
            return None
        began = self._up_since if self._up >= self._down else self._down_since
        self._mean = self._squares = self._up = self._down = 0.0
        self._seen = 0
        return began

    def _standardised(self, value: float) -> float | None:
        """Normal score of the value given those before it."""
        n = self._seen
        if n < WARM_UP:
            return None
        t = (value - self._mean) / (self._spread() * math.sqrt(1 + 1 / n))
        freedom = n - 1
        # Student's t to the normal score of the same probability: Wallace (1959), Ann. Math. Statist. 30:1121.
        z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
        return math.copysign(min(z, _LIMIT), t)

    def _spread(self) -> float:
        # A series that never moved: any move is one, but rounding is not.
        return max(math.sqrt(self._squares / (self._seen - 1)), self.floor, 1e-9 + 1e-6 * abs(self._mean))

    def _learn(self, value: float) -> None:
        self._seen += 1
        difference = value - self._mean
        self._mean += difference / self._seen
        self._squares += difference * (value - self._mean)
