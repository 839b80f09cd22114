"""Doubtful JSON answers: what one row says about a field that nearly all others contradict.

- a value of another type than the field has elsewhere
- a value that is not in the request, in a field that is usually copied from it
- a value given more often than it occurs there ("NC", "NC"; or one word as two fields)
- a word as a value that other rows with the word hardly ever use as one
- no value, though requests like this one have it (by a model that has not seen the row)
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
"""Share of a field's values from which on a habit is a rule."""
_MIN_VALUES = 20
_MAX_WORDS = 3
_WORD = re.compile(r"\w+|[^\w\s]")


class Value(NamedTuple):
    """One leaf of an answer. `field` is its path, with [] for any place in a list."""

    field: str
    kind: str
    words: str
    """Its words with a space around each, so that `in` finds whole words only; empty for empty values."""


def find(rows: Sequence[Row], fitted: Sequence[bool], model: OutOfFold, threshold: float) -> list[Finding]:
    """Rows whose answer breaks a habit of the others; one finding a row, the most doubtful.

    Habits are those of the `fitted` rows. Quality is the share, or the probability, that speaks for the answer.
    """
    values = [list(_values(msgspec.json.decode(row.answer))) for row in rows]
    texts = [_words(classifiers.text_of(row.pruned)) for row in rows]
    habits = _Habits(
        [v for v, f in zip(values, fitted, strict=True) if f], [t for t, f in zip(texts, fitted, strict=True) if f]
    )
    found: list[Finding] = []
    for place, (own, text) in enumerate(zip(values, texts, strict=True)):
        found += [Finding(place, quality, reason) for quality, reason in habits.broken(own, text)]
    found += _missing(values, fitted, model, threshold)
    worst: dict[int, Finding] = {}
    for finding in found:
        if finding.place not in worst or finding.quality < worst[finding.place].quality:
            worst[finding.place] = finding
    return [worst[place] for place in sorted(worst)]


class _Habits:
    """What is usual for each field."""

    def __init__(self, values: Sequence[list[Value]], texts: Sequence[str]) -> None:
        kinds: Counter[tuple[str, str]] = Counter((v.field, v.kind) for own in values for v in own if v.kind != "null")
        self._all: Counter[str] = Counter()
        for (field, _), n in kinds.items():
            self._all[field] += n
        self._kinds = kinds
        filled = [(v, v.words in text) for own, text in zip(values, texts, strict=True) for v in own if v.words]
        count = Counter(v.field for v, _ in filled)
        copied = Counter(v.field for v, stands in filled if stands)
        self._copied = {f: copied[f] / n for f, n in count.items() if n >= _MIN_VALUES and copied[f] >= _MOSTLY * n}
        repeats = Counter(v.field for own, text in zip(values, texts, strict=True) for v in self._repeated(own, text))
        self._repeats = {f: repeats[f] / count[f] for f in self._copied if repeats[f] <= (1 - _MOSTLY) * count[f]}
        self._used = Counter(word for own in values for word in {v.words for v in own if v.field in self._copied})
        self._stands = _occurrences(texts, self._used)

    def broken(self, own: list[Value], text: str) -> Iterator[tuple[float, str]]:
        """(quality, reason) of each habit that the answer breaks."""
        for value in own:
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
            used, stands = self._used[value.words], self._stands[value.words]
            if stands >= _MIN_VALUES and used <= (1 - _MOSTLY) * stands:
                yield used / stands, f"{value.field} is a word that is rarely a value"
        for value in self._repeated(own, text):
            if value.field in self._repeats:
                yield self._repeats[value.field], f"{value.field} is given more often than it occurs in the request"

    def _repeated(self, own: list[Value], text: str) -> list[Value]:
        given = Counter(v.words for v in own if v.words and v.field in self._copied)
        return [v for v in own if given[v.words] > 1 and 0 < text.count(v.words.rstrip()) < given[v.words]]


def _missing(
    values: Sequence[list[Value]], fitted: Sequence[bool], model: OutOfFold, threshold: float
) -> Iterator[Finding]:
    """Fields without a value where a model is sure that there is one."""
    has: dict[str, np.ndarray[Any, np.dtype[np.bool_]]] = {}
    for place, own in enumerate(values):
        for value in own:
            if value.words:
                has.setdefault(value.field, np.zeros(len(values), dtype=bool))[place] = True
    used = np.array(fitted, dtype=bool)
    for field in sorted(has):
        there = has[field]
        with_value = int(there[used].sum())
        if with_value < _MIN_VALUES or with_value == used.sum():
            continue
        likely = model.of_event(there)
        for place in np.flatnonzero(~there & (1 - likely < threshold)):
            yield Finding(int(place), float(1 - likely[place]), f"{field} is missing")


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
    """Words and signs in one case, each with a space on both sides."""
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def _occurrences(texts: Sequence[str], wanted: Counter[str]) -> Counter[str]:
    """Number of texts that contain each of the wanted values of at most three words."""
    found: Counter[str] = Counter()
    for text in texts:
        words = text.split()
        grams = {f" {' '.join(words[i : i + n])} " for n in range(1, _MAX_WORDS + 1) for i in range(len(words) - n + 1)}
        found.update(gram for gram in grams if gram in wanted)
    return found
