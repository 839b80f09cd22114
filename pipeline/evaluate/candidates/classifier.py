"""What candidates that are classifiers (classical, encoder) share: answers in this process, with their times."""

import time
from pathlib import Path

import numpy as np

from pipeline.classifiers import calibration
from pipeline.evaluate import costs
from pipeline.evaluate.answers import Answer, AnswerLog
from pipeline.evaluate.candidates import progress
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import ClassicalConfig, EncoderConfig
from pipeline.evaluate.items import Item, Items
from pipeline.evaluate.scores import Graded
from traffic import classifiers, confidence
from traffic.classifier_model import Model, SiteClassifier
from traffic.confidence import Signals, Step


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
    """What a reader of a classifier's scores has to know."""
    pairs = [
        (answer.confidence, score.correct)
        for answer, score in zip(graded.answers, graded.scores, strict=True)
        if answer.confidence is not None
    ]
    found = [calibration_note(*zip(*pairs, strict=True))] if pairs else []
    if items.split in ("train", "validation", "calibration"):
        found.append(f"it was fitted on the {items.split} split: these scores are too high")
    return found


def _fill(candidate: str, model: Model, items: Items, log: AnswerLog) -> None:
    with progress.bar(candidate, len(items.items)) as bar:
        for site in dict.fromkeys(item.call_site for item in items.items):
            classifier = model.site(site)
            own = [item for item in items.items if item.call_site == site]
            # The first call pays for imports and caches that a running server has behind it.
            classifier.answers([classifiers.text_of(own[0].prompt)])
            for item in own:
                log.add(answer(classifier, item))
                bar.advance()


def answer(classifier: SiteClassifier, item: Item) -> Answer:
    """One answer, as it would be served, with its wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    (found,) = classifier.answers([classifiers.text_of(item.prompt)])
    return Answer(
        record_id=item.record_id,
        text=found.text,
        finish_reason="stop",
        signals=signals(found.logprob, [rival.logprob for rival in found.rivals]),
        confidence=min(1.0, float(np.exp(found.logprob))),
        latency_ms=(time.perf_counter() - wall) * 1000,
        cpu_s=time.process_time() - cpu,
        concurrency=1,
    )


def signals(logprob: float, rivals: list[float]) -> Signals | None:
    """The signals of a language model whose answer is one token with these log-probabilities, as the server says it."""
    return confidence.signals([Step(logprob, rivals)])


def calibration_note(stated: tuple[float, ...], correct: tuple[bool, ...]) -> str:
    """How well stated probabilities match the accuracy."""
    p, right = np.array(stated, dtype=np.float64), np.array(correct, dtype=np.bool_)
    error = calibration.calibration_error(p, right)
    return (
        f"mean confidence {p.mean():.1%}, accuracy {right.mean():.1%} "
        f"(expected calibration error {100 * error:.1f} points)"
    )
