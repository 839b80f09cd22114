"""Fine-tuning an encoder for a call site: a head on frozen embeddings first, then all weights from there.

The frozen head competes: where fine-tuning does not lower the validation loss, it stays. So does the average with a
linear model on n-grams, which errs elsewhere. Checkpoints are transformers' own; an interrupted run continues from the
last one, its time included.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.classifiers import calibration, classical, heads, pretrained
from pipeline.classifiers.config import EncoderFit
from pipeline.classifiers.examples import SiteData
from pipeline.classifiers.fitted import FittedSite, Ngrams
from pipeline.classifiers.out_of_distribution import guard_of
from pipeline.classifiers.pretrained import Pretrained
from traffic import artifacts
from traffic.artifacts import write_atomic
from traffic.classifier_model import Encoder, Floats, Head
from traffic.classifiers import Member, SiteModel
from traffic.processes import cores

MIN_VALIDATION_ROWS = 10
"""With fewer rows nothing can be compared: training takes its epochs or its time."""

ENCODER_ALONE: tuple[Member, ...] = ("embedding",)
WITH_WORDS: tuple[Member, ...] = ("words", "embedding")


class Made(NamedTuple):
    """Fitted models of all call sites."""

    sites: Mapping[str, FittedSite]
    encoders: Mapping[str, Path]
    """Folder in the artifact -> exported encoder."""
    metrics: Mapping[str, float]
    work: Path | None = None
    """Folder of checkpoints, of no use once the artifact is there."""

    def clean(self) -> None:
        if self.work is not None:
            shutil.rmtree(self.work, ignore_errors=True)


def metrics_of(sites: Mapping[str, FittedSite]) -> dict[str, float]:
    """All call sites' metrics; with several, under their names."""
    if len(sites) == 1:
        return dict(next(iter(sites.values())).metrics)
    return {f"{site}.{name}": value for site, each in sites.items() for name, value in each.metrics.items()}


def fit(
    settings: EncoderFit,
    data: Mapping[str, SiteData],
    base: Pretrained,
    work: Path,
    *,
    resume: bool,
    announce: Callable[[str], None],
) -> Made:
    """A fine-tuned encoder for each call site, within `minutes` for all of them by their number of rows."""
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    sites, encoders = {}, {}
    rows = sum(len(each.train.texts) for each in data.values())
    for number, (site, each) in enumerate(data.items()):
        folder = f"{number}-{artifacts.slug(site)}"
        share = settings.minutes * 60 * len(each.train.texts) / max(1, rows)
        run = _Site(settings, each, base, work / folder, folder, share, announce)
        sites[site] = run.fit()
        encoders[f"{folder}/encoder"] = run.exported
    return Made(sites, encoders, metrics_of(sites), work)


class _Words(NamedTuple):
    """The linear model on n-grams, if the average with it is better."""

    ngrams: Ngrams | None = None
    head: Head | None = None
    metrics: Mapping[str, float] = {}


