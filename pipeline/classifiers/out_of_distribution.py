"""Guard against requests unlike the training data: limits the distance to the nearest label mean."""

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.classifier_model import Floats
from traffic.classifiers import Guard, SiteModel

MIN_GUARD_ROWS = 50
"""With fewer calibration rows a false-alarm rate cannot be stated."""


def fit_guard(
    model: SiteModel, train: Floats, truth: npt.NDArray[np.int64], calibration: Floats | None, false_alarms: float
) -> tuple[SiteModel, Floats | None]:
    """The model with a guard, and the mean embedding of each label (labels, width).

    `train`, `calibration`: embeddings (rows, width). `truth`: as `Targets.of` the training rows. `false_alarms`: share
    of the calibration rows beyond the limit. No guard and None for a share of 0 or with too few calibration rows.
    """
    if not false_alarms or calibration is None or len(calibration) < MIN_GUARD_ROWS:
        return model, None
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
    guard = Guard(limit=limit, false_alarms=round(beyond, 4), rows=len(distances))
    return msgspec.structs.replace(model, guard=guard), centroids
