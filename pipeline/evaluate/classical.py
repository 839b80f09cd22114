"""The classical baseline: TF-IDF over words and characters, logistic regression.

Word 1-2 grams and character 2-5 grams, C=20. A small language model that does not beat this has no
business case on that call site.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline import classical
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Item
from traffic.callsites import RequestType
from traffic.confidence import Signals
from traffic.errors import NotEnoughData

REQUEST_TYPES: tuple[RequestType, ...] = ("classification", "intent", "moderation")
"""The types whose answer is one of a closed set of labels."""


def slot_text(item: Item) -> str:
    """What varies in the request: the pruned prompt without its system message."""
    return classical.slot_text(item.prompt)


def fit(items: Sequence[Item], c: float, seed: int = 0) -> Any:
    """A fitted scikit-learn pipeline from text to label. Raises: NotEnoughData for fewer than two labels."""
    labels = [item.completion.strip() for item in items]
    if len(set(labels)) < 2:
        raise NotEnoughData(
            f"a classifier needs rows of at least two labels, {len(labels)} rows have {len(set(labels))}"
        )
    model = classical.pipeline(c, seed)
    weights = [item.weight for item in items]
    model.fit([slot_text(item) for item in items], labels, logisticregression__sample_weight=weights)
    return model


def answer(model: Any, items: Sequence[Item], advance: Callable[[], None]) -> list[Answer]:
    """Answers one at a time, as they would be served, each with its own wall and CPU time."""
    answers = []
    # The first call pays for imports and caches that a running server has behind it.
    if items:
        model.predict_proba([slot_text(items[0])])
    for item in items:
        wall, cpu = time.perf_counter(), time.process_time()
        probabilities = model.predict_proba([slot_text(item)])[0]
        label = str(model.classes_[int(np.argmax(probabilities))])
        answers.append(
            Answer(
                record_id=item.record_id,
                text=label,
                finish_reason="stop",
                signals=_signals(probabilities),
                latency_ms=(time.perf_counter() - wall) * 1000,
                cpu_s=time.process_time() - cpu,
                concurrency=1,
            )
        )
        advance()
    return answers


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
