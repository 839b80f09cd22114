"""The classical classifier: logistic regression on n-grams, on embeddings of a pretrained encoder, and their average.

The best of the three on the validation split is *the* classical model. A language model that does not beat it has no
business case on that call site.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline.classifiers import calibration, heads
from pipeline.classifiers.calibration import Members, Score
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData, Targets
from pipeline.classifiers.fitted import FittedSite, Ngrams
from pipeline.classifiers.out_of_distribution import fit_guard
from traffic.classifier_model import CHARACTERS, WORDS, Encoder, Floats, Head
from traffic.classifiers import Member, SiteModel
from traffic.errors import NotEnoughData

MIN_VALIDATION_ROWS = 30
"""With fewer rows no members are chosen: the average of all answers."""
MAX_WEIGHTS = 6_000_000
"""Of the head on n-grams, labels times terms. Fitting takes 200 bytes for each (L-BFGS keeps 20 copies)."""
ENCODER_FOLDER = "encoder"
"""Of the pretrained encoder in an artifact."""


class _Features(NamedTuple):
    """Texts as the members read them."""

    texts: Sequence[str]
    embedded: Floats | None


class _FittedMember(NamedTuple):
    """One member of the average."""

    head: Head
    ngrams: Ngrams | None = None

    def logits(self, rows: _Features) -> Floats:
        """Shape (rows, labels)."""
        if not rows.texts:
            return np.zeros((0, len(self.head.bias)))
        features = rows.embedded if self.ngrams is None else self.ngrams.vectorizer().features(rows.texts)
        return self.head.logits(features)


def fit(data: SiteData, settings: ClassicalFit, *, folder: str, encoder: Encoder | None = None) -> FittedSite:
    """Fit on train and validation, choose members on validation, calibrate on calibration.

    `folder`: of the call site in the artifact. Raises: NotEnoughData for fewer than two labels.
    """
    training = data.train + data.validation
    if shortage := training.shortage():
        raise NotEnoughData(shortage)
    targets = data.targets()
    train, validation, later = (_features(part, encoder) for part in (data.train, data.validation, data.calibration))
    scored = _scores(data, targets, settings, train, validation)
    chosen = calibration.best(scored) if scored else _all_members(train)
    joined = _joined(train, validation)
    members = {name: _fit_member(name, joined, training, targets, settings) for name in chosen}
    model = SiteModel(
        folder=folder,
        labels=targets.labels,
        members=chosen,
        encoder=ENCODER_FOLDER if "embedding" in chosen else None,
        max_tokens=settings.max_tokens,
        multiple=data.checks.multiple,
        empty=data.has_empty_sets,
    )
    logits = [member.logits(later) for member in members.values()]
    model = calibration.calibrated(model, logits, targets.of(data.calibration))
    centroids = None
    if model.encoder is not None and joined.embedded is not None:
        truth = targets.of(training)
        model, centroids = fit_guard(model, joined.embedded, truth, later.embedded, settings.false_alarms)
    return FittedSite(
        model=model,
        heads={name: member.head for name, member in members.items()},
        ngrams=members["words"].ngrams if "words" in members else None,
        centroids=centroids,
        metrics=calibration.metrics(scored),
    )


def _features(examples: Examples, encoder: Encoder | None) -> _Features:
    embedded = encoder.embed(examples.texts) if encoder is not None and examples.texts else None
    return _Features(examples.texts, None if embedded is None else embedded.astype(np.float64))


def _joined(first: _Features, second: _Features) -> _Features:
    embedded = [part.embedded for part in (first, second) if part.embedded is not None]
    return _Features([*first.texts, *second.texts], np.concatenate(embedded) if embedded else None)


def _all_members(train: _Features) -> Members:
    return ("words", "embedding") if train.embedded is not None else ("words",)


def _fit_member(
    name: Member, rows: _Features, examples: Examples, targets: Targets, settings: ClassicalFit
) -> _FittedMember:
    if name == "embedding":
        assert rows.embedded is not None
        truth, c = targets.of(examples), settings.embedding_c
        return _FittedMember(heads.fit(rows.embedded, truth, targets, c, examples.weights, settings.seed))
    ngrams, head = fit_words(examples, targets, settings.c, settings.seed)
    return _FittedMember(head, ngrams)


def fit_words(examples: Examples, targets: Targets, c: float, seed: int) -> tuple[Ngrams, Head]:
    """A linear model on word and character n-grams. `c`: inverse regularisation strength."""
    ngrams, features = _ngrams(examples.texts, max(2, MAX_WEIGHTS // len(targets.labels)))
    return ngrams, heads.fit(features, targets.of(examples), targets, c, examples.weights, seed)


def _ngrams(texts: Sequence[str], limit: int) -> tuple[Ngrams, Any]:
    """The n-grams of these texts, at most the `limit` most frequent ones, and their features."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    parts = [TfidfVectorizer(**options, sublinear_tf=True, max_features=limit // 2) for options in (WORDS, CHARACTERS)]
    for part in parts:
        try:
            part.fit(texts)
        except ValueError:
            # Texts without a word: one term that no text has.
            part.set_params(vocabulary={"\0": 0}).fit(["\0"])
            part.idf_ = np.ones(1)
    ngrams = Ngrams([part.get_feature_names_out().tolist() for part in parts], [part.idf_ for part in parts])
    return ngrams, ngrams.vectorizer().features(texts)


def _scores(
    data: SiteData, targets: Targets, settings: ClassicalFit, train: _Features, validation: _Features
) -> dict[Members, Score]:
    """Validation scores of the members and of their average; empty where nothing can be chosen."""
    average = _all_members(train)
    truth = targets.of(data.validation)
    if len(average) == 1 or len(truth) < MIN_VALIDATION_ROWS or data.train.shortage():
        return {}
    logits = {name: _fit_member(name, train, data.train, targets, settings).logits(validation) for name in average}
    model = SiteModel(folder="", labels=targets.labels, members=average, multiple=data.checks.multiple)
    # The average first: of equals it is the safest.
    return calibration.scores([average, *((name,) for name in average)], logits, truth, model)
