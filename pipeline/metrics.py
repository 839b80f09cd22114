"""Scores answers against references: per item, then per metric with a 95% interval.

Classification: exact label, macro-F1, recall of "none of these". Extraction: exact JSON, field F1, F1 of
each field. Rewriting: exact text, similarity, chrF, GLEU, edit distance. Metric names are the same everywhere
(`METRICS`). A malformed answer is wrong: nothing is repaired before scoring. Similarity and
macro-F1 load their libraries on first use.
"""

import functools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from pipeline import statistics
from pipeline.statistics import Interval
from traffic import answers
from traffic.callsites import Checks, RequestType
from traffic.checks import canonical, failed_checks, parse_json
from traffic.errors import InputError

ReferenceKind = Literal["label", "label_set", "label_free_text", "any_of_text", "json", "json_any_of", "number"]

TaskType = RequestType | Literal["mixed"]
"""mixed: a task whose call sites have several request types; each call site is scored separately too."""

METRICS: dict[TaskType, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1", "out_of_scope_recall", "format_ok"),
    "intent": ("accuracy", "macro_f1", "out_of_scope_recall", "format_ok"),
    "moderation": ("accuracy", "macro_f1", "format_ok"),
    "extraction": ("accuracy", "json_valid", "json_exact", "field_f1", "format_ok"),
    "structured": ("accuracy", "json_valid", "json_exact", "field_f1", "format_ok"),
    "mixed": ("accuracy", "format_ok"),
}
"""Metrics by request type; types that are not listed have `TEXT_METRICS`."""
TEXT_METRICS = ("accuracy", "similarity", "chrf", "gleu", "edit_distance", "format_ok")
FIELD_PREFIX = "field_f1."
"""Prefix of the F1 of one field, such as `field_f1.items.name`; reported with `field_f1`."""
MOST_FIELDS = 20
"""Number of fields, the most frequent ones, whose F1 is reported separately."""
OUT_OF_SCOPE = frozenset(
    "out_of_scope oos none none_of_these none_of_the_above other others unknown off_topic no_intent fallback".split()
)
"""Usual names of the label for out-of-scope requests, in lower case with _ for spaces and hyphens."""


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A correct answer."""

    kind: ReferenceKind
    value: Any
    """By kind: a label; a list of labels, order free; a text; a list of accepted texts; a JSON value;
    an object whose values are lists of accepted forms; a number or its text."""


class Detail(msgspec.Struct, frozen=True, omit_defaults=True):
    """Counts and similarities of one item, for `aggregate`; None if they do not apply to the kind of reference."""

    failed: tuple[str, ...] = ()
    """Failed checks; empty for a well-formed answer."""
    expected: str | None = None
    predicted: str | None = None
    json_valid: bool | None = None
    hits: int | None = None
    """Matching fields."""
    extra: int | None = None
    """Wrong or additional fields of the answer; 1 if the answer is not JSON."""
    missed: int | None = None
    """Fields of the reference that are missing in the answer."""
    fields: dict[str, tuple[int, int, int]] = {}
    """Hits, extra and missed by field path, without list indices."""
    similarity: float | None = None
    """Mean of the next two, in [0, 1], with the closest of the accepted texts."""
    edit_similarity: float | None = None
    """1 - Levenshtein distance / length of the longer text."""
    chrf: float | None = None
    """Character n-gram F-score (Popović 2015), in [0, 1]."""
    gleu: float | None = None
    """Sentence GLEU (Wu et al. 2016, arXiv 1609.08144, section 6) with the closest of the accepted texts, in [0, 1]."""


class ItemScore(msgspec.Struct, frozen=True):
    """Score of one answer."""

    correct: bool
    score: float
    """In [0, 1]: 1 or 0 for labels and numbers, field F1 for JSON, similarity for texts."""
    detail: Detail


class Metric(msgspec.Struct, frozen=True):
    """A metric over `n` items, with its 95% interval."""

    value: float
    interval: Interval
    n: int


def score(
    request_type: RequestType,
    output: str | None,
    reference: str | Reference,
    checks: Checks,
    finish_reason: str | None = None,
) -> ItemScore:
    """Score an answer; None (no answer) scores 0.

    A reference that is plain text is read by the request type: a label, JSON (extraction, structured; single values
    of a call site without JSON are texts), or the one accepted text.

    Raises: InputError if the reference itself cannot be read.
    """
    if checks.multiple is not None and isinstance(reference, str):
        expected = Reference("label_set", list(answers.labels_of(reference, checks)))
    else:
        expected = _as_reference(request_type, reference, checks)
    failed = failed_checks(output, finish_reason, checks)
    answer = None if output is None else canonical(output, checks)
    if expected.kind in ("json", "json_any_of"):
        return _score_json(answer, expected, failed)
    if expected.kind in ("any_of_text", "label_free_text"):
        texts = expected.value if isinstance(expected.value, list | tuple) else [expected.value]
        return _score_text(answer, [str(text) for text in texts], failed)
    if expected.kind == "label_set":
        return _score_label_set(answer, {str(label) for label in expected.value}, failed)
    if expected.kind == "number":
        right = answer is not None and _last_number(answer) == _number(expected.value)
        return ItemScore(right, float(right), Detail(failed=failed))
    right = answer == expected.value
    return ItemScore(right, float(right), Detail(failed=failed, expected=str(expected.value), predicted=answer or ""))


def aggregate(
    request_type: TaskType, items: Sequence[ItemScore], out_of_scope: Sequence[str] = ()
) -> dict[str, Metric]:
    """Metrics of a request type over its items, by name.

    Metrics that do not apply to any item (macro-F1 without labels) are omitted. `accuracy` is the share of correct
    items for every type. `out_of_scope`: further labels for "none of these", besides those in `OUT_OF_SCOPE`.
    """
    names = METRICS.get(request_type, TEXT_METRICS)
    values = {name: _metric(name, items, out_of_scope) for name in names}
    if "field_f1" in names:
        values |= _field_metrics(items)
    return {name: metric for name, metric in values.items() if metric is not None}


def macro_f1(expected: Sequence[str], predicted: Sequence[str]) -> float:
    """Mean F1 over the labels that occur in `expected`.

    Answers outside of these labels count as misses of the expected one and not as further labels: otherwise each
    new wording of a wrong answer would lower the mean.
    """
    from sklearn.metrics import f1_score

    labels = sorted(set(expected))
    return float(f1_score(expected, predicted, labels=labels, average="macro", zero_division=0))


def macro_f1_of_codes(expected: NDArray[Any], predicted: NDArray[Any], labels: int) -> float:
    """`macro_f1` of labels given as numbers below `labels`; a prediction equal to `labels` is none of them.

    30 µs where sklearn takes milliseconds: an interval calls it for each of 2,000 resamples.
    """
    support = np.bincount(expected, minlength=labels)
    answers = np.bincount(predicted, minlength=labels + 1)[:labels]
    hits = np.bincount(expected[expected == predicted], minlength=labels)
    present = support > 0
    return float(np.mean(2 * hits[present] / (support + answers)[present]))


def same_json(first: Any, second: Any) -> bool:
    """JSON equality: keys in any order, lists in order, 1 = 1.0, and true differs from 1."""
    if isinstance(first, dict) and isinstance(second, dict):
        return first.keys() == second.keys() and all(same_json(value, second[key]) for key, value in first.items())
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(map(same_json, first, second))
    return isinstance(first, bool) == isinstance(second, bool) and bool(first == second)


def field_counts(answer: Any, reference: Any) -> tuple[int, int, int]:
    """Matching, additional and missing fields of an answer, over flattened path=value pairs.

    Plain values of a list have no index (`person[]=Ann`), so that an additional entity does not shift the
    following ones; objects in a list have one (`items[0].name=Ann`). Empty objects and lists have no pairs.
    """
    have, want = Counter(_pairs(answer)), Counter(_pairs(reference))
    hits = (have & want).total()
    return hits, have.total() - hits, want.total() - hits


def counts_by_field(answer: Any, reference: Any) -> dict[str, tuple[int, int, int]]:
    """`field_counts` by field, with paths without list indices: `items.name`."""
    have, want = Counter(_pairs(answer)), Counter(_pairs(reference))
    sides: dict[str, list[int]] = {}
    for side, pairs in enumerate((have & want, have - want, want - have)):
        for (path, _, _), times in pairs.items():
            name = ".".join(step for step in path if isinstance(step, str)) or "(value)"
            sides.setdefault(name, [0, 0, 0])[side] += times
    return {name: (hits, extra, missed) for name, (hits, extra, missed) in sides.items()}


def json_reference(text: str, checks: Checks) -> Reference:
    """The reference that a text stands for where answers may be JSON: a document, or a text without one.

    Raises: InputError if the call site's answers must be JSON and the text is none.
    """
    try:
        value = parse_json(text)
    except ValueError as error:
        if checks.needs_json:
            raise InputError(f"the reference {text[:60]!r} is not JSON: {error}") from None
        value = None
    is_document = checks.needs_json or isinstance(value, dict | list)
    return Reference("json", value) if is_document else Reference("any_of_text", [text])


def _as_reference(request_type: RequestType, reference: str | Reference, checks: Checks) -> Reference:
    if isinstance(reference, str):
        names = METRICS.get(request_type, TEXT_METRICS)
        if "json_valid" in names:
            return json_reference(reference, checks)
        return Reference("label", reference.strip()) if "macro_f1" in names else Reference("any_of_text", [reference])
    expected: dict[str, type | tuple[type, ...]] = {"label": str, "label_set": (list, tuple), "json_any_of": dict}
    if not isinstance(reference.value, expected.get(reference.kind, object)) or reference.value == []:
        raise InputError(f"a reference of kind {reference.kind} cannot be {str(reference.value)[:60]!r}")
    return reference


def _score_json(answer: str | None, reference: Reference, failed: tuple[str, ...]) -> ItemScore:
    try:
        value = parse_json(answer or "")
    except ValueError:
        expected = _closest_forms({}, reference.value) if reference.kind == "json_any_of" else reference.value
        # An answer that is not JSON is wrong even if the reference is empty.
        _, _, missed = field_counts({}, expected) if expected is not None else (0, 0, 1)
        fields = counts_by_field({}, expected)
        detail = Detail(failed=failed, json_valid=False, hits=0, extra=1, missed=missed, fields=fields)
        return ItemScore(False, 0.0, detail)
    expected = _closest_forms(value, reference.value) if reference.kind == "json_any_of" else reference.value
    hits, extra, missed = field_counts(value, expected)
    fields = counts_by_field(value, expected)
    detail = Detail(failed=failed, json_valid=True, hits=hits, extra=extra, missed=missed, fields=fields)
    return ItemScore(same_json(value, expected), float(_micro_f1(2 * hits, 2 * hits + extra + missed)), detail)


def _closest_forms(answer: Any, accepted: dict[str, Any]) -> dict[str, Any]:
    """The reference object with, for each key, the accepted form that is closest to the answer's value."""
    fields = answer if isinstance(answer, dict) else {}

    def faults(form: Any, key: str) -> tuple[bool, int]:
        hits, extra, missed = field_counts(fields.get(key), form)
        return not same_json(fields.get(key), form), extra + missed - hits

    closest = {}
    for key, forms in accepted.items():
        choices = forms if isinstance(forms, list) and forms else [forms]
        closest[key] = min(choices, key=lambda form: faults(form, key))
    return closest


