"""Fine-tuning an encoder for a call site: a head on frozen embeddings first, then all weights from there.

The average of the fine-tuned encoder, the frozen one and a linear model on n-grams errs less than each of them, but
costs two encoder passes. The validation split decides which of them answer. Checkpoints are transformers' own; an
interrupted run continues from the last one, its time included.
"""

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pipeline.classifiers import calibration, classical, heads, pretrained
from pipeline.classifiers.calibration import Members, Score
from pipeline.classifiers.classical import ENCODER_FOLDER
from pipeline.classifiers.config import EncoderFit
from pipeline.classifiers.examples import Examples, SiteData
from pipeline.classifiers.fitted import FittedSite, Ngrams
from pipeline.classifiers.out_of_distribution import fit_guard
from pipeline.classifiers.pretrained import Pretrained
from traffic import artifacts
from traffic.artifacts import write_atomic
from traffic.classifier_model import Encoder, Floats, Head
from traffic.classifiers import Member, SiteModel
from traffic.processes import cores

MIN_VALIDATION_ROWS = 10
"""With fewer rows nothing can be compared: the fine-tuned encoder answers alone."""
TUNED: Members = ("embedding",)
FROZEN: Members = ("frozen_embedding",)
AVERAGES: tuple[Members, ...] = (
    ("words", "embedding"),
    ("words", "frozen_embedding"),
    ("embedding", "frozen_embedding"),
    ("words", "embedding", "frozen_embedding"),
)
"""The cheapest first."""


class FitResult(NamedTuple):
    """Fitted models of all call sites."""

    sites: Mapping[str, FittedSite]
    encoders: Mapping[str, Path]
    """Folder in the artifact -> exported encoder."""
    metrics: Mapping[str, float]
    work: Path | None = None
    """Folder of checkpoints, useless once the artifact is published."""

    def clean(self) -> None:
        if self.work is not None:
            shutil.rmtree(self.work, ignore_errors=True)


def metrics_of(sites: Mapping[str, FittedSite]) -> dict[str, float]:
    """Metrics of all call sites, prefixed by the call site if there are several."""
    if len(sites) == 1:
        return dict(next(iter(sites.values())).metrics)
    return {f"{site}.{name}": value for site, fitted in sites.items() for name, value in fitted.metrics.items()}


def fit(
    settings: EncoderFit,
    data: Mapping[str, SiteData],
    base: Pretrained,
    work: Path,
    *,
    resume: bool,
    announce: Callable[[str], None],
) -> FitResult:
    """A fine-tuned encoder for each call site. They share `minutes` in proportion to their training rows."""
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    sites: dict[str, FittedSite] = {}
    encoders: dict[str, Path] = {}
    rows = sum(len(examples.train.texts) for examples in data.values())
    for number, (site, examples) in enumerate(data.items()):
        folder = f"{number}-{artifacts.slug(site)}"
        share = settings.minutes * 60 * len(examples.train.texts) / max(1, rows)
        run = _Site(settings, examples, base, work / folder, folder, share, announce)
        sites[site], files = run.fit()
        encoders |= files
    return FitResult(sites, encoders, metrics_of(sites), work)


