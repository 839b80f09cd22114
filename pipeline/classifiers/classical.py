"""The classical classifier: TF-IDF of word and character n-grams, logistic regression, calibrated probabilities.

A small language model that does not beat it has no business case on that call site.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.classifiers import calibration
from traffic.errors import NotEnoughData

WORDS: dict[str, Any] = {"ngram_range": (1, 2)}
CHARACTERS: dict[str, Any] = {"analyzer": "char_wb", "ngram_range": (2, 5)}

VERSION = "tf-idf, logistic regression, temperature"
"""Changes whenever answers could change."""
MIN_CALIBRATION_ROWS = 50
"""With fewer rows, probabilities are not calibrated."""


class Examples(NamedTuple):
    """Labelled texts."""

    texts: Sequence[str]
    labels: Sequence[str]
    weights: Sequence[float] | None = None

    def shortage(self) -> str | None:
        """Why a classifier cannot be fitted on them, in words; None if it can."""
        count = len(set(self.labels))
        if count >= 2:
            return None
        return f"a classifier needs at least 2 labels, its {len(self.labels)} training rows have {count}"


NO_EXAMPLES = Examples((), ())


class Classifier(NamedTuple):
    """A fitted classifier of one call site."""

    pipeline: Any
    """Scikit-learn pipeline from text to label; `classes_` are the labels."""
    temperature: float
    """Divides the log-probabilities; 1 if there were too few rows to calibrate."""

    def probabilities(self, text: str) -> npt.NDArray[np.float64]:
        """P(label | text), shape (labels,), calibrated."""
        log_probabilities = np.asarray(self.pipeline.predict_log_proba([text])[0], dtype=np.float64)
        return calibration.tempered(log_probabilities, self.temperature)


def fit(train: Examples, c: float, *, calibration_set: Examples = NO_EXAMPLES, seed: int = 0) -> Classifier:
    """Fit on `train`, calibrate on `calibration_set` (other, later examples).

    `c`: inverse regularisation strength. Raises: NotEnoughData for fewer than two labels.
    """
    if why := train.shortage():
        raise NotEnoughData(why)
    model = _pipeline(c, seed)
    model.fit(train.texts, train.labels, logisticregression__sample_weight=train.weights)
    if len(calibration_set.texts) < MIN_CALIBRATION_ROWS:
        return Classifier(model, 1.0)
    columns = {label: column for column, label in enumerate(model.classes_)}
    truth = np.array([columns.get(label, -1) for label in calibration_set.labels])
    return Classifier(model, calibration.temperature(model.predict_log_proba(calibration_set.texts), truth))


def _pipeline(c: float, seed: int) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline, make_union

    grams = make_union(TfidfVectorizer(**WORDS, sublinear_tf=True), TfidfVectorizer(**CHARACTERS, sublinear_tf=True))
    return make_pipeline(grams, LogisticRegression(C=c, max_iter=1000, random_state=seed))
