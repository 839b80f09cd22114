"""A fitted model of one call site, in memory and as files; the guard's distances."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.artifacts import write_atomic
from traffic.classifier_model import Encoder, Floats, Head, SiteClassifier, Words
from traffic.classifiers import Guard, SiteModel

MIN_GUARD_ROWS = 50
"""With fewer calibration rows a share of false alarms cannot be stated."""


class Ngrams(NamedTuple):
    """Terms and inverse document frequencies of n-grams: of words, then of characters."""

    terms: Sequence[Sequence[str]]
    idf: Sequence[Floats]

    def vectorizer(self) -> Words:
        return Words(self.terms, self.idf)


class FittedSite(NamedTuple):
    """The model of one call site."""

    model: SiteModel
    heads: Mapping[str, Head]
    ngrams: Ngrams | None = None
    centroids: Floats | None = None
    metrics: Mapping[str, float] = {}

    def classifier(self, encoder: Encoder | None = None) -> SiteClassifier:
        """Ready to answer."""
        return SiteClassifier(
            self.model,
            self.heads,
            words=self.ngrams.vectorizer() if self.ngrams else None,
            encoder=encoder,
            centroids=self.centroids,
        )

    def write(self, artifact: Path) -> None:
        """Write the heads into the site's folder of an artifact."""
        from safetensors.numpy import save_file

        folder = artifact / self.model.folder
        folder.mkdir(parents=True, exist_ok=True)
        tensors: dict[str, npt.NDArray[np.float32]] = {}
        for name, head in sorted(self.heads.items()):
            tensors[f"{name}.weight"], tensors[f"{name}.bias"] = _single(head.weight), _single(head.bias)
        if self.ngrams is not None:
            for part, idf in zip(("words", "characters"), self.ngrams.idf, strict=True):
                tensors[f"words.idf.{part}"] = _single(idf)
            terms = dict(zip(("words", "characters"), self.ngrams.terms, strict=True))
            write_atomic(folder / "vocabulary.json", msgspec.json.encode(terms))
        if self.centroids is not None:
            tensors["centroids"] = _single(self.centroids)
        save_file(tensors, folder / "model.safetensors")


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


def _single(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32)
