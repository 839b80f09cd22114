"""The classical baseline: TF-IDF over words and characters, logistic regression, calibrated probabilities.

Word 1-2 grams and character 2-5 grams, C=20. A small language model that does not beat this has no
business case on that call site.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pipeline import classical
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Item
from pipeline.metrics import ItemScore
from traffic.callsites import RequestType
from traffic.confidence import Signals
from traffic.errors import NotEnoughData

REQUEST_TYPES: tuple[RequestType, ...] = ("classification", "intent", "moderation")
"""The types whose answer is one of a closed set of labels."""

VERSION = "tf-idf, logistic regression, temperature"
"""Changes whenever answers could."""
CALIBRATION_ROWS = 50
"""With fewer, probabilities stay as the regression has them."""


class Model(NamedTuple):
    """A fitted model of one call site."""

    pipeline: Any
    temperature: float
    """What its log-probabilities are divided by; 1 where there were too few rows to find it."""

    def probabilities(self, text: str) -> Any:
        """P(label | text), shape (labels,), calibrated."""
        return classical.tempered(self.pipeline.predict_log_proba([text]), self.temperature)[0]


def slot_text(item: Item) -> str:
    """What varies in the request: the pruned prompt without its system message."""
    return classical.slot_text(item.prompt)


def shortage(rows: Mapping[str, Sequence[Item]]) -> str | None:
    """Which call site (to its rows) has too few labels to fit a classifier, in words; None where all have enough."""
    for site, items in rows.items():
        why = _shortage([item.completion.strip() for item in items])
        if why is not None:
            return f"{site}: {why}"
    return None


def _shortage(labels: Sequence[str]) -> str | None:
    count = len(set(labels))
    if count >= 2:
        return None
    return f"a classifier needs rows of at least two labels, {len(labels)} rows have {count}"


def fit(items: Sequence[Item], c: float, seed: int = 0, *, calibration: Sequence[Item] = ()) -> Model:
    """A fitted model, its probabilities calibrated on other, later items.

    Raises: NotEnoughData for fewer than two labels.
    """
    labels = [item.completion.strip() for item in items]
    if why := _shortage(labels):
        raise NotEnoughData(why)
    pipeline = classical.pipeline(c, seed)
    weights = [item.weight for item in items]
    pipeline.fit([slot_text(item) for item in items], labels, logisticregression__sample_weight=weights)
    if len(calibration) < CALIBRATION_ROWS:
        return Model(pipeline, 1.0)
    columns = {label: column for column, label in enumerate(pipeline.classes_)}
    truth = np.array([columns.get(item.completion.strip(), -1) for item in calibration])
    found = pipeline.predict_log_proba([slot_text(item) for item in calibration])
    return Model(pipeline, classical.temperature(found, truth))


def answer(model: Model, items: Sequence[Item], advance: Callable[[], None]) -> list[Answer]:
    """Answers one at a time, as they would be served, each with its own wall and CPU time."""
    answers = []
    # The first call pays for imports and caches that a running server has behind it.
    if items:
        model.probabilities(slot_text(items[0]))
    for item in items:
        wall, cpu = time.perf_counter(), time.process_time()
        probabilities = model.probabilities(slot_text(item))
        label = str(model.pipeline.classes_[int(np.argmax(probabilities))])
        answers.append(
            Answer(
                record_id=item.record_id,
                text=label,
                finish_reason="stop",
                signals=_signals(probabilities),
                confidence=float(np.max(probabilities)),
                latency_ms=(time.perf_counter() - wall) * 1000,
                cpu_s=time.process_time() - cpu,
                concurrency=1,
            )
        )
        advance()
    return answers


def remarks(answers: Sequence[Answer], scored: Sequence[ItemScore]) -> list[str]:
    """How much its probabilities are worth on these items."""
    known = [(a.confidence, s.correct) for a, s in zip(answers, scored, strict=True) if a.confidence is not None]
    if not known:
        return []
    confidence, right = (np.array(column) for column in zip(*known, strict=True))
    error = classical.calibration_error(confidence.astype(np.float64), right.astype(np.bool_))
    sure = f"it is {confidence.mean():.1%} sure on average and right in {right.mean():.1%}"
    return [f"{sure} (expected calibration error {100 * error:.1f} points)"]


def _signals(probabilities: Any) -> Signals:
    """The same signals as of a language model whose answer is one token."""
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
