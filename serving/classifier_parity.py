"""Parity check of a classifier over HTTP: a running endpoint must give the answers that training recorded."""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from serving import supervise
from traffic import classifiers
from traffic.classifiers import Classifier, ParityItem, SiteModel
from traffic.errors import EndpointError, InputError

TOLERANCE = 0.01
"""Maximum difference of the answer's log-probability in nats: float32 arithmetic on another CPU."""
CLOSE = 0.02
"""Difference of log-probabilities below which another best label is accepted."""
CONCURRENCY = 8
TIMEOUT_SECONDS = 60.0


class ClassifierParity(msgspec.Struct, frozen=True):
    """Result of the check."""

    model: str
    items: int
    max_logprob_gap: float
    """Largest difference of an answer's log-probability, in nats."""
    mismatches: int
    """Items with another answer, except close ones."""
    tolerance: float
    passed: bool
    reasons: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Summary for the terminal."""
        measured = (
            f"{self.items} items: log-probabilities within {self.max_logprob_gap:.5f}, {self.mismatches} other answers"
        )
        return [f"parity of {self.model} {'passed' if self.passed else 'FAILED'}: {measured}", *self.reasons]


def check(base_url: str, folder: Path, *, api_key: str | None = None) -> ClassifierParity:
    """Compare an endpoint with parity.jsonl. Raises: NotFound, InputError for the files, EndpointError."""
    card, items = classifiers.load(folder), classifiers.load_parity(folder)
    if not items:
        raise InputError(f"{folder / classifiers.PARITY} has no texts; train the classifier again")
    served = supervise.served_models(base_url, api_key)
    missing = [name for site in card.models if (name := card.served_name(site)) not in served]
    if missing:
        raise EndpointError(f"{base_url} does not serve {', '.join(missing)}; it serves: {', '.join(served)}")
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        answers = list(pool.map(lambda item: _ask(base_url, card, item, api_key), items))
    gaps, mismatches = [0.0], 0
    for item, (text, logprob) in zip(items, answers, strict=True):
        model = card.models[item.call_site]
        if text == item.answer:
            gaps.append(abs(logprob - _expected(item, model)))
        elif not _was_close(item, model):
            mismatches += 1
    reasons = []
    if max(gaps) > TOLERANCE:
        reasons.append(f"a log-probability is {max(gaps):.4f} from training's, more than {TOLERANCE:g}")
    if mismatches:
        reasons.append(f"{mismatches} of {len(items)} texts get another answer than in training")
    return ClassifierParity(
        card.name, len(items), round(max(gaps), 6), mismatches, TOLERANCE, not reasons, tuple(reasons)
    )


def _ask(base_url: str, card: Classifier, item: ParityItem, api_key: str | None) -> tuple[str, float]:
    body = {
        "model": card.served_name(item.call_site),
        "messages": [{"role": "user", "content": item.text}],
        "logprobs": True,
        "top_logprobs": 1,
    }
    try:
        status, data = supervise.request(
            "POST", f"{base_url}/chat/completions", body, api_key=api_key, timeout_s=TIMEOUT_SECONDS
        )
    except OSError as error:
        raise EndpointError(f"{base_url} stopped answering during the parity check: {error}") from None
    if status != 200:
        raise EndpointError(f"{base_url} answered {status} to a parity item: {data[:300]!r}")
    try:
        choice: dict[str, Any] = msgspec.json.decode(data)["choices"][0]
        return str(choice["message"]["content"]), float(choice["logprobs"]["content"][0]["logprob"])
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise EndpointError(f"{base_url} answered a parity item without a log-probability: {error!r}") from None


def _choice_logprobs(item: ParityItem, model: SiteModel) -> list[float]:
    """For a set of labels: log-probability of each label's choice (in the set or not)."""
    best = max(range(len(item.logprobs)), key=lambda column: item.logprobs[column])
    chosen = [math.exp(value) >= 0.5 for value in item.logprobs]
    if not any(chosen) and not model.empty:
        chosen[best] = True
    return [
        value if has else math.log(max(1e-12, 1 - math.exp(value)))
        for value, has in zip(item.logprobs, chosen, strict=True)
    ]


def _expected(item: ParityItem, model: SiteModel) -> float:
    return sum(_choice_logprobs(item, model)) if model.multiple else max(item.logprobs)


def _was_close(item: ParityItem, model: SiteModel) -> bool:
    if model.multiple:
        return min(_choice_logprobs(item, model)) < math.log(0.5 + CLOSE)
    ranked = sorted(item.logprobs, reverse=True)
    return len(ranked) > 1 and ranked[0] - ranked[1] < CLOSE
