"""Confidence signals of an answer, from the log-probabilities of its tokens, and what they say: is it right?

Minimum, 10th percentile and mean of the margin between the chosen token and its best rival, in
probability: sums and means of log-probabilities fall with the length of an answer, quantiles and
margins do not (Gupta et al., arXiv 2404.10136; the mean margin is the signal of arXiv 2605.18796).

A calibration (`traffic/calibrations.py`) turns signals into the probability that the answer is right. The router
does that for each answer, so it is plain arithmetic here: a weighted sum, and a curve through a few knots.
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
    """10th percentile, interpolated linearly."""
    mean_margin: float
    first_margin: float
    min_logprob: float
    mean_logprob: float
    tokens: int
    """Steps that were looked at, an end-of-turn token included where the server returns it."""


class Isotonic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="isotonic"):
    """A rising curve from scores to probabilities: straight lines between knots, level outside of them."""

    scores: tuple[float, ...]
    """Ascending."""
    probabilities: tuple[float, ...]
    """At the scores; ascending."""

    def __post_init__(self) -> None:
        if not self.scores or len(self.scores) != len(self.probabilities):
            raise ValueError(f"{len(self.scores)} scores and {len(self.probabilities)} probabilities make no curve")
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
        # exp() of more than 709 overflows; at 700 the curve has long reached its end.
        return 1 / (1 + math.exp(max(-700.0, min(700.0, -(self.slope * score + self.intercept)))))


Curve = Isotonic | Platt


class Threshold(msgspec.Struct, frozen=True):
    """Answers whose value is lower escalate: a signal as it is, or the probability that a curve makes of it."""

    signal: str
    """One of `Signal`, or `combined`: the weighted sum."""
    threshold: float
    weights: tuple[tuple[Feature, float], ...] = ()
    curve: Curve | None = None

    def value(self, signals: Signals) -> float:
        """What is compared with the threshold."""
        score = weighted(signals, self.weights) if self.weights else float(getattr(signals, self.signal))
        return score if self.curve is None else self.curve.probability(score)

    @property
    def measure(self) -> str:
        """What the value is, in a word."""
        return self.signal if self.curve is None else "p(right)"


class Step(NamedTuple):
    """One generated token: its log-probability, and those of other tokens at its place (any order)."""

    logprob: float
    rivals: Sequence[float]


def signals(steps: Sequence[Step]) -> Signals | None:
    """Signals over the steps of an answer; None if there are none.

    The margin is p(chosen) - p(best rival): with greedy decoding that is p1 - p2. It is negative
    where sampling or a grammar took a token that the model itself liked less. Where no rival was
    returned it is 2·p(chosen) - 1, the least it can be, as a rival has at most the rest.

    Every step counts, the end-of-turn token too: where one label is the beginning of another, that
    token is the decision. vLLM returns its step and OpenAI does not, so calibrate on the server
    that serves.
    """
    return of_best_rivals([(step.logprob, max(step.rivals, default=None)) for step in steps])


def of_best_rivals(steps: Sequence[tuple[float, float | None]]) -> Signals | None:
    """`signals` of steps that are a token's log-probability and the highest of the others at its place."""
    if not steps:
        return None
    margins = [_margin(chosen, rival) for chosen, rival in steps]
    logprobs = [chosen for chosen, _ in steps]
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
    """One of the numbers that scores are made of."""
    return math.log(signals.tokens) if name == "length" else float(getattr(signals, name))


def weighted(signals: Signals, weights: Sequence[tuple[Feature, float]]) -> float:
    """The weighted sum of features: the score `combined`."""
    return math.fsum(weight * feature(signals, name) for name, weight in weights)


def _step(entry: Mapping[str, Any]) -> Step:
    chosen = float(entry["logprob"])
    rivals = []
    # The chosen token is listed among the top ones. Different tokens can decode to the same text
    # (halves of a character), so its log-probability has to agree too, and only one is taken out.
    found = False
    for top in entry.get("top_logprobs") or ():
        logprob = float(top["logprob"])
        if not found and logprob == chosen and top.get("token") == entry.get("token"):
            found = True
        else:
            rivals.append(logprob)
    return Step(chosen, rivals)


def _margin(logprob: float, rival_logprob: float | None) -> float:
    chosen = math.exp(logprob) if logprob < 0 else 1.0
    if rival_logprob is None:
        return chosen - (1.0 - chosen)
    return chosen - (math.exp(rival_logprob) if rival_logprob < 0 else 1.0)


def _quantile(ascending: Sequence[float], q: float) -> float:
    place = q * (len(ascending) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])
