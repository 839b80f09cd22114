"""Sequential change detection: whether a repeatedly measured value has changed, and since when.

A two-sided self-starting CUSUM: every observation is standardised by the earlier ones, so that mean and spread need not
be known. Source: Hawkins (1987), The Statistician 36:299; threshold by Siegmund (1985).
"""

import math
from dataclasses import dataclass, field

SHIFT = 0.5
"""Half the change to detect, in standard deviations of one observation."""
WARM_UP = 3
"""Number of observations before the first one is tested."""
_LIMIT = 3.0
"""Limit of standardised observations, so that one outlier is not taken for a change."""


def threshold(observations: float) -> float:
    """Alarm threshold of the sums for one false alarm per `observations` on average."""
    one_side = 2 * max(observations, 1.0)
    low, high = 0.0, 100.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if _run_length(middle) < one_side else (low, middle)
    return high


def _run_length(height: float) -> float:
    """Mean number of observations to a one-sided alarm, by Siegmund's approximation."""
    b = height + 1.166
    return (math.exp(2 * SHIFT * b) - 2 * SHIFT * b - 1) / (2 * SHIFT**2)


@dataclass
class Cusum:
    """A series of observations. After an alarm it restarts, so that later values are compared among themselves."""

    height: float
    floor: float = 0.0
    """Minimum standard deviation: the sampling error of one observation, if known."""
    count: int = 0
    _mean: float = 0.0
    _squares: float = 0.0
    _seen: int = 0
    _up: float = 0.0
    _down: float = 0.0
    _up_since: int = field(default=0)
    _down_since: int = field(default=0)

    def add(self, value: float) -> int | None:
        """Add an observation. Returns the index (from 0) of the first one after a detected change, or None."""
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
        """Normal score of the value, given the earlier ones."""
        n = self._seen
        if n < WARM_UP:
            return None
        t = (value - self._mean) / (self._spread() * math.sqrt(1 + 1 / n))
        freedom = n - 1
        # Student's t to the normal score of the same probability: Wallace (1959), Ann. Math. Statist. 30:1121.
        z = math.sqrt(freedom * math.log1p(t * t / freedom)) * (8 * freedom + 1) / (8 * freedom + 3)
        return math.copysign(min(z, _LIMIT), t)

    def _spread(self) -> float:
        # For a constant series any change is significant, except rounding.
        return max(math.sqrt(self._squares / (self._seen - 1)), self.floor, 1e-9 + 1e-6 * abs(self._mean))

    def _learn(self, value: float) -> None:
        self._seen += 1
        difference = value - self._mean
        self._mean += difference / self._seen
        self._squares += difference * (value - self._mean)
