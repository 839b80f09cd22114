"""Fits linear heads by logistic regression; applying them needs no scikit-learn."""

from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.classifiers.examples import Targets
from traffic.classifier_model import Floats, Head

CONSTANT_LOGIT = 10.0
"""Logit of a label that all rows have; its negative, of a label that no row has."""


def fit(features: Any, truth: npt.NDArray[np.int64], targets: Targets, c: float, weights: Any, seed: int) -> Head:
    """A head for all labels. `features`: (rows, width), dense or sparse; `c`: inverse regularisation strength."""
    if not targets.sets:
        return _softmax(features, truth, len(targets.labels), c, weights, seed)
    heads = [_sigmoid(features, truth[:, column], c, weights, seed) for column in range(len(targets.labels))]
    return rounded(Head(np.stack([weight for weight, _ in heads]), np.array([bias for _, bias in heads])))


def rounded(head: Head) -> Head:
    """The head in the precision of its file."""
    return Head(head.weight.astype(np.float32).astype(np.float64), head.bias.astype(np.float32).astype(np.float64))


def _softmax(features: Any, truth: npt.NDArray[np.int64], labels: int, c: float, weights: Any, seed: int) -> Head:
    model = _regression(c, seed).fit(features, truth, sample_weight=weights)
    weight, bias = np.asarray(model.coef_), np.asarray(model.intercept_)
    if weight.shape[0] == 1 and len(model.classes_) == 2:
        # For two labels scikit-learn keeps the difference of the logits only.
        weight, bias = np.vstack([-weight / 2, weight / 2]), np.array([-bias[0] / 2, bias[0] / 2])
    # Labels that occur only in the validation split have no fitted weights and are never the answer.
    all_weights, all_biases = np.zeros((labels, weight.shape[1])), np.full(labels, -1e3)
    all_weights[model.classes_], all_biases[model.classes_] = weight, bias
    return rounded(Head(all_weights, all_biases))


def _sigmoid(features: Any, truth: npt.NDArray[np.int64], c: float, weights: Any, seed: int) -> tuple[Floats, float]:
    if len(np.unique(truth)) < 2:
        always = bool(len(truth) and truth[0])
        return np.zeros(features.shape[1]), CONSTANT_LOGIT if always else -CONSTANT_LOGIT
    model = _regression(c, seed).fit(features, truth, sample_weight=weights)
    return np.asarray(model.coef_[0]), float(model.intercept_[0])


def _regression(c: float, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=c, max_iter=1000, random_state=seed)
