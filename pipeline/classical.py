"""The classical model of a text: word and character n-grams into logistic regression.

Two parts of the pipeline use it: `evaluate` as a candidate, which a small language model has to beat, and
`extract` to find labels that do not fit their text. The second one wants probabilities of rows that a
model has not been fitted on, for a hundred labels in seconds: hashed features and stochastic gradient descent.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

WORDS: dict[str, Any] = {"ngram_range": (1, 2)}
CHARACTERS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}

CHARACTER_LIMIT = 8_000_000
"""Characters of all texts together up to which character n-grams are used: about 20 s of one core. Words alone are ten
times as fast, and in texts so long or so many they lose little."""
TEXT_LIMIT = 2_000
"""Characters of one text that hashed features look at, half of them from its end."""
EPOCHS = 10
WORK = 4_000_000_000
"""Multiplications that the fits of one task may take, about 20 s of a core; past it, a sample of the rows is fitted."""


def slot_text(prompt: Iterable[Mapping[str, Any]]) -> str:
    """What varies in the request: the pruned prompt without its system message."""
    return "\n".join(str(message["content"]) for message in prompt if message["role"] != "system")


def pipeline(c: float, seed: int = 0) -> Any:
    """An unfitted scikit-learn pipeline from text to label, with the whole vocabulary of its rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    grams = make_union(TfidfVectorizer(**WORDS, sublinear_tf=True), TfidfVectorizer(**CHARACTERS, sublinear_tf=True))
    return make_pipeline(grams, LogisticRegression(C=c, max_iter=1000, random_state=seed))


class OutOfFold:
    """Probabilities for rows by models that saw neither the row nor any of its group.

    `fitted` says which rows models are fitted on; the others are scored by the mean of all models, so
    that they have no say in what is found about the fitted ones. The same input gives the same numbers.
    """

    def __init__(
        self, texts: Sequence[str], groups: Sequence[str], fitted: Sequence[bool], *, folds: int, seed: int = 0
    ) -> None:
        self._features = hashed_features(texts, fitted)
        used = np.flatnonzero(np.array(fitted, dtype=bool))
        self._fold = np.full(len(texts), -1, dtype=np.int64)
        self._fold[used] = fold_numbers([groups[row] for row in used], folds)
        self._seed = seed

    def of_labels(self, labels: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
        """P(label | text), shape (rows, count), rows adding up to 1. Rows of label -1 are scored, not fitted."""
        from sklearn.linear_model import SGDClassifier

        found = np.zeros((len(labels), count))
        models = 0
        for fold in self._folds():
            train = self._sample(np.flatnonzero((self._fold >= 0) & (self._fold != fold) & (labels >= 0)), count)
            if len(np.unique(labels[train])) < 2:
                continue
            model = SGDClassifier(
                loss="log_loss", alpha=1e-4, max_iter=EPOCHS, tol=None, random_state=self._seed, n_jobs=2
            )
            model.fit(self._features[train], labels[train])
            models += 1
            own, others = np.flatnonzero(self._fold == fold), np.flatnonzero(self._fold < 0)
            for rows in (own, others):
                if len(rows):
                    found[np.ix_(rows, model.classes_)] += model.predict_proba(self._features[rows])
        found[self._fold < 0] /= max(1, models)
        # A fold may lack a label: its probability there is not 0, it is not known.
        found = np.clip(found, 1e-6, None)
        return np.asarray(found / found.sum(axis=1, keepdims=True), dtype=np.float64)

    def of_event(self, happened: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """P(event | text) of something that is true or false of each row, shape (rows,)."""
        return self.of_labels(happened.astype(np.int64), 2)[:, 1]

    def _folds(self) -> list[int]:
        return sorted(set(self._fold[self._fold >= 0].tolist()))

    def _sample(self, rows: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int64]:
        """As many of the rows as may be fitted within `WORK`."""
        fitted = self._features[self._fold >= 0]
        per_row = max(1.0, fitted.nnz / fitted.shape[0]) * EPOCHS * len(self._folds())
        limit = max(1_000, int(WORK / (per_row * (labels if labels > 2 else 1))))
        if len(rows) <= limit:
            return rows
        return np.sort(np.random.default_rng(self._seed).choice(rows, limit, replace=False))


def hashed_features(texts: Sequence[str], fitted: Sequence[bool], limit: int = CHARACTER_LIMIT) -> Any:
    """TF-IDF of hashed n-grams as a sparse matrix (rows, 98304); document frequencies are those of the fitted rows.

    With more than `limit` characters in the fitted rows, of words alone: (rows, 32768).
    """
    from scipy.sparse import hstack
    from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer

    cut = [t if len(t) <= TEXT_LIMIT else f"{t[: TEXT_LIMIT // 2]} {t[-TEXT_LIMIT // 2 :]}" for t in texts]
    kinds = [(WORDS, 2**15)]
    rows = np.flatnonzero(np.array(fitted, dtype=bool))
    if sum(len(cut[row]) for row in rows) <= limit:
        kinds.append((CHARACTERS, 2**16))
    parts = []
    for kind, size in kinds:
        counts = HashingVectorizer(**kind, n_features=size, alternate_sign=False, norm=None).transform(cut)
        parts.append(TfidfTransformer(sublinear_tf=True).fit(counts[rows]).transform(counts))
    return hstack(parts, format="csr")


def fold_numbers(groups: Sequence[str], folds: int) -> npt.NDArray[np.int64]:
    """A fold per row, the same for a whole group, whatever the order of rows; folds hold equally many groups."""
    names = sorted(set(groups), key=lambda group: hashlib.blake2b(group.encode(), digest_size=8).digest())
    number = {name: place % folds for place, name in enumerate(names)}
    return np.array([number[group] for group in groups], dtype=np.int64)


def temperature(log_probabilities: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]) -> float:
    """The temperature with which the probability of the best label is that of being right.

    `log_probabilities`, shape (rows, labels), of rows that the model was not fitted on; `truth`: the right label's
    column, -1 where the model does not have it (a label that came up later): there every answer is wrong, which the
    usual likelihood of the right label could not say. Dividing the log-probabilities by it leaves the order of labels
    as it is.

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
    """Probabilities, rows adding up to 1, of log-probabilities divided by a temperature."""
    scaled = log_probabilities / temperature
    grown = np.exp(scaled - scaled.max(axis=-1, keepdims=True))
    return np.asarray(grown / grown.sum(axis=-1, keepdims=True), dtype=np.float64)


def calibration_error(confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error over bins of equally many items: mean |confidence - share that is right|."""
    order = np.argsort(confidence, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    gaps = [len(part) * abs(float(confidence[part].mean() - right[part].mean())) for part in parts]
    return sum(gaps) / len(order)
