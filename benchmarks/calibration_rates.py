"""How often a certified threshold meets its error target, on simulated answers with known probabilities.

One sample plans the thresholds, another tests them, as in `pipeline/calibrate/call_site.py` (which also fits
probabilities; they keep the order of the answers, and the simulation provides one). The error among all traffic that is
then kept is known exactly. Items are independent, or come in sessions that are right or wrong together. With
exchangeable traffic, at most `target` of the kept answers may be wrong in 95 of 100 runs. Drift (new kinds of requests
with the same confidence but lower accuracy) breaks the assumption; its effect is reported without a limit.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.gate_rates import at_least
from pipeline import statistics
from pipeline.calibrate import threshold
from pipeline.calibrate.threshold import Choice, Infeasible

CONFIDENCE = 0.95
POPULATION = 200_000
DRIFTS = ((0.05, 0.3), (0.1, 0.3), (0.2, 0.5))
"""Share of new requests, and reduction of their probability of a right answer."""

Choose = Callable[..., Choice | Infeasible]


class Task(NamedTuple):
    name: str
    target: float
    items: int
    """Items of the threshold split; the calibration split has as many."""
    a: float
    b: float
    """Parameters of the beta distribution of the probability of a right answer."""
    session: int = 1
    """Number of items of a session, which have equal confidence and are right or wrong together."""


TASKS = (
    Task("easy", 0.02, 700, 12.0, 0.6),
    Task("easy, many items", 0.02, 3000, 12.0, 0.6),
    Task("medium", 0.05, 700, 5.0, 0.8),
    Task("hard", 0.05, 700, 2.0, 1.0),
    Task("medium, sessions of 3", 0.05, 1500, 5.0, 0.8, session=3),
)


def measure(runs: int, choose: Choose = threshold.choose, tasks: tuple[Task, ...] = TASKS) -> dict[str, Any]:
    rng = np.random.default_rng(statistics.SEED)
    rows = [_task(rng, task, runs, choose) for task in tasks]
    return {"confidence": CONFIDENCE, "runs": runs, "rows": rows}


def _task(rng: np.random.Generator, task: Task, runs: int, choose: Choose) -> dict[str, Any]:
    traffic = _Traffic(rng.beta(task.a, task.b, size=POPULATION), 0.0, 0.0)
    drifted = [_Traffic(traffic.chances, share, loss) for share, loss in DRIFTS]
    errors, escalations, with_drift = [], [], []
    for _ in range(runs):
        choice = _calibrated(rng, task, choose)
        if isinstance(choice, Choice):
            kept, error = traffic.kept(choice.threshold)
            errors.append(error)
            escalations.append(1 - kept)
            with_drift.append([each.kept(choice.threshold)[1] for each in drifted])
    # A run that certifies no threshold keeps no answers and therefore meets the target.
    met = runs - sum(error > task.target for error in errors)
    drift = [
        {
            "new_requests": share,
            "less_right_by": loss,
            "mean_error": float(np.mean([row[index] for row in with_drift])) if with_drift else None,
            "within_target": float(np.mean([row[index] <= task.target for row in with_drift])) if with_drift else None,
        }
        for index, (share, loss) in enumerate(DRIFTS)
    ]
    return {
        "task": task.name,
        "target": task.target,
        "items": task.items,
        "base_error": 1 - task.a / (task.a + task.b),
        "held": met / runs,
        "certified": len(errors) / runs,
        "mean_error": float(np.mean(errors)) if errors else None,
        "mean_escalation": float(np.mean(escalations)) if escalations else None,
        "holds": at_least(met, runs, CONFIDENCE),
        "drift": drift,
    }


def _calibrated(rng: np.random.Generator, task: Task, choose: Choose) -> Choice | Infeasible:
    """One calibration with two samples of the traffic, the first to plan and the second to test."""
    aim = {"target": task.target, "confidence": CONFIDENCE}
    (seen_p, seen), (p, right) = (_sample(rng, task) for _ in range(2))
    impossible = threshold.feasibility(seen_p, seen, items=len(p), **aim)
    if impossible is not None:
        return impossible
    order = threshold.plan(seen_p, seen, items=len(p), **aim)
    clusters = (np.arange(len(p)) // task.session).tolist()
    return choose(p, right, order=order, clusters=clusters, **aim)


def _sample(rng: np.random.Generator, task: Task) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of each answer, and whether it is right."""
    sessions = task.items // task.session
    chances = rng.beta(task.a, task.b, size=sessions)
    right = rng.random(sessions) < chances
    return np.repeat(signal(chances), task.session), np.repeat(right, task.session)


def signal(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """An overconfident score with the same ranking, as of fine-tuned models."""
    return np.sqrt(chances)


class _Traffic:
    """Share kept and error of any threshold, on a very large sample of traffic."""

    def __init__(self, chances: NDArray[np.float64], new: float, loss: float) -> None:
        self.chances = chances
        order = np.argsort(-chances)
        self._descending = signal(chances[order])
        # At each confidence the share `new` of requests is less often right than the confidence suggests.
        wrong = 1 - (1 - new) * chances[order] - new * np.maximum(0.0, chances[order] - loss)
        self._wrong = np.cumsum(wrong)

    def kept(self, cut: float) -> tuple[float, float]:
        """Share of the traffic that is kept, and its error."""
        count = int(np.searchsorted(-self._descending, -cut, side="right"))
        return count / len(self._descending), float(self._wrong[count - 1] / count) if count else 0.0
