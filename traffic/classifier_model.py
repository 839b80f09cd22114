"""Loads a classifier's folder and predicts labels with log-probabilities. No torch, no pickle.

    model = Model(folder)
    model.site("support.intent").answers(["where is my card?"])

ONNX Runtime computes embeddings, scikit-learn TF-IDF of n-grams, the heads are linear. Evaluation and serving use the
same code.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from traffic import answers, classifiers
from traffic.callsites import Checks
from traffic.classifiers import SiteModel
from traffic.errors import InputError, NotFound

Floats = npt.NDArray[np.float64]
WORDS: dict[str, Any] = {"ngram_range": (1, 2)}
CHARACTERS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}
BATCH = 32
MAX_PADDED_RATIO = 1.5
"""Maximum ratio of a batch's tokens with padding to those without. The fastest of 1.1, 1.25, 1.5 and no limit for 8
short messages (docs/LOG.md, 2026-11-29)."""
MIN_PROBABILITY = 1e-12
"""Smallest probability: its logarithm must be finite in JSON."""


class Alternative(NamedTuple):
    """An answer and its log-probability."""

    text: str
    logprob: float


class Answer(NamedTuple):
    """The most probable answer to one text."""

    text: str
    logprob: float
    rivals: tuple[Alternative, ...]
    """The next best answers, best first."""
    distance: float | None
    """Distance from the training data, if the model has a guard."""
    unlike_training: bool


class Encoder:
    """Embeds texts: mean-pooled encoder states of unit length."""

    def __init__(self, folder: Path, *, max_tokens: int, threads: int = 1) -> None:
        """Raises: NotFound, InputError if the files are broken."""
        import onnxruntime
        from tokenizers import Tokenizer

        for name in ("model.onnx", "tokenizer.json"):
            if not (folder / name).is_file():
                raise NotFound(f"no {folder / name}: the classifier's folder is incomplete")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            # A path: given bytes, ONNX Runtime would keep a second copy of the weights.
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # noqa: BLE001 - both libraries raise bare Exceptions
            raise InputError(f"{folder}: {error}") from None
        self._tokenizer.enable_truncation(max_tokens)
        self._tokenizer.no_padding()

    @property
    def width(self) -> int:
        """Number of dimensions of an embedding."""
        width: int = self._session.get_outputs()[0].shape[-1]
        return width

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Shape (texts, width)."""
        rows = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        grouped = batches([len(row) for row in rows])
        parts: list[npt.NDArray[np.float32]] = []
        for batch in grouped:
            width = max(1, *(len(rows[row]) for row in batch))
            ids, mask = np.zeros((len(batch), width), np.int64), np.zeros((len(batch), width), np.int64)
            for index, row in enumerate(batch):
                ids[index, : len(rows[row])] = rows[row]
                mask[index, : len(rows[row])] = 1
            parts.append(self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0])
        if not parts:
            return np.zeros((0, 0), np.float32)
        embedded = np.empty((len(rows), parts[0].shape[1]), np.float32)
        embedded[[row for batch in grouped for row in batch]] = np.concatenate(parts)
        norms = np.maximum(np.linalg.norm(embedded, axis=1, keepdims=True), MIN_PROBABILITY)
        return np.asarray(embedded / norms, dtype=np.float32)


def batches(lengths: Sequence[int]) -> list[list[int]]:
    """Indices of texts with these numbers of tokens, shortest first, in batches of similar length.

    Padding costs as much as text: in one batch of 8 concurrent requests, half of all tokens would be padding.
    """
    groups: list[list[int]] = []
    tokens = 0
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        padded = (len(groups[-1]) + 1) * lengths[row] if groups else 0
        if not groups or len(groups[-1]) == BATCH or padded > MAX_PADDED_RATIO * (tokens + lengths[row]):
            groups.append([])
            tokens = 0
        groups[-1].append(row)
        tokens += lengths[row]
    return groups


