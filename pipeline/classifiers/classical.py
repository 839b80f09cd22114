"""The classical classifier: logistic regression on n-grams, on embeddings of a pretrained encoder, and their average.

The best of the three on the validation split is *the* classical model. A language model that does not beat it has no
business case on that call site.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipeline.classifiers import calibration, heads
from pipeline.classifiers.config import ClassicalFit
from pipeline.classifiers.examples import Examples, SiteData, Targets
from pipeline.classifiers.fitted import FittedSite, Ngrams
from pipeline.classifiers.out_of_distribution import guard_of
from traffic.classifier_model import CHARACTERS, WORDS, Encoder, Floats, Head, combined
from traffic.classifiers import Member, SiteModel
from traffic.errors import NotEnoughData

VERSION = "n-grams, frozen embeddings, logistic regression, temperature"
"""Changes whenever answers could change."""
MIN_VALIDATION_ROWS = 30
"""With fewer rows nothing is chosen: the average of all members answers."""
MAX_WEIGHTS = 6_000_000
"""Of the head on n-grams, labels times terms. Fitting takes 200 bytes for each (L-BFGS keeps 20 copies)."""
ENCODER_FOLDER = "encoder"


class _Features(NamedTuple):
    """The texts of some examples, as the members see them."""

    texts: Sequence[str]
    embedded: Floats | None


def fit(data: SiteData, settings: ClassicalFit, *, folder: str, encoder: Encoder | None = None) -> FittedSite:
    """Fit on train and validation, choose members on validation, calibrate on calibration.

    `folder`: of the call site in the artifact. Raises: NotEnoughData for fewer than two labels.
    """
    both = data.train + data.validation
    if why := both.shortage():
        raise NotEnoughData(why)
    targets = data.targets()
    parts = [_features(each, encoder) for each in (data.train, data.validation, data.calibration)]
    chosen, losses = _choose(data, targets, settings, parts[0], parts[1])
    joined = _joined(parts[0], parts[1])
    members = {name: _fit_member(name, joined, both, targets, settings) for name in chosen}
    model = SiteModel(
        folder=folder,
        labels=targets.labels,
        members=chosen,
        encoder=ENCODER_FOLDER if "embedding" in chosen else None,
        max_tokens=settings.max_tokens,
        multiple=data.checks.multiple,
        empty=data.has_empty_sets,
    )
    logits = [_logits(member, parts[2]) for member in members.values()]
    model = calibration.calibrated(model, logits, targets.of(data.calibration))
    centroids = None
    if model.encoder is not None and joined.embedded is not None and settings.false_alarms:
        centroids, guard = guard_of(joined.embedded, targets.of(both), parts[2].embedded, settings.false_alarms)
        model = calibration.guarded(model, guard)
    return FittedSite(
        model=model,
        heads={name: member.head for name, member in members.items()},
        ngrams=members["words"].ngrams if "words" in members else None,
        centroids=centroids,
        metrics=losses,
    )


class _Fitted(NamedTuple):
    name: Member
    head: Head
    ngrams: Ngrams | None = None


def _features(examples: Examples, encoder: Encoder | None) -> _Features:
    embedded = encoder.embed(examples.texts) if encoder is not None and examples.texts else None
    return _Features(examples.texts, None if embedded is None else embedded.astype(np.float64))


def _joined(first: _Features, second: _Features) -> _Features:
    both = [each.embedded for each in (first, second) if each.embedded is not None]
    return _Features([*first.texts, *second.texts], np.concatenate(both) if both else None)


def _fit_member(name: Member, rows: _Features, examples: Examples, targets: Targets, settings: ClassicalFit) -> _Fitted:
    truth, weights = targets.of(examples), examples.weights
    if name == "embedding":
        assert rows.embedded is not None
        head = heads.fit(rows.embedded, truth, targets, settings.embedding_c, weights, settings.seed)
        return _Fitted(name, head)
    ngrams, head = fit_words(examples, targets, settings.c, settings.seed)
    return _Fitted(name, head, ngrams)


def fit_words(examples: Examples, targets: Targets, c: float, seed: int) -> tuple[Ngrams, Head]:
    """A linear model on word and character n-grams. `c`: inverse regularisation strength."""
    ngrams, features = _ngrams(examples.texts, max(2, MAX_WEIGHTS // len(targets.labels)))
    return ngrams, heads.fit(features, targets.of(examples), targets, c, examples.weights, seed)


def _ngrams(texts: Sequence[str], limit: int) -> tuple[Ngrams, Any]:
    """The n-grams of these texts, no more than the `limit` most frequent ones, and their features."""
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


def _logits(member: _Fitted, rows: _Features) -> Floats:
    if not rows.texts:
        return np.zeros((0, len(member.head.bias)))
    if member.ngrams is not None:
        return member.head.logits(member.ngrams.vectorizer().features(rows.texts))
    return member.head.logits(rows.embedded)


def _choose(
    data: SiteData, targets: Targets, settings: ClassicalFit, train: _Features, validation: _Features
) -> tuple[tuple[Member, ...], dict[str, float]]:
    """The members with the least log loss on the validation split, each at its own best temperature; all losses."""
    every: tuple[Member, ...] = ("words", "embedding") if train.embedded is not None else ("words",)
    truth = targets.of(data.validation)
    if len(every) == 1 or len(truth) < MIN_VALIDATION_ROWS or data.train.shortage():
        return every, {}
    fitted = {name: _fit_member(name, train, data.train, targets, settings) for name in every}
    logits = {name: _logits(member, validation) for name, member in fitted.items()}
    losses: dict[tuple[Member, ...], float] = {}
    # The average first: of equals it is the safest.
    for names in (every, *((name,) for name in every)):
        model = SiteModel(folder="", labels=targets.labels, members=names, multiple=data.checks.multiple)
        rows: Sequence[npt.NDArray[np.float64]] = [logits[name] for name in names]
        model = calibration.calibrated(model, rows, truth)
        losses[names] = calibration.log_loss(combined(rows, model), truth, sets=targets.sets)
    best = min(losses, key=lambda names: losses[names])
    return best, {f"validation_loss_{'_'.join(names)}": round(loss, 4) for names, loss in losses.items()}
