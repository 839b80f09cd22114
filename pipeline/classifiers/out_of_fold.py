"""Cross-validated label probabilities: logistic regression by SGD on hashed n-grams.

`extract` finds label errors with them. A hundred labels take seconds.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from traffic.classifier_model import CHARACTERS, WORDS

CHARACTER_LIMIT = 8_000_000
"""Maximum total characters with character n-grams, about 20 s of one core. Beyond it words alone: ten times faster, and
little worse on that much text."""
TEXT_LIMIT = 2_000
"""Maximum characters of one text, half of them from its end."""
EPOCHS = 10
WORK = 4_000_000_000
"""Maximum multiplications of all fits of a task, about 20 s of one core; beyond it a sample of the rows is fitted."""


class OutOfFold:
    """Probabilities of rows by models fitted without the row and without its group.

    `fitted`: rows that models are fitted on; the others are only scored, by the mean of all models. Deterministic.
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
        """P(label | text), shape (rows, count); each row sums to 1. Rows with label -1 are only scored."""
        from sklearn.linear_model import SGDClassifier

        probabilities = np.zeros((len(labels), count))
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
                    probabilities[np.ix_(rows, model.classes_)] += model.predict_proba(self._features[rows])
        probabilities[self._fold < 0] /= max(1, models)
        # A fold may lack a label: its probability there is unknown, not 0.
        probabilities = np.clip(probabilities, 1e-6, None)
        return np.asarray(probabilities / probabilities.sum(axis=1, keepdims=True), dtype=np.float64)

    def of_event(self, happened: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        """P(event | text) of a binary event, shape (rows,)."""
        return self.of_labels(happened.astype(np.int64), 2)[:, 1]

    def _folds(self) -> list[int]:
        return sorted(set(self._fold[self._fold >= 0].tolist()))

    def _sample(self, rows: npt.NDArray[np.int64], labels: int) -> npt.NDArray[np.int64]:
        """A random sample of the rows whose fits stay within `WORK`."""
        fitted = self._features[self._fold >= 0]
        per_row = max(1.0, fitted.nnz / fitted.shape[0]) * EPOCHS * len(self._folds())
        limit = max(1_000, int(WORK / (per_row * (labels if labels > 2 else 1))))
        if len(rows) <= limit:
            return rows
        return np.sort(np.random.default_rng(self._seed).choice(rows, limit, replace=False))


def hashed_features(texts: Sequence[str], fitted: Sequence[bool], limit: int = CHARACTER_LIMIT) -> Any:
    """TF-IDF of hashed n-grams, a sparse matrix (rows, 98304), with document frequencies of the fitted rows.

    With more than `limit` characters in the fitted rows, words alone: (rows, 32768).
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
    """Fold of each row: one per group, independent of the order of rows, with equal numbers of groups per fold."""
    names = sorted(set(groups), key=lambda group: hashlib.blake2b(group.encode(), digest_size=8).digest())
    number = {name: index % folds for index, name in enumerate(names)}
    return np.array([number[group] for group in groups], dtype=np.int64)