class _Site:
    """Fine-tunes the encoder of one call site and chooses the members of its model."""

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
        self._frozen_files = pretrained.frozen(base)
        self._tuned_files = work / "exported"
        self._encoders: dict[Member, Encoder] = {"frozen_embedding": self._load(self._frozen_files)}
        self._heads: dict[Member, Head] = {}
        self._ngrams: Ngrams | None = None

    def fit(self) -> tuple[FittedSite, dict[str, Path]]:
        """The model, and the files of its encoders by their folder in the artifact."""
        began = time.monotonic()
        self._fit_frozen(self._data.train)
        frozen = self._scored([FROZEN]) if self._data.validation.texts else {}
        self._announce(f"head        on frozen embeddings: {_scores_text(frozen)}, {time.monotonic() - began:.0f} s")
        trained = self._train(self._seconds - (time.monotonic() - began))
        self._announce(f"fine-tuned  {trained['epochs']:.1f} epochs")
        choices = self._choices()
        if any("words" in members for members in choices):
            self._fit_words(self._data.train)
        scored = self._scored(choices) if len(self._data.validation.texts) >= MIN_VALIDATION_ROWS else {}
        members = calibration.best(scored) if scored else choices[0]
        self._announce(f"members     {' + '.join(members)}: {scored.get(members, 'not compared')}")
        # Chosen: now the linear members learn from the validation rows too, which have the newest labels.
        self._fit_linear(members)
        return self._fitted(members, trained | calibration.metrics(scored))

    def _choices(self) -> Sequence[Members]:
        """Members that may answer; the first where nothing can be compared."""
        if self._settings.members is not None:
            return [self._settings.members]
        if len(self._data.validation.texts) < classical.MIN_VALIDATION_ROWS:
            return [TUNED, FROZEN]
        return [TUNED, FROZEN, *AVERAGES]

    def _load(self, folder: Path) -> Encoder:
        return Encoder(folder, max_tokens=self._settings.max_tokens, threads=cores())

    def _fit_frozen(self, rows: Examples) -> None:
        settings, truth = self._settings, self._targets.of(rows)
        embedded = self._encoders["frozen_embedding"].embed(rows.texts).astype(np.float64)
        head = heads.fit(embedded, truth, self._targets, settings.embedding_c, rows.weights, settings.seed)
        self._heads["frozen_embedding"] = head

    def _fit_words(self, rows: Examples) -> None:
        settings = self._settings
        self._ngrams, self._heads["words"] = classical.fit_words(rows, self._targets, settings.c, settings.seed)

    def _fit_linear(self, members: Members) -> None:
        rows = self._data.train + self._data.validation
        if "words" in members:
            self._fit_words(rows)
        if "frozen_embedding" in members:
            self._fit_frozen(rows)

    def _train(self, seconds: float) -> dict[str, float]:
        """Fine-tune and export the encoder: the member `embedding`."""
        from pipeline.classifiers.encoder_trainer import train

        start = self._heads["frozen_embedding"]
        model, trained = train(self._settings, self._data, self._targets, self._base.path, self._work, start, seconds)
        shutil.rmtree(self._tuned_files, ignore_errors=True)
        self._tuned_files.mkdir(parents=True)
        pretrained.export(model.encoder, self._tuned_files)
        shutil.copyfile(self._base.path / "tokenizer.json", self._tuned_files / "tokenizer.json")
        _write_weights(model.encoder, self._tuned_files)
        self._encoders["embedding"] = self._load(self._tuned_files)
        self._heads["embedding"] = heads.rounded(Head(_array(model.head.weight), _array(model.head.bias)))
        return trained

    def _scored(self, choices: Sequence[Members]) -> dict[Members, Score]:
        """Validation scores."""
        validation = self._data.validation
        logits = {name: self._logits(name, validation) for name in {name for members in choices for name in members}}
        return calibration.scores(choices, logits, self._targets.of(validation), self._model(TUNED))

    def _logits(self, name: Member, examples: Examples) -> Floats:
        """Shape (rows, labels)."""
        if not examples.texts:
            return np.zeros((0, len(self._targets.labels)))
        if name == "words":
            assert self._ngrams is not None
            return self._heads[name].logits(self._ngrams.vectorizer().features(examples.texts))
        return self._heads[name].logits(self._encoders[name].embed(examples.texts).astype(np.float64))

    def _model(self, members: Members) -> SiteModel:
        return SiteModel(
            folder=self._folder,
            labels=self._targets.labels,
            members=members,
            encoder=f"{self._folder}/encoder",
            frozen_encoder=ENCODER_FOLDER if "frozen_embedding" in members else None,
            max_tokens=self._settings.max_tokens,
            multiple=self._data.checks.multiple,
            empty=self._data.has_empty_sets,
        )

    def _fitted(self, members: Members, metrics: dict[str, float]) -> tuple[FittedSite, dict[str, Path]]:
        data, settings = self._data, self._settings
        files = {f"{self._folder}/encoder": self._tuned_files, ENCODER_FOLDER: self._frozen_files}
        model = self._model(members)
        encoder = self._encoders["embedding"]
        fitted_heads: dict[str, Head] = {name: self._heads[name] for name in members}
        logits = [self._logits(name, data.calibration) for name in members]
        if "embedding" not in members:
            # Without the fine-tuned encoder the frozen one is *the* encoder; the guard measures distances with it.
            renamed = tuple(_SINGLE_ENCODER_MEMBER.get(name, name) for name in members)
            fitted_heads = dict(zip(renamed, fitted_heads.values(), strict=True))
            encoder = self._encoders["frozen_embedding"]
            model = msgspec.structs.replace(model, members=renamed, encoder=ENCODER_FOLDER, frozen_encoder=None)
        model = calibration.calibrated(model, logits, self._targets.of(data.calibration))
        centroids = None
        if settings.false_alarms:
            # Training rows of a fine-tuned encoder sit closer to their mean than any new text: the limit is set by
            # the calibration rows, which it has not seen.
            later = encoder.embed(data.calibration.texts).astype(np.float64) if data.calibration.texts else None
            embedded, truth = encoder.embed(data.train.texts).astype(np.float64), self._targets.of(data.train)
            model, centroids = fit_guard(model, embedded, truth, later, settings.false_alarms)
        ngrams = self._ngrams if "words" in members else None
        used = {name: files[name] for name in (model.encoder, model.frozen_encoder) if name is not None}
        return FittedSite(model, fitted_heads, ngrams, centroids, metrics), used


_SINGLE_ENCODER_MEMBER: Mapping[Member, Member] = {"frozen_embedding": "embedding"}
"""Name of a member in a model without the fine-tuned encoder."""


def _write_weights(encoder: Any, folder: Path) -> None:
    """model.safetensors of the transformer, as transformers loads it."""
    from safetensors.torch import save_file

    state = {
        name: tensor.detach().cpu().float().contiguous() for name, tensor in encoder.transformer.state_dict().items()
    }
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    write_atomic(folder / "config.json", encoder.transformer.config.to_json_string())


def _array(tensor: Any) -> Floats:
    return np.asarray(tensor.detach().cpu().float().numpy(), dtype=np.float64)


def _scores_text(scored: Mapping[Members, Score]) -> str:
    return ", ".join(map(str, scored.values())) or "not compared"
