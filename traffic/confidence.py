"""Confidence signals of an answer, from the log-probabilities of its tokens.

Minimum, 10th percentile and mean of the margin between the chosen token and its best rival, in
probability: sums and means of log-probabilities fall with the length of an answer, quantiles and
margins do not (Gupta et al., arXiv 2404.10136; the mean margin is the signal of arXiv 2605.18796).
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec


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
    if not steps:
        return None
    margins = [_margin(step) for step in steps]
    logprobs = [step.logprob for step in steps]
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


def _margin(step: Step) -> float:
    chosen = min(1.0, math.exp(step.logprob))
    rival = min(1.0, math.exp(max(step.rivals))) if step.rivals else 1.0 - chosen
    return chosen - rival


def _quantile(ascending: Sequence[float], q: float) -> float:
    place = q * (len(ascending) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (place - below) * (ascending[above] - ascending[below])