class _Site:
    """The run of one call site."""

    def __init__(
        self,
        settings: EncoderFit,
        data: SiteData,
        base: Pretrained,
        work: Path,
        folder: str,
        seconds: float,
        announce: Callable[[str], None],
    ) -> None:
        self._settings, self._data, self._base, self._work = settings, data, base, work
        self._folder, self._seconds, self._announce = folder, seconds, announce
        self._targets = data.targets()
        self.exported = work / "exported"

    def fit(self) -> FittedSite:
        settings, data = self._settings, self._data
        frozen = Encoder(pretrained.frozen(self._base), max_tokens=settings.max_tokens, threads=cores())
        began = time.monotonic()
        start = self._head(frozen)
        truth = self._targets.of(data.validation)
        before = self._score(frozen.embed(data.validation.texts), start, truth)
        self._announce(f"head        on frozen embeddings: {_said(before)}, {time.monotonic() - began:.0f} s")
        model, trained = self._train(start, self._seconds - (time.monotonic() - began))
        shutil.rmtree(self.exported, ignore_errors=True)
        self.exported.mkdir(parents=True)
        pretrained.export(model.encoder, self.exported)
        shutil.copyfile(self._base.path / "tokenizer.json", self.exported / "tokenizer.json")
        _weights(model.encoder, self.exported)
        tuned = Encoder(self.exported, max_tokens=settings.max_tokens, threads=cores())
        head = heads.rounded(Head(_array(model.head.weight), _array(model.head.bias)))
        embedded = tuned.embed(data.validation.texts)
        after = self._score(embedded, head, truth)
        self._announce(f"fine-tuned  {trained['epochs']:.1f} epochs: {_said(after)}")
        if before["loss"] < after["loss"] and len(truth) >= MIN_VALIDATION_ROWS:
            self._announce("fine-tuning did not lower the validation loss: the head on the frozen encoder is kept")
            shutil.rmtree(self.exported)
            shutil.copytree(pretrained.frozen(self._base), self.exported, copy_function=shutil.copyfile)
            tuned, head = frozen, start
            embedded = tuned.embed(data.validation.texts)
        words = self._words(embedded, head, truth)
        metrics = {f"frozen_{name}": value for name, value in before.items()} | after | trained | dict(words.metrics)
        return self._fitted(tuned, head, words, metrics)

    def _words(self, embedded: Any, head: Head, truth: Any) -> "_Words":
        """The linear model on n-grams, where its average with the encoder has less validation loss than the encoder."""
        if len(truth) < classical.MIN_VALIDATION_ROWS:
            return _Words()
        own = head.logits(np.asarray(embedded, dtype=np.float64))
        ngrams, words = classical.fit_words(self._data.train, self._targets, self._settings.c, self._settings.seed)
        later = words.logits(ngrams.vectorizer().features(self._data.validation.texts))
        alone, both = self._score_of([own], ENCODER_ALONE, truth), self._score_of([later, own], WITH_WORDS, truth)
        self._announce(f"average     with n-grams: {_said(both)}")
        metrics = {f"average_{name}": value for name, value in both.items()}
        return _Words(ngrams, words, metrics) if both["loss"] < alone["loss"] else _Words(metrics=metrics)

    def _head(self, encoder: Encoder) -> Head:
        train = self._data.train
        embedded = encoder.embed(train.texts).astype(np.float64)
        truth, settings = self._targets.of(train), self._settings
        return heads.fit(embedded, truth, self._targets, settings.embedding_c, train.weights, settings.seed)

    def _score(self, embedded: Any, head: Head, truth: Any) -> dict[str, float]:
        """Validation loss at the best temperature, and accuracy."""
        if not len(truth):
            return {"loss": float("inf"), "accuracy": 0.0}
        return self._score_of([head.logits(np.asarray(embedded, dtype=np.float64))], ENCODER_ALONE, truth)

    def _score_of(self, logits: Sequence[Floats], members: tuple[Member, ...], truth: Any) -> dict[str, float]:
        model = calibration.calibrated(self._model(members), logits, truth)
        found = calibration.log_probabilities(logits, model)
        right = ((found > np.log(0.5)) == (truth == 1)).all(1) if self._targets.sets else found.argmax(1) == truth
        loss = calibration.log_loss(found, truth, sets=self._targets.sets)
        return {"loss": round(loss, 4), "accuracy": round(float(right.mean()), 4)}

    def _train(self, start: Head, seconds: float) -> tuple[Any, dict[str, float]]:
        from pipeline.classifiers.encoder_trainer import train

        return train(self._settings, self._data, self._targets, self._base.path, self._work, start, seconds)

    def _model(self, members: tuple[Member, ...]) -> SiteModel:
        return SiteModel(
            folder=self._folder,
            labels=self._targets.labels,
            members=members,
            encoder=f"{self._folder}/encoder",
            max_tokens=self._settings.max_tokens,
            multiple=self._data.checks.multiple,
            empty=self._data.has_empty_sets,
        )

    def _fitted(self, encoder: Encoder, head: Head, words: "_Words", metrics: Mapping[str, float]) -> FittedSite:
        data, settings = self._data, self._settings
        fitted = {"embedding": head}
        later = encoder.embed(data.calibration.texts).astype(np.float64)
        logits = [head.logits(later) if len(later) else np.zeros((0, len(self._targets.labels)))]
        if words.head is not None and words.ngrams is not None:
            fitted["words"] = words.head
            texts = data.calibration.texts
            features = words.ngrams.vectorizer().features(texts) if texts else np.zeros((0, words.head.weight.shape[1]))
            logits.insert(0, words.head.logits(features))
        members = WITH_WORDS if "words" in fitted else ENCODER_ALONE
        model = calibration.calibrated(self._model(members), logits, self._targets.of(data.calibration))
        centroids = None
        if settings.false_alarms:
            # Training rows of a fine-tuned encoder sit closer to their mean than any new text: the limit is set by
            # the calibration rows, which it has not seen.
            embedded = encoder.embed(data.train.texts).astype(np.float64)
            truth = self._targets.of(data.train)
            centroids, guard = guard_of(embedded, truth, later if len(later) else None, settings.false_alarms)
            model = calibration.guarded(model, guard)
        return FittedSite(model, fitted, words.ngrams, centroids, metrics)


def _weights(encoder: Any, folder: Path) -> None:
    """model.safetensors of the transformer, as transformers loads it."""
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().cpu().float().contiguous() for name, tensor in encoder.transformer.state_dict().items()
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_atomic(folder / "config.json", encoder.transformer.config.to_json_string())


def _array(tensor: Any) -> Floats:
    return np.asarray(tensor.detach().cpu().float().numpy(), dtype=np.float64)


def _said(score: Mapping[str, float]) -> str:
    return f"validation loss {score['loss']:.3f}, {score['accuracy']:.1%} right"
