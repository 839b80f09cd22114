"""The fitted model of one call site, in memory and as files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from traffic.artifacts import write_atomic
from traffic.classifier_model import Encoder, Floats, Head, NgramFeatures, SiteClassifier
from traffic.classifiers import SiteModel


class Ngrams(NamedTuple):
    """Terms and inverse document frequencies of word n-grams, then of character n-grams."""

    terms: Sequence[Sequence[str]]
    idf: Sequence[Floats]

    def vectorizer(self) -> NgramFeatures:
        return NgramFeatures(self.terms, self.idf)


class FittedSite(NamedTuple):
    """The model of one call site."""

    model: SiteModel
    heads: Mapping[str, Head]
    ngrams: Ngrams | None = None
    centroids: Floats | None = None
    metrics: Mapping[str, float] = {}

    def classifier(self, encoder: Encoder | None = None) -> SiteClassifier:
        """The model as evaluation and serving load it."""
        return SiteClassifier(
            self.model,
            self.heads,
            words=self.ngrams.vectorizer() if self.ngrams else None,
            encoder=encoder,
            centroids=self.centroids,
        )

    def write(self, artifact: Path) -> None:
        """Write heads, n-grams and label means to the call site's folder in an artifact."""
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


def _single(array: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(array, dtype=np.float32)
