"""Candidate `classical`: a classical classifier, fitted here on the train and validation splits, one per call site."""

import time

import numpy as np
import numpy.typing as npt

from pipeline.classifiers import calibration, classical
from pipeline.classifiers.classical import Classifier, Examples
from pipeline.dataset import slot_text
from pipeline.evaluate import costs
from pipeline.evaluate.answers import Answer, AnswerLog
from pipeline.evaluate.candidates import progress
from pipeline.evaluate.candidates.candidate import Answered, Resources
from pipeline.evaluate.config import ClassicalConfig
from pipeline.evaluate.items import Item, Items, rows
from pipeline.evaluate.scores import Graded
from traffic.callsites import RequestType
from traffic.confidence import Signals

REQUEST_TYPES: tuple[RequestType, ...] = ("classification", "intent", "moderation")
"""Request types whose answer is one of a closed set of labels."""
_FITTED_ON = ("train", "validation")


class ClassicalModel:
    """A classical classifier per call site."""

    def __init__(self, config: ClassicalConfig, resources: Resources) -> None:
        self.config, self._resources = config, resources
        self._examples: dict[tuple[str, ...], dict[str, Examples]] = {}

    def unavailable(self, items: Items) -> str | None:
        types = {site.request_type for site in items.dataset.call_sites.values()}
        unfit = sorted(types.difference(REQUEST_TYPES))
        if unfit:
            return f"a classifier cannot answer {', '.join(unfit)} requests"
        for site in dict.fromkeys(item.call_site for item in items.items):
            why = self._examples_of(items, _FITTED_ON)[site].shortage()
            if why is not None:
                return f"{site}: {why}"
        return None

    def answers(self, items: Items) -> Answered:
        machine = self._resources.machines[self._resources.config.cpu_machine]
        with AnswerLog(self._resources.answer_log(self.config, classical.VERSION, items, machine)) as log:
            # All or none: latencies in one file belong to one fitted model.
            if log.open_items(item.record_id for item in items.items):
                self._fill(items, log)
            answers = [log.answers[item.record_id] for item in items.items]
        return Answered(
            answers=answers,
            costed=costs.by_cpu_time(answers, items.requests, machine),
            latency=costs.latency(answers, 1),
        )

    def notes(self, items: Items, graded: Graded) -> list[str]:
        pairs = [
            (answer.confidence, score.correct)
            for answer, score in zip(graded.answers, graded.scores, strict=True)
            if answer.confidence is not None
        ]
        notes = [calibration_note(*zip(*pairs, strict=True))] if pairs else []
        if items.split in (*_FITTED_ON, "calibration"):
            notes.append(f"it was fitted on the {items.split} split: these scores are too high")
        return notes

    def _fill(self, items: Items, log: AnswerLog) -> None:
        training, later = self._examples_of(items, _FITTED_ON), self._examples_of(items, ("calibration",))
        with progress.bar(self.config.name, len(items.items)) as bar:
            for site in dict.fromkeys(item.call_site for item in items.items):
                model = classical.fit(training[site], self.config.c, calibration_set=later[site])
                own = [item for item in items.items if item.call_site == site]
                # The first call pays for imports and caches that a running server has behind it.
                model.probabilities(slot_text(own[0].prompt))
                for item in own:
                    log.add(answer(model, item))
                    bar.advance()

    def _examples_of(self, items: Items, splits: tuple[str, ...]) -> dict[str, Examples]:
        """Examples of each call site; read once."""
        if splits not in self._examples:
            every = [row for split in splits for row in rows(items.folder, split)]
            sites = {item.call_site for item in items.items}
            self._examples[splits] = {site: examples([row for row in every if row.call_site == site]) for site in sites}
        return self._examples[splits]


def examples(items: list[Item]) -> Examples:
    """Items of one call site as training examples."""
    return Examples(
        texts=[slot_text(item.prompt) for item in items],
        labels=[item.completion.strip() for item in items],
        weights=[item.weight for item in items],
    )


def answer(model: Classifier, item: Item) -> Answer:
    """One answer, as it would be served, with its wall and CPU time."""
    wall, cpu = time.perf_counter(), time.process_time()
    probabilities = model.probabilities(slot_text(item.prompt))
    return Answer(
        record_id=item.record_id,
        text=str(model.pipeline.classes_[int(np.argmax(probabilities))]),
        finish_reason="stop",
        signals=_signals(probabilities),
        confidence=float(np.max(probabilities)),
        latency_ms=(time.perf_counter() - wall) * 1000,
        cpu_s=time.process_time() - cpu,
        concurrency=1,
    )


def calibration_note(confidence: tuple[float, ...], correct: tuple[bool, ...]) -> str:
    """How well stated probabilities match the accuracy."""
    p, right = np.array(confidence, dtype=np.float64), np.array(correct, dtype=np.bool_)
    error = calibration.calibration_error(p, right)
    return (
        f"mean confidence {p.mean():.1%}, accuracy {right.mean():.1%} "
        f"(expected calibration error {100 * error:.1f} points)"
    )


def _signals(probabilities: npt.NDArray[np.float64]) -> Signals:
    """The signals of a language model whose answer is one token with these probabilities."""
    second, first = np.sort(probabilities)[-2:]
    margin, logprob = float(first - second), float(np.log(first))
    return Signals(
        min_margin=margin,
        p10_margin=margin,
        mean_margin=margin,
        first_margin=margin,
        min_logprob=logprob,
        mean_logprob=logprob,
        tokens=1,
    )
