"""Calibrated probabilities of a classifier: temperature scaling and its error. Pure."""

import numpy as np
import numpy.typing as npt


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
