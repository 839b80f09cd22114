"""Calibrated probabilities of a classifier: temperature scaling and its error. Pure."""

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.classifier_model import combined
from traffic.classifiers import Guard, SiteModel

MIN_CALIBRATION_ROWS = 50
"""With fewer rows, probabilities are not calibrated."""


def temperature(log_probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """The temperature at which the probability of the best label matches the accuracy.

    `log_probabilities`: shape (rows, labels), of rows that the model was not fitted on. `truth`: column of the right
    label, -1 for a label that the model does not have (new since training); every answer to such a row is wrong, which
    the likelihood of the right label cannot express. The order of labels does not change.

    Source: Guo et al. (2017), arXiv 1706.04599, with the top-label loss of Gupta and Ramdas (2022), arXiv 2107.08353.
    """
    from scipy.optimize import minimize_scalar

    right = log_probabilities.argmax(axis=1) == truth

    def loss(log_temperature: float) -> float:
        best = np.clip(tempered(log_probabilities, np.exp(log_temperature)).max(axis=1), 1e-12, 1 - 1e-12)
        return float(-np.mean(np.where(right, np.log(best), np.log1p(-best))))

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def tempered(log_probabilities: npt.NDArray[np.float64], temperature: float) -> npt.NDArray[np.float64]:
    """softmax(log_probabilities / temperature) over the last axis."""
    from scipy.special import softmax

    return np.asarray(softmax(log_probabilities / temperature, axis=-1), dtype=np.float64)


def calibration_error(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over equally filled bins: mean |confidence - accuracy|."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(float(confidence[part].mean() - right[part].mean())) for part in parts]
    return sum(gaps) / len(order)


def calibrated(model: SiteModel, logits: Sequence[npt.NDArray[np.float64]], truth: npt.NDArray[np.int64]) -> SiteModel:
    """The model with the temperature that fits these rows best; as it is where there are too few.

    `logits`: of each member (rows, labels); `truth`: as `Targets.of` these rows.
    """
    if len(truth) < MIN_CALIBRATION_ROWS:
        return model
    plain = combined(logits, msgspec.structs.replace(model, temperature=1.0))
    if model.multiple is None:
        return msgspec.structs.replace(model, temperature=temperature(plain, truth))
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        tried = msgspec.structs.replace(model, temperature=float(np.exp(log_temperature)))
        return log_loss(combined(logits, tried), truth, sets=True)

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded", options={"xatol": 1e-4})
    return msgspec.structs.replace(model, temperature=float(np.exp(found.x)))


def guarded(model: SiteModel, guard: Guard | None) -> SiteModel:
    """The model with a guard against texts unlike its training data."""
    return msgspec.structs.replace(model, guard=guard)


def log_loss(log_probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64], *, sets: bool) -> float:
    """Mean negative log-likelihood; a row whose label the model does not have counts as one of probability 1e-6."""
    if sets:
        p = np.clip(np.exp(log_probabilities), 1e-6, 1 - 1e-6)
        return float(-np.mean(np.where(truth == 1, np.log(p), np.log1p(-p)).sum(axis=1)))
    own = np.where(truth >= 0, log_probabilities[np.arange(len(truth)), truth], np.log(1e-6))
    return float(-np.mean(np.maximum(own, np.log(1e-6))))


def log_probabilities(logits: Sequence[npt.NDArray[np.float64]], model: SiteModel) -> npt.NDArray[np.float64]:
    """Log-probabilities of the members' average (rows, labels)."""
    return combined(logits, model)
