"""Detects doubtful JSON answers: field values that break a regularity of nearly all other rows.

- a value of another type than the field has elsewhere
- a value that is not in the request, in a field that is usually copied from it
- a value given more often than it occurs in the request ("NC", "NC"; or one word in two fields)
- a word that other rows containing it hardly ever use as a value
- a missing value that similar requests have (by out-of-fold probabilities)
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pipeline.classifiers.out_of_fold import OutOfFold
from pipeline.extract.label_quality.suspects import Finding
from pipeline.extract.rows import Row
from traffic import classifiers

_MOSTLY = 0.95
"""Minimum share of a field's values that makes a regularity."""
_MIN_VALUES = 20
_MAX_WORDS = 3
_WORD = re.compile(r"\w+|[^\w\s]")


class Value(NamedTuple):
    """One leaf of a JSON answer. `field` is its path, with [] for list items."""

    field: str
    kind: str
    words: str
    """The words, each with a space on both sides so that `in` matches whole words; empty for empty values."""


def find(rows: Sequence[Row], fitted: Sequence[bool], model: OutOfFold, threshold: float) -> list[Finding]:
    """Rows whose answer breaks a regularity of the `fitted` rows; per row the finding of lowest quality.

    Quality is the share of rows, or the probability, in favour of the answer.
    """
    values = [list(_values(msgspec.json.decode(row.answer))) for row in rows]
    texts = [_words(classifiers.text_of(row.pruned)) for row in rows]
    regularities = _Regularities(
        [v for v, f in zip(values, fitted, strict=True) if f], [t for t, f in zip(texts, fitted, strict=True) if f]
    )
    findings: list[Finding] = []
    for index, (answer_values, text) in enumerate(zip(values, texts, strict=True)):
        findings += [Finding(index, quality, reason) for quality, reason in regularities.broken_by(answer_values, text)]
    findings += _missing(values, fitted, model, threshold)
    worst: dict[int, Finding] = {}
    for finding in findings:
        if finding.row_index not in worst or finding.quality < worst[finding.row_index].quality:
            worst[finding.row_index] = finding
    return [worst[index] for index in sorted(worst)]


class _Regularities:
    """Types, copying and repetition of values that are usual for each field."""

    def __init__(self, values: Sequence[list[Value]], texts: Sequence[str]) -> None:
        kinds: Counter[tuple[str, str]] = Counter(
            (v.field, v.kind) for answer_values in values for v in answer_values if v.kind != "null"
        )
        self._all: Counter[str] = Counter()
        for (field, _), n in kinds.items():
            self._all[field] += n
        self._kinds = kinds
        filled = [
            (v, v.words in text)
            for answer_values, text in zip(values, texts, strict=True)
            for v in answer_values
            if v.words
        ]
        count = Counter(v.field for v, _ in filled)
        copied = Counter(v.field for v, in_request in filled if in_request)
        self._copied = {f: copied[f] / n for f, n in count.items() if n >= _MIN_VALUES and copied[f] >= _MOSTLY * n}
        repeats = Counter(
            v.field
            for answer_values, text in zip(values, texts, strict=True)
            for v in self._repeated(answer_values, text)
        )
        self._repeats = {f: repeats[f] / count[f] for f in self._copied if repeats[f] <= (1 - _MOSTLY) * count[f]}
        self._used = Counter(
            word for answer_values in values for word in {v.words for v in answer_values if v.field in self._copied}
        )
        self._occurs = _occurrences(texts, self._used)

    def broken_by(self, answer_values: list[Value], text: str) -> Iterator[tuple[float, str]]:
        """(quality, reason) of each regularity that the answer breaks."""
        for value in answer_values:
            total = self._all[value.field]
            if value.kind != "null" and total >= _MIN_VALUES:
                share = self._kinds[value.field, value.kind] / total
                if share <= 1 - _MOSTLY:
                    yield share, f"{value.field} is a {value.kind}"
            if value.field not in self._copied or not value.words:
                continue
            if value.words not in text:
                yield 1 - self._copied[value.field], f"{value.field} is not in the request"
                continue
            used, occurs = self._used[value.words], self._occurs[value.words]
            if occurs >= _MIN_VALUES and used <= (1 - _MOSTLY) * occurs:
                yield used / occurs, f"{value.field} is a word that is rarely a value"
        for value in self._repeated(answer_values, text):
            if value.field in self._repeats:
                yield self._repeats[value.field], f"{value.field} is given more often than it occurs in the request"

    def _repeated(self, answer_values: list[Value], text: str) -> list[Value]:
        counts = Counter(v.words for v in answer_values if v.words and v.field in self._copied)
        return [v for v in answer_values if counts[v.words] > 1 and 0 < text.count(v.words.rstrip()) < counts[v.words]]


def _missing(
    values: Sequence[list[Value]], fitted: Sequence[bool], model: OutOfFold, threshold: float
) -> Iterator[Finding]:
    """Fields without a value where the model predicts one with high probability."""
    has: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
    for index, answer_values in enumerate(values):
        for value in answer_values:
            if value.words:
                has.setdefault(value.field, np.zeros(len(values), dtype=bool))[index] = True
    used = np.array(fitted, dtype=bool)
    for field in sorted(has):
        present = has[field]
        with_value = int(present[used].sum())
        if with_value < _MIN_VALUES or with_value == used.sum():
            continue
        likely = model.of_event(present)
        for index in np.flatnonzero(~present & (1 - likely < threshold)):
            yield Finding(int(index), float(1 - likely[index]), f"{field} is missing")


def _values(value: Any, field: str = "") -> Iterator[Value]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _values(inner, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _values(inner, f"{field}[]")
    elif value is None:
        yield Value(field, "null", "")
    elif isinstance(value, bool):
        yield Value(field, "boolean", _words(str(value)))
    elif isinstance(value, int | float):
        yield Value(field, "number", _words(str(value)))
    else:
        yield Value(field, "string", _words(value) if value.strip() else "")


def _words(text: str) -> str:
    """Case-folded words and punctuation marks, each with a space on both sides."""
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def _occurrences(texts: Sequence[str], values: Counter[str]) -> Counter[str]:
    """Number of texts that contain each of the wanted values of at most three words."""
    occurrences: Counter[str] = Counter()
    for text in texts:
        words = text.split()
        grams = {f" {' '.join(words[i : i + n])} " for n in range(1, _MAX_WORDS + 1) for i in range(len(words) - n + 1)}
        occurrences.update(gram for gram in grams if gram in values)
    return occurrences
