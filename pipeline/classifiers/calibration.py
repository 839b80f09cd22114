"""Calibrated probabilities of a classifier: temperature scaling, losses of averages, calibration error. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.classifier_model import Floats, combined
from traffic.classifiers import Member, SiteModel

MIN_CALIBRATION_ROWS = 50
"""With fewer rows, probabilities are not calibrated."""
TEMPERATURES = (0.05, 20.0)
"""Bounds of the search."""

Members = tuple[Member, ...]


class Score(NamedTuple):
    """Quality of a classifier on labelled rows."""

    loss: float
    """Mean negative log-likelihood at the temperature that fits these rows best."""
    accuracy: float

    def __str__(self) -> str:
        return f"validation loss {self.loss:.3f}, accuracy {self.accuracy:.1%}"


def temperature(log_probabilities: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The temperature at which the probability of the best label matches the accuracy.

    `log_probabilities`: shape (rows, labels), of rows that the model was not fitted on. `truth`: column of the right
    label, -1 for a label that the model does not have (new since training); every answer to such a row is wrong, which
    the likelihood of the right label cannot express. The order of labels does not change.

    Source: Guo et al. (2017), arXiv 1706.04599, with the top-label loss of Gupta and Ramdas (2022), arXiv 2107.08353.
    """
    right = log_probabilities.argmax(axis=1) == truth

    def loss(log_temperature: float) -> float:
        best = np.clip(tempered(log_probabilities, np.exp(log_temperature)).max(axis=1), 1e-12, 1 - 1e-12)
        return float(-np.mean(np.where(right, np.log(best), np.log1p(-best))))

    return _minimised(loss)


def tempered(log_probabilities: Floats, temperature: float) -> Floats:
    """softmax(log_probabilities / temperature) over the last axis."""
    from scipy.special import softmax

    return np.asarray(softmax(log_probabilities / temperature, axis=-1), dtype=np.float64)


def calibration_error(confidence: Floats, right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over equally filled bins: mean |confidence - accuracy|."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(float(confidence[part].mean() - right[part].mean())) for part in parts]
    return sum(gaps) / len(order)


def calibrated(model: SiteModel, logits: Sequence[Floats], truth: npt.NDArray[np.int64]) -> SiteModel:
    """The model with the temperature that fits these rows best; unchanged with too few rows.

    `logits`: of each member (rows, labels); `truth`: as `Targets.of` these rows.
    """
    if len(truth) < MIN_CALIBRATION_ROWS:
        return model
    if model.multiple is None:
        plain = combined(logits, msgspec.structs.replace(model, temperature=1.0))
        return msgspec.structs.replace(model, temperature=temperature(plain, truth))

    def loss(log_temperature: float) -> float:
        candidate = msgspec.structs.replace(model, temperature=float(np.exp(log_temperature)))
        return log_loss(combined(logits, candidate), truth, sets=True)

    return msgspec.structs.replace(model, temperature=_minimised(loss))


def scores(
    choices: Sequence[Members], logits: Mapping[Member, Floats], truth: npt.NDArray[np.int64], model: SiteModel
) -> dict[Members, Score]:
    """Score of the average of each choice of members. `logits`, `truth`: of the same rows, at least one."""
    results = {}
    sets = model.multiple is not None
    for members in choices:
        rows = [logits[name] for name in members]
        log_probabilities = combined(rows, calibrated(msgspec.structs.replace(model, members=members), rows, truth))
        if sets:
            right = ((log_probabilities > np.log(0.5)) == (truth == 1)).all(axis=1)
        else:
            right = log_probabilities.argmax(axis=1) == truth
        loss = log_loss(log_probabilities, truth, sets=sets)
        results[members] = Score(round(loss, 4), round(float(right.mean()), 4))
    return results


def best(scored: Mapping[Members, Score]) -> Members:
    """The members with the least loss; of equals the first."""
    return min(scored, key=lambda members: scored[members].loss)


def metrics(scored: Mapping[Members, Score]) -> dict[str, float]:
    """Losses and accuracies by name, as the classifier's metrics have them."""
    return {
        f"validation_{name}_{'_'.join(members)}": value
        for members, score in scored.items()
        for name, value in score._asdict().items()
    }


def log_loss(log_probabilities: Floats, truth: npt.NDArray[np.int64], *, sets: bool) -> float:
    """Mean negative log-likelihood; a row whose label the model does not have counts as one of probability 1e-6."""
    if sets:
        p = np.clip(np.exp(log_probabilities), 1e-6, 1 - 1e-6)
        return float(-np.mean(np.where(truth == 1, np.log(p), np.log1p(-p)).sum(axis=1)))
    of_truth = np.where(truth >= 0, log_probabilities[np.arange(len(truth)), truth], np.log(1e-6))
    return float(-np.mean(np.maximum(of_truth, np.log(1e-6))))


def _minimised(loss: Callable[[float], float]) -> float:
    """The temperature at which a loss of its logarithm is least."""
    from scipy.optimize import minimize_scalar

    low, high = np.log(TEMPERATURES)
    minimum = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(minimum.x))
