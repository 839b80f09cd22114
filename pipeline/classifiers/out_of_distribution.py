"""Requests unlike the training data: the distance to the nearest label, and its limit for a rate of false alarms."""

import numpy as np
import numpy.typing as npt

from traffic.classifier_model import Floats
from traffic.classifiers import Guard

MIN_GUARD_ROWS = 50
"""With fewer calibration rows a share of false alarms cannot be stated."""


def guard_of(
    train: Floats, truth: npt.NDArray[np.int64], calibration: Floats | None, false_alarms: float
) -> tuple[Floats | None, Guard | None]:
    """Mean embeddings of the labels (labels, width), and the limit that `false_alarms` of the calibration rows exceed.

    `truth`: as `Targets.of` the training rows. None with too few calibration rows.
    """
    if calibration is None or len(calibration) < MIN_GUARD_ROWS:
        return None, None
    columns = truth.shape[1] if truth.ndim == 2 else int(truth.max()) + 1
    means = []
    for column in range(columns):
        rows = train[truth[:, column] == 1 if truth.ndim == 2 else truth == column]
        if len(rows):
            mean = rows.mean(axis=0)
            means.append(mean / max(float(np.linalg.norm(mean)), 1e-12))
    centroids = np.stack(means).astype(np.float32).astype(np.float64)
    distances = 1.0 - (calibration @ centroids.T).max(axis=1)
    limit = float(np.quantile(distances, 1 - false_alarms, method="higher"))
    beyond = float(np.mean(distances > limit))
    return centroids, Guard(limit=limit, false_alarms=round(beyond, 4), rows=len(distances))
