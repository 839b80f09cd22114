"""Candidates `classical` and `encoder`: classifiers that answer in this process, timed one request at a time."""

import time
from pathlib import Path

import numpy as np

from pipeline.classifiers import calibration
from pipeline.classifiers import stage as training
from pipeline.classifiers.config import ClassicalFit
from pipeline.evaluate import costs
from pipeline.evaluate.answers import Answer, AnswerLog
from pipeline.evaluate.candidates import progress
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import ClassicalConfig, EncoderConfig
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic import artifacts, classifiers, confidence
from traffic.classifier_model import Model, SiteClassifier
from traffic.confidence import Step
from traffic.errors import ModelUnavailable, NotFound


class ClassicalModel:
    """Linear models on n-grams and frozen embeddings, fitted here unless the home has them."""

    def __init__(self, config: ClassicalConfig, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._notes: list[str] = []

    def unavailable(self, items: Items) -> str | None:
        if reason := training.unfit(items.dataset):
            return reason
        data = training.read(items.folder, items.dataset)
        for site in dict.fromkeys(item.call_site for item in items.items):
            if shortage := (data[site].train + data[site].validation).shortage():
                return f"{site}: {shortage}"
        return None

    def answers(self, items: Items) -> Answered:
        config = self.config
        settings = ClassicalFit(c=config.c, embedding_c=config.embedding_c, encoder=config.encoder)
        home = self._resources.home
        try:
            fitted = training.run(settings, items.folder, home=home)
        except ModelUnavailable as error:
            self._notes.append(f"n-grams alone, without embeddings: {error}")
            fitted = training.run(ClassicalFit(c=config.c), items.folder, home=home)
        self._notes += [f"{site}: {' + '.join(members)}" for site, members in fitted.members.items()]
        return ask(config, fitted.path, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        return [*notes(items, graded), *self._notes]


class EncoderModel:
    """A fine-tuned encoder, made by `fasttier train --config configs/train/encoder.yaml`."""

    def __init__(self, config: EncoderConfig, task: str, resources: Resources) -> None:
        self.config, self._task, self._resources = config, task, resources

    def unavailable(self, items: Items) -> str | None:
        if reason := training.unfit(items.dataset):
            return reason
        folder = self._folder(items)
        if folder is None:
            return f"{self._task} has no encoder; train one: fasttier train --config configs/train/encoder.yaml"
        card = classifiers.load(folder)
        missing = [site for site in items.dataset.call_sites if site not in card.models]
        return f"{card.name} was not trained for {', '.join(missing)}" if missing else None

    def answers(self, items: Items) -> Answered:
        folder = self._folder(items)
        if folder is None:
            raise NotFound(f"{self._task} has no encoder")
        return ask(self.config, folder, items, self._resources)

    def notes(self, items: Items, graded: Graded) -> list[str]:
        lines = notes(items, graded)
        folder = self._folder(items)
        card = classifiers.load(folder) if folder is not None else None
        if card is not None and card.dataset != items.dataset.name:
            lines.append(
                f"{card.name} was trained on {card.dataset}, not {items.dataset.name}: it may have seen these items"
            )
        return lines

    def _folder(self, items: Items) -> Path | None:
        """The named classifier, else the newest encoder of this dataset, else of the task."""
        home = self._resources.home
        if self.config.classifier is not None:
            return home.classifier(self.config.classifier)
        for dataset in (items.dataset.name, None):
            newest = artifacts.current(home, artifacts.CLASSIFIER, task=self._task, kind="encoder", dataset=dataset)
            if newest is not None:
                return newest.path
        return None


def ask(config: ClassicalConfig | EncoderConfig, folder: Path, items: Items, resources: Resources) -> Answered:
    """Answers of a classifier's folder to all items."""
    machine = resources.machines[resources.config.cpu_machine]
    card = classifiers.load(folder)
    with AnswerLog(resources.answer_log(config, card.name, items, machine)) as log:
        # All or none: latencies in one file belong to one process.
        if log.open_items(item.record_id for item in items.items):
            _fill(config.name, Model(folder), items, log)
        answers = [log.answers[item.record_id] for item in items.items]
    return Answered(
        answers=answers,
        costed=costs.by_cpu_time(answers, items.requests, machine),
        latency=costs.latency(answers, 1),
        adapter=card.name,
        base_model=card.encoder.name if card.encoder else None,
    )


def notes(items: Items, graded: Graded) -> list[str]:
    """Calibration error, and a warning when the split was used for fitting."""
    pairs = [
        (answer.confidence, score.correct)
        for answer, score in zip(graded.answers, graded.scores, strict=True)
        if answer.confidence is not None
    ]
    lines = [calibration_note(*zip(*pairs, strict=True))] if pairs else []
    if items.split in ("train", "validation", "calibration"):
        lines.append(f"fitted on the {items.split} split: these scores are too high")
    return lines


def _fill(candidate: str, model: Model, items: Items, log: AnswerLog) -> None:
    with progress.bar(candidate, len(items.items)) as bar:
        for site in dict.fromkeys(item.call_site for item in items.items):
            classifier = model.site(site)
            site_items = [item for item in items.items if item.call_site == site]
            # Warm-up: the first call pays for imports and caches.
            classifier.answers([classifiers.text_of(site_items[0].prompt)])
            for item in site_items:
                log.add(answer(classifier, item))
                bar.advance()


def answer(classifier: SiteClassifier, item: Item) -> Answer:
    """One answer, as it would be served, with its wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    (label,) = classifier.answers([classifiers.text_of(item.prompt)])
    return Answer(
        record_id=item.record_id,
        text=label.text,
        finish_reason="stop",
        # As of a language model whose answer is one token: the classifier server reports the same log-probabilities.
        signals=confidence.signals([Step(label.logprob, [rival.logprob for rival in label.rivals])]),
        confidence=min(1.0, float(np.exp(label.logprob))),
        latency_ms=(time.perf_counter() - wall) * 1000,
        cpu_s=time.process_time() - cpu,
        concurrency=1,
    )


def calibration_note(stated: tuple[float, ...], correct: tuple[bool, ...]) -> str:
    """How well stated probabilities match the accuracy."""
    p, right = np.array(stated, dtype=np.float64), np.array(correct, dtype=np.bool_)
    error = calibration.calibration_error(p, right)
    return (
        f"mean confidence {p.mean():.1%}, accuracy {right.mean():.1%} "
        f"(expected calibration error {100 * error:.1f} points)"
    )