class Head(NamedTuple):
    """A linear layer."""

    weight: Floats
    """Shape (labels, features)."""
    bias: Floats

    def logits(self, features: Any) -> Floats:
        """Shape (rows, labels); `features` dense or sparse."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float64)


class NgramFeatures:
    """TF-IDF of word and character n-grams with a fixed vocabulary."""

    def __init__(self, vocabularies: Sequence[Sequence[str]], weights: Sequence[npt.NDArray[np.float64]]) -> None:
        """Terms and inverse document frequencies of words, then of characters."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._parts = []
        for options, terms, idf in zip((WORDS, CHARACTERS), vocabularies, weights, strict=True):
            vectorizer = TfidfVectorizer(
                **options, sublinear_tf=True, vocabulary={term: column for column, term in enumerate(terms)}
            )
            vectorizer.idf_ = idf
            self._parts.append(vectorizer)

    @property
    def width(self) -> int:
        """Number of terms."""
        return sum(len(part.idf_) for part in self._parts)

    def features(self, texts: Sequence[str]) -> Any:
        """Sparse matrix (texts, terms)."""
        from scipy.sparse import hstack

        return hstack([part.transform(texts) for part in self._parts], format="csr")


class SiteClassifier:
    """The loaded model of one call site."""

    def __init__(
        self,
        model: SiteModel,
        heads: Mapping[str, Head],
        *,
        words: NgramFeatures | None = None,
        encoder: Encoder | None = None,
        frozen_encoder: Encoder | None = None,
        centroids: Floats | None = None,
    ) -> None:
        """`centroids`: mean embedding by `encoder` of each label's training rows, of unit length."""
        self.model, self._heads, self._words = model, heads, words
        self._encoder, self._frozen_encoder = encoder, frozen_encoder
        self._centroids = centroids
        self._checks = Checks(labels=model.labels, multiple=model.multiple)

    def log_probabilities(self, texts: Sequence[str]) -> tuple[Floats, Floats | None]:
        """Calibrated log-probabilities (texts, labels), and distances from the training data (texts,)."""
        logits: dict[str, Floats] = {}
        distances = None
        if self._encoder is not None:
            embedded = self._encoder.embed(texts)
            if "embedding" in self._heads:
                logits["embedding"] = self._heads["embedding"].logits(embedded)
            if self._centroids is not None:
                distances = 1.0 - (embedded @ self._centroids.T).max(axis=1)
        if self._frozen_encoder is not None and "frozen_embedding" in self._heads:
            logits["frozen_embedding"] = self._heads["frozen_embedding"].logits(self._frozen_encoder.embed(texts))
        if self._words is not None and "words" in self._heads:
            logits["words"] = self._heads["words"].logits(self._words.features(texts))
        log_probabilities = combined([logits[name] for name in self.model.members], self.model)
        if not np.isfinite(log_probabilities).all():
            raise InputError(f"{self.model.folder}: a log-probability is not a number; train the classifier again")
        return log_probabilities, None if distances is None else np.asarray(distances, dtype=np.float64)

    def answers(self, texts: Sequence[str], rivals: int = 20) -> list[Answer]:
        """The most probable answer to each text, with up to `rivals` next best ones."""
        log_probabilities, distances = self.log_probabilities(texts)
        guard = self.model.guard
        predicted = []
        for row, logprobs in enumerate(log_probabilities):
            ranked = self._ranked_sets(logprobs) if self.model.multiple else self._ranked(logprobs, rivals + 1)
            distance = None if distances is None else float(distances[row])
            unlike = guard is not None and distance is not None and distance > guard.limit
            predicted.append(Answer(*ranked[0], tuple(ranked[1:]), distance, unlike))
        return predicted

    def _ranked(self, logprobs: Floats, count: int) -> list[Alternative]:
        order = np.argsort(-logprobs, kind="stable")[:count]
        return [Alternative(self.model.labels[column], float(logprobs[column])) for column in order]

    def _ranked_sets(self, logprobs: Floats) -> list[Alternative]:
        """The most probable set of independent labels, and the set without (or with) its least certain label."""
        p = np.clip(np.exp(logprobs), MIN_PROBABILITY, 1 - 1e-9)
        chosen = p >= 0.5
        if not chosen.any() and not self.model.empty:
            chosen[int(np.argmax(p))] = True
        sure = np.where(chosen, p, 1 - p)
        total, weakest = float(np.log(sure).sum()), int(np.argmin(sure))
        other = chosen.copy()
        other[weakest] = not other[weakest]
        rival = total - math.log(sure[weakest]) + math.log(1 - sure[weakest])
        return [Alternative(self._joined(chosen), total), Alternative(self._joined(other), rival)]

    def _joined(self, chosen: npt.NDArray[np.bool_]) -> str:
        members = [label for label, has in zip(self.model.labels, chosen, strict=True) if has]
        return answers.joined(members, self._checks)