def _pairs(value: Any, path: tuple[object, ...] = ()) -> Iterable[tuple[tuple[object, ...], bool, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            nested = isinstance(inner, dict | list)
            yield from _pairs(inner, (*path, index if nested else ...))
    else:
        # True == 1 in Python, but not in JSON.
        yield (path, isinstance(value, bool), value)


def _score_text(answer: str | None, accepted: Sequence[str], failed: tuple[str, ...]) -> ItemScore:
    flat = " ".join((answer or "").split())
    accepted_texts = [" ".join(text.split()) for text in accepted]
    if answer is None:
        return ItemScore(False, 0.0, Detail(failed=failed, similarity=0.0, edit_similarity=0.0, chrf=0.0, gleu=0.0))
    similarity, edit, chrf = max(_similarity(flat, text) for text in accepted_texts)
    gleu = max(_sentence_gleu(flat, text) for text in accepted_texts)
    detail = Detail(failed=failed, similarity=similarity, edit_similarity=edit, chrf=chrf, gleu=gleu)
    return ItemScore(flat in accepted_texts, similarity, detail)


def _similarity(first: str, second: str) -> tuple[float, float, float]:
    """Mean of edit similarity and chrF, and the two, in [0, 1]."""
    if first == second:
        return 1.0, 1.0, 1.0
    from rapidfuzz.distance import Levenshtein

    edit = Levenshtein.normalized_similarity(first, second)
    chrf = _chrf().sentence_score(first, [second]).score / 100
    return (edit + chrf) / 2, edit, chrf


@functools.cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _sentence_gleu(answer: str, accepted: str) -> float:
    """The lower of precision and recall over all runs of one to four words."""
    if answer == accepted:
        return 1.0
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    # Languages without spaces between words are compared by character.
    tokenize = _tokenizer("char" if _UNSPACED.search(accepted) else "13a")
    have, want = (extract_all_word_ngrams(tokenize(text), 1, 4)[0] for text in (answer, accepted))
    return (have & want).total() / max(have.total(), want.total(), 1)


_UNSPACED = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff]")


@functools.cache
def _tokenizer(name: Literal["char", "13a"]) -> Any:
    from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
    from sacrebleu.tokenizers.tokenizer_char import TokenizerChar

    return (TokenizerChar if name == "char" else Tokenizer13a)()


def _score_label_set(answer: str | None, expected: set[str], failed: tuple[str, ...]) -> ItemScore:
    predicted = _labels(answer or "")
    hits = len(set(predicted) & expected)
    total = len(predicted) + len(expected)
    right = answer is not None and hits == len(predicted) == len(expected)
    return ItemScore(right, 2 * hits / total if total else float(right), Detail(failed=failed))


def _labels(answer: str) -> list[str]:
    """Labels of an answer: a JSON list, or a list separated by commas, semicolons or line ends."""
    try:
        listed = parse_json(answer)
    except ValueError:
        listed = None
    parts = map(str, listed) if isinstance(listed, list) else re.split(r"[,;\n]", answer)
    return [part.strip() for part in parts if part.strip()]


_NUMBER = re.compile(r"[-−]?(?:\d[\d,]*(?:\.\d+)?|(?<![\w.])\.\d+)(?:[eE][-+]?\d{1,3}(?!\w))?")


def _number(value: object) -> Decimal:
    number = _last_number(str(value))
    if number is None:
        raise InputError(f"the reference {str(value)[:60]!r} is not a number")
    return number


def _last_number(text: str) -> Decimal | None:
    """The last number of a text, which is the result in worked solutions (GSM8K's convention)."""
    numbers = _NUMBER.findall(text)
    return Decimal(numbers[-1].replace(",", "").replace("−", "-")) if numbers else None


def _metric(name: str, items: Sequence[ItemScore], out_of_scope: Sequence[str]) -> Metric | None:
    details = [item.detail for item in items]
    if name == "macro_f1":
        return _macro_f1_metric([(d.expected, d.predicted or "") for d in details if d.expected is not None])
    if name == "field_f1":
        return _field_f1_metric([(d.hits, d.extra or 0, d.missed or 0) for d in details if d.hits is not None])
    if name in ("similarity", "chrf", "gleu"):
        return _mean_metric([value for d in details if (value := getattr(d, name)) is not None])
    if name == "edit_distance":
        return _mean_metric([1 - d.edit_similarity for d in details if d.edit_similarity is not None])
    outcomes = {
        "accuracy": [item.correct for item in items],
        "format_ok": [not d.failed for d in details],
        "out_of_scope_recall": [
            item.correct for item in items if _is_out_of_scope(item.detail.expected or "", out_of_scope)
        ],
        "json_valid": [d.json_valid for d in details if d.json_valid is not None],
        "json_exact": [item.correct for item in items if item.detail.json_valid is not None],
    }[name]
    if not outcomes:
        return None
    right, n = sum(outcomes), len(outcomes)
    return Metric(right / n, statistics.proportion_interval(right, n), n)


def _is_out_of_scope(label: str, additional: Sequence[str]) -> bool:
    return label in additional or re.sub(r"[\s-]+", "_", label.strip().lower()) in OUT_OF_SCOPE


def _mean_metric(values: Sequence[float]) -> Metric | None:
    if not values:
        return None
    return Metric(float(np.mean(values)), statistics.mean_interval(values), len(values))


def _field_metrics(items: Sequence[ItemScore]) -> dict[str, Metric | None]:
    """F1 of each field over the items with that field in the answer or the reference."""
    counts: dict[str, list[tuple[int, int, int]]] = {}
    for item in items:
        for name, field_counts in item.detail.fields.items():
            counts.setdefault(name, []).append(field_counts)
    # A field that only occurs in wrong answers is not a field of the task.
    expected_counts = {
        name: sum(hits + missed for hits, _, missed in field_counts) for name, field_counts in counts.items()
    }
    frequent = sorted(
        (name for name in counts if expected_counts[name]), key=lambda name: (-expected_counts[name], name)
    )[:MOST_FIELDS]
    return {f"{FIELD_PREFIX}{name}": _field_f1_metric(counts[name]) for name in frequent}


def _macro_f1_metric(pairs: Sequence[tuple[str, str]]) -> Metric | None:
    if not pairs:
        return None
    expected, predicted = zip(*pairs, strict=True)
    numbers = {label: number for number, label in enumerate(sorted(set(expected)))}
    codes = [np.array([numbers.get(label, len(numbers)) for label in side]) for side in (expected, predicted)]

    def resampled(want: NDArray[Any], have: NDArray[Any]) -> float:
        return macro_f1_of_codes(want, have, len(numbers))

    interval = statistics.bootstrap_interval(codes, resampled, vectorized=False)
    return Metric(macro_f1(expected, predicted), interval, len(pairs))


def _field_f1_metric(counts: Sequence[tuple[int, int, int]]) -> Metric | None:
    if not counts:
        return None
    hits, extra, missed = np.array(counts).T
    agreeing, total = 2 * hits, 2 * hits + extra + missed

    def micro(agreeing: NDArray[Any], total: NDArray[Any], axis: int = -1) -> Any:
        return _micro_f1(agreeing.sum(axis=axis), total.sum(axis=axis))

    interval = statistics.bootstrap_interval([agreeing, total], micro)
    return Metric(float(micro(agreeing, total)), interval, len(counts))


def _micro_f1(agreeing: Any, total: Any) -> Any:
    """2 hits / (2 hits + extra + missed); 1 if reference and answer are both empty."""
    return np.where(np.equal(total, 0), 1.0, agreeing / np.maximum(total, 1))
