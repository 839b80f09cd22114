"""The tier of a shape by known call sites of other companies with similar behaviour and wording.

`known_call_sites.jsonl` holds measured call sites of invented companies with the tier that their author gave them.
Models fitted to them at each start weigh all measurements together, where each signal of `signals.py` was written for
one kind of request. `propose.py` joins both: on companies of authors that neither knew, each corrected the other's
mistakes.
"""

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipeline.profile.behaviour import Behaviour

FILE = Path(__file__).with_suffix(".jsonl")
PROMPT_CHARS = 2000
_WORDING_WEIGHT = 0.3
"""Exponent of the probabilities by the prompts; those by the measurements have the rest of 1."""
_LEAST = 1e-3
"""Added to each model's probabilities, so that none rules out a tier."""
_LEAST_SHARE = 2e-3
"""Share of a company's requests up to which call sites weigh the same."""
_NOT_COMPARED = frozenset(
    {
        "sampled", "answered", "labels", "text_question_share", "bare_question_share", "record_message_share",
        "several_calls_share", "restated_share",
    }
)  # fmt: skip
"""Not comparable between logs, or missing in most of `FILE`."""
_COUNTS = ("_p50", "_p90", "distinct_answers", "largest_number", "rows_per_label", "bodies_per_answer")
"""Measurements without an upper limit, compared by their logarithms."""
_UNKNOWN = -0.2

TierProbabilities = dict[int, float]


class KnownCallSite(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One shape of an invented company's log."""

    author: str
    """Who wrote the company: logs of one author resemble each other."""
    company: str
    name: str
    tier: int
    """The right one, by its author."""
    requests: int
    prompt: str = ""
    """What all its requests have in common, clipped to `PROMPT_CHARS`."""
    behaviour: Behaviour


def load(path: Path = FILE) -> list[KnownCallSite]:
    decode = msgspec.json.Decoder(KnownCallSite).decode
    with path.open("rb") as lines:
        return [decode(line) for line in lines]


@functools.cache
def fitted() -> "TierModel":
    """The model of all known call sites; fitting it takes some seconds."""
    return TierModel(load())


class TierModel:
    """Probabilities of the three tiers: two models of the measurements and one of the prompt's words."""

    def __init__(self, known: Sequence[KnownCallSite]) -> None:
        from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        rows = [measurements(site.behaviour) for site in known]
        self._names = sorted({name for row in rows for name in row})
        tiers = [site.tier for site in known]
        weights = _weights(known)
        self._of_measurements: list[Any] = [
            HistGradientBoostingClassifier(
                max_iter=200, learning_rate=0.06, max_leaf_nodes=12, min_samples_leaf=8, l2_regularization=5,
                max_features=0.3, early_stopping=False, random_state=0,
            ),
            ExtraTreesClassifier(200, max_features=0.3, random_state=0),
        ]  # fmt: skip
        self._words = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
        self._of_prompts = LogisticRegression(C=10, max_iter=2000)
        table = self._table(rows)
        with _one_thread():
            for model in self._of_measurements:
                model.fit(table, tiers, weights)
            self._of_prompts.fit(self._words.fit_transform([site.prompt for site in known]), tiers, weights)
        self._tiers: list[int] = sorted(set(tiers))

    def probabilities(self, shapes: Sequence[tuple[Behaviour, str]]) -> list[TierProbabilities]:
        """Of each tier, for shapes with these behaviours and prompts."""
        if not shapes:
            return []
        table = self._table([measurements(behaviour) for behaviour, _ in shapes])
        with _one_thread():
            measured = np.mean([model.predict_proba(table) for model in self._of_measurements], axis=0)
            words = self._words.transform([prompt[:PROMPT_CHARS] for _, prompt in shapes])
            worded = self._of_prompts.predict_proba(words)
        joined = (measured + _LEAST) ** (1 - _WORDING_WEIGHT) * (worded + _LEAST) ** _WORDING_WEIGHT
        joined /= joined.sum(axis=1, keepdims=True)
        return [{tier: float(p) for tier, p in zip(self._tiers, row, strict=True)} for row in joined]

    def _table(self, rows: Iterable[dict[str, float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Shape (rows, measurements)."""
        return np.array([[row.get(name, 0.0) for name in self._names] for row in rows])


def _one_thread() -> AbstractContextManager[Any]:
    # Several threads spin while they wait: with other work on two cores a fit takes 19 s instead of 3. Their sums also
    # differ in the last digits.
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _weights(known: Sequence[KnownCallSite]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """By the share that a call site has of its company's requests: the square root, as most call sites are small."""
    requests: Counter[str] = Counter()
    for site in known:
        requests[site.company] += site.requests
    shares = np.array([site.requests / requests[site.company] for site in known])
    weights = np.sqrt(np.maximum(shares, _LEAST_SHARE))
    return np.asarray(weights / weights.mean())


def measurements(b: Behaviour) -> dict[str, float]:
    """The numbers of a behaviour by name: shares as they are, amounts as logarithms, lists by their length."""
    numbers: dict[str, float] = {}
    for name in b.__struct_fields__:
        value = getattr(b, name)
        if name in _NOT_COMPARED:
            continue
        if isinstance(value, dict):
            numbers |= {f"{name}.{key}": share for key, share in value.items()}
        elif isinstance(value, tuple):
            numbers[name] = math.log1p(len(value))
        elif value is None:
            numbers |= {name: _UNKNOWN, f"{name}.unknown": 1.0}
        else:
            numbers[name] = math.log1p(min(abs(value), 1e6)) if name.endswith(_COUNTS) else float(value)
    return numbers
