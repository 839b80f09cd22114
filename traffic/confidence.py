"""Confidence signals of an answer from its token log-probabilities, and the probability that the answer is right.

Signals are minimum, 10th percentile and mean of the margin between the probabilities of the chosen token and its best
rival. Unlike sums and means of log-probabilities they do not fall with the length of an answer (Gupta et al., arXiv
2404.10136; the mean margin is the signal of arXiv 2605.18796).

A calibration (`traffic/calibrations.py`) maps signals to P(answer is right): a weighted sum and a curve through a few
knots. Plain Python, because the router computes it for every answer.
"""

import bisect
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

Signal = Literal["min_margin", "p10_margin", "mean_margin", "first_margin", "min_logprob", "mean_logprob"]
Feature = Signal | Literal["length"]
"""length: the natural logarithm of the number of tokens."""


class Signals(msgspec.Struct, frozen=True):
    """Signals of one answer; margins are differences of probabilities in [-1, 1]."""

    min_margin: float
    p10_margin: float
    """10th percentile with linear interpolation."""
    mean_margin: float
    first_margin: float
    min_logprob: float
    mean_logprob: float
    tokens: int
    """Number of tokens, including the end-of-turn token if the server returns it."""


class Isotonic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="isotonic"):
    """Increasing piecewise-linear curve from scores to probabilities, constant outside its knots."""

    scores: tuple[float, ...]
    """Ascending."""
    probabilities: tuple[float, ...]
    """At the scores; ascending."""

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.probabilities):
            raise ValueError(
                f"{len(self.scores)} scores and {len(self.probabilities)} probabilities: expected equally many"
            )
        if sorted(self.scores) != list(self.scores) or sorted(self.probabilities) != list(self.probabilities):
            raise ValueError("scores and probabilities of a curve must be ascending")

    def probability(self, score: float) -> float:
        """P(right) of an answer with this score."""
        above = bisect.bisect_right(self.scores, score)
        if above == 0:
            return self.probabilities[0]
        if above == len(self.scores):
            return self.probabilities[-1]
        x0, x1 = self.scores[above - 1], self.scores[above]
        y0, y1 = self.probabilities[above - 1], self.probabilities[above]
        return y0 + (y1 - y0) * ((score - x0) / (x1 - x0))


class Platt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="platt"):
    """The logistic curve 1 / (1 + exp(-(slope x score + intercept)))."""

    slope: float
    intercept: float

    def probability(self, score: float) -> float:
        """P(right) of an answer with this score."""
        # exp() overflows above 709; at 700 the curve is flat.
        return 1 / (1 + math.exp(max(-700.0, min(700.0, -(self.slope * score + self.intercept)))))


Curve = Isotonic | Platt


class Threshold(msgspec.Struct, frozen=True):
    """Answers with a lower value escalate. The value is a signal, or with a curve P(answer is right)."""

    signal: str
    """One of `Signal`, or `combined`: the weighted sum."""
    threshold: float
    weights: tuple[tuple[Feature, float], ...] = ()
    curve: Curve | None = None

    def value(self, signals: Signals) -> float:
        """The value that is compared with the threshold."""
        score = weighted(signals, self.weights) if self.weights else float(getattr(signals, self.signal))
        return score if self.curve is None else self.curve.probability(score)

    @property
    def measure(self) -> str:
        """Name of the value."""
        return self.signal if self.curve is None else "p(right)"


class Step(NamedTuple):
    """One generated token: its log-probability, and those of the alternatives (in any order)."""

    logprob: float
    rivals: Sequence[float]


def signals(steps: Sequence[Step]) -> Signals | None:
    """Signals over the steps of an answer; None if there are none.

    The margin is p(chosen) - p(best rival): p1 - p2 with greedy decoding, and negative if sampling or a grammar chose a
    less probable token. Without a returned rival it is 2·p(chosen) - 1, its lower bound: a rival has at most the rest.

    All steps count, including the end-of-turn token: if one label is the beginning of another, it decides between them.
    vLLM returns that step and OpenAI does not, so calibrate on the server that serves.
    """
    return of_best_rivals([(step.logprob, max(step.rivals, default=None)) for step in steps])


def of_best_rivals(steps: Sequence[tuple[float, float | None]]) -> Signals | None:
    """`signals` from pairs of the chosen token's log-probability and the best rival's (None: not returned)."""
    if not steps:
        return None
    margins: list[float] = []
    logprobs: list[float] = []
    for chosen, rival in steps:
        p = math.exp(chosen) if chosen < 0 else 1.0
        best = 1.0 - p if rival is None else math.exp(rival) if rival < 0 else 1.0
        margins.append(p - best)
        logprobs.append(chosen)
    return Signals(
        min_margin=min(margins),
        p10_margin=_quantile(sorted(margins), 0.1),
        mean_margin=math.fsum(margins) / len(margins),
        first_margin=margins[0],
        min_logprob=min(logprobs),
        mean_logprob=math.fsum(logprobs) / len(logprobs),
        tokens=len(steps),
    )


def from_openai_logprobs(content: Sequence[Mapping[str, Any]] | None) -> Signals | None:
    """Signals from `choices[0].logprobs.content` of a chat completion; None if absent or empty.

    Takes decoded JSON; with the OpenAI SDK pass `[step.model_dump() for step in content]`.
    """
    return signals([_step(entry) for entry in content]) if content else None


def feature(signals: Signals, name: Feature) -> float:
    """Value of one feature."""
    return math.log(signals.tokens) if name == "length" else float(getattr(signals, name))


def weighted(signals: Signals, weights: Sequence[tuple[Feature, float]]) -> float:
    """The weighted sum of features: the score `combined`."""
    return math.fsum(weight * feature(signals, name) for name, weight in weights)


def _step(entry: Mapping[str, Any]) -> Step:
    chosen = float(entry["logprob"])
    rivals = []
    # top_logprobs includes the chosen token. Different tokens can decode to the same text (halves of a character), so
    # its log-probability must match too, and only one entry is removed.
    removed = False
    for top in entry.get("top_logprobs") or ():
        logprob = float(top["logprob"])
        if not removed and logprob == chosen and top.get("token") == entry.get("token"):
            removed = True
        else:
            rivals.append(logprob)
    return Step(chosen, rivals)


def _quantile(ascending: Sequence[float], q: float) -> float:
    position = q * (len(ascending) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (position - below) * (ascending[above] - ascending[below])