def combined(logits: Sequence[Floats], model: SiteModel) -> Floats:
    """Log of the members' mean probability, at the model's temperature; shape (rows, labels)."""
    from scipy.special import expit, log_softmax, logit, softmax

    if model.multiple:
        mean = np.clip(np.mean([expit(row) for row in logits], axis=0), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        tempered = np.clip(expit(logit(mean) / model.temperature), MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        return np.asarray(np.log(tempered), dtype=np.float64)
    mean = np.clip(np.mean([softmax(row, axis=1) for row in logits], axis=0), MIN_PROBABILITY, None)
    tempered = log_softmax(np.log(mean) / model.temperature, axis=1)
    return np.asarray(np.maximum(tempered, math.log(MIN_PROBABILITY)), dtype=np.float64)


class Model:
    """A loaded classifier: one model per call site."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Raises: NotFound, ConfigError, InputError for missing or broken files."""
        self.card = classifiers.load(folder)
        encoders: dict[str, Encoder] = {}
        for site in self.card.models.values():
            for name in (site.encoder, site.frozen_encoder):
                if name is not None and name not in encoders:
                    encoders[name] = Encoder(path_inside(folder, name), max_tokens=site.max_tokens, threads=threads)
        self._sites = {
            name: load_site(
                path_inside(folder, site.folder),
                site,
                encoders.get(site.encoder or ""),
                encoders.get(site.frozen_encoder or ""),
            )
            for name, site in self.card.models.items()
        }

    def site(self, call_site: str) -> SiteClassifier:
        """Raises: InputError if the classifier was not trained for the call site."""
        site = self._sites.get(call_site)
        if site is None:
            raise InputError(f"{self.card.name} was not trained for {call_site}, only for {', '.join(self._sites)}")
        return site


def load_site(
    folder: Path, model: SiteModel, encoder: Encoder | None, frozen_encoder: Encoder | None = None
) -> SiteClassifier:
    """Load the heads of one call site. Raises: NotFound, InputError."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / "model.safetensors"
    try:
        tensors = load_file(path)
        heads: dict[str, Head] = {
            # For sparse features: in the other order each answer copies all weights first, 28 MB for 77 labels.
            name: Head(np.asfortranarray(_numbers(tensors[f"{name}.weight"])), _numbers(tensors[f"{name}.bias"]))
            for name in model.members
        }
        words = None
        if "words" in model.members:
            terms = msgspec.json.decode((folder / "vocabulary.json").read_bytes(), type=dict[str, list[str]])
            idf = [_numbers(tensors[f"words.idf.{part}"]) for part in ("words", "characters")]
            words = NgramFeatures([terms["words"], terms["characters"]], idf)
    except FileNotFoundError as error:
        raise NotFound(f"no {error.filename or path}: the classifier's folder is incomplete") from None
    except (SafetensorError, msgspec.DecodeError, KeyError, ValueError) as error:
        raise InputError(f"{folder}: {error!r}; copy or train the classifier again") from None
    if any(head.weight.shape[0] != len(model.labels) for head in heads.values()):
        raise InputError(f"{path}: expected heads with {len(model.labels)} rows, one per label")
    centroids = _numbers(tensors["centroids"]) if "centroids" in tensors else None
    widths = {
        "words": words.width if words else None,
        "embedding": encoder.width if encoder else None,
        "frozen_embedding": frozen_encoder.width if frozen_encoder else None,
    }
    for name, head in heads.items():
        if head.bias.shape != (len(model.labels),) or head.weight.shape[1] != widths[name]:
            raise InputError(f"{folder}: the head on {name} does not fit its features; train the classifier again")
    numbers = [*(part for head in heads.values() for part in head), *([] if centroids is None else [centroids])]
    if not all(np.isfinite(part).all() for part in numbers):
        raise InputError(f"{folder}: a weight is not a number; train the classifier again")
    return SiteClassifier(
        model, heads, words=words, encoder=encoder, frozen_encoder=frozen_encoder, centroids=centroids
    )


def _numbers(array: Any) -> Floats:
    return np.asarray(array, dtype=np.float64)


def path_inside(folder: Path, name: str) -> Path:
    """Path of a name in classifier.yaml. Raises: InputError if it is outside the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{folder / classifiers.FILE}: {name!r} is outside the folder")
    return path
