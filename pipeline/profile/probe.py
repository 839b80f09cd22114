"""A cheap classifier on the answers of a closed-label shape; its accuracy shows how hard the shape is.

A linear classifier on character n-grams and the share of repeated words (which indicates whether two records in a
message are the same), cross-validated with the messages on one item in one fold.
"""

import re
import warnings
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from pipeline.profile import template_lines
from pipeline.profile.comparison import likeness
from pipeline.profile.families import masked

MIN_ROWS = 20
MIN_PER_LABEL = 4
MIN_TEXTS = 30
"""Minimum distinct texts, ignoring numbers; with fewer, held-out texts have words that never occur in training."""
FEW_TEXTS = 0.75
"""Minimum share of distinct texts, if that is fewer than `MIN_TEXTS`."""
_FOLDS = 3
_WORD = re.compile(r"\w+")
_FEATURES = 20_000
_CHARS, _ITEM_CHARS = 1500, 400
_PROBED_MEMBERS = 8


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of the classifier."""

    rows: int
    labels: int
    accuracy: float
    majority: float
    """Accuracy of always predicting the most frequent label."""
    skill: float
    """Cohen's kappa: 0 is chance, 1 is perfect."""
    rows_per_label: float
    """Mean number of different items of a label, without the most frequent label, with those too rare to learn."""


def probe(
    texts: Sequence[str], labels: Sequence[str], max_rows: int = 600, groups: Sequence[str] | None = None
) -> ProbeResult | None:
    """Cross-validated accuracy of the classifier; None for too few rows or labels.

    `groups`: the whole messages, if `texts` lack their numbers or lists.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import make_pipeline, make_union
    from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
    from sklearn.svm import LinearSVC

    ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, max_features=_FEATURES)
    model = make_pipeline(
        make_union(
            make_pipeline(FunctionTransformer(_texts), ngrams),
            make_pipeline(FunctionTransformer(_repetition), OneHotEncoder(handle_unknown="ignore")),
        ),
        LinearSVC(class_weight="balanced", dual=True, max_iter=500),
    )
    inputs = [(t[:_CHARS], whole[:_CHARS]) for t, whole in zip(texts, groups or texts, strict=True)]
    return _validated(model, inputs, labels, groups or texts, max_rows)


def probe_comparison(messages: Sequence[str], labels: Sequence[str], max_rows: int = 600) -> ProbeResult | None:
    """The same for a classifier that sees only how alike the parts of each message are."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(100, min_samples_leaf=3, random_state=0)
    return _validated(model, likeness(messages), labels, messages, max_rows)


def _validated(
    model: Any, inputs: Sequence[Any], labels: Sequence[str], texts: Sequence[str], max_rows: int
) -> ProbeResult | None:
    """Cross-validated; inputs whose texts are on one item are in one fold."""
    counts = Counter(labels)
    items = _items(texts)
    different = Counter(label for _, label in set(zip(items, labels, strict=True)))
    rows = [row for row in zip(inputs, labels, items, strict=True) if counts[row[1]] >= MIN_PER_LABEL]
    rows = rows[:: max(1, -(-len(rows) // max_rows))]
    kept = Counter(label for _, label, _ in rows)
    folds = [group for _, _, group in rows]
    if len(rows) < MIN_ROWS or len(kept) < 2 or len(set(folds)) < min(MIN_TEXTS, FEW_TEXTS * len(rows)):
        return None
    from sklearn.metrics import cohen_kappa_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    truth = [label for _, label, _ in rows]
    split = list(GroupKFold(_FOLDS).split(rows, groups=folds))
    if any(len({truth[n] for n in train}) < 2 for train, _ in split):
        # One group holds nearly all rows of a label.
        return None
    with warnings.catch_warnings():
        # Warnings on too few iterations or rows: they only reduce the accuracy that is measured.
        warnings.simplefilter("ignore")
        predicted = cross_val_predict(model, [given for given, _, _ in rows], truth, cv=split)
    accuracy = sum(a == b for a, b in zip(truth, predicted, strict=True)) / len(truth)
    return ProbeResult(
        rows=len(rows),
        labels=len(kept),
        accuracy=round(accuracy, 4),
        majority=round(kept.most_common(1)[0][1] / len(rows), 4),
        skill=round(float(cohen_kappa_score(truth, predicted)), 4),
        rows_per_label=(different.total() - max(different.values())) / (len(counts) - 1),
    )


def _items(messages: Sequence[str]) -> list[str]:
    """What each message is about: its longest lines, half of its characters. The same item comes again with other
    numbers, or under another header.
    """
    items = []
    for message in template_lines.removed(messages):
        text = masked(message[:_CHARS].lower())
        lines = sorted(text.splitlines(), key=len, reverse=True)
        half = sum(map(len, lines)) / 2
        kept: list[str] = []
        while half > 0:
            kept.append(lines[len(kept)])
            half -= len(kept[-1])
        items.append("\n".join(kept)[:_ITEM_CHARS])
    return items


def _texts(rows: Sequence[tuple[str, str]]) -> list[str]:
    return [text for text, _ in rows]


def _repetition(rows: Sequence[tuple[str, str]]) -> list[list[int]]:
    """Share of a message's words that occur in it more than once, in fifths."""
    rows_of_words = []
    for _, whole in rows:
        counts = Counter(_WORD.findall(whole.lower()))
        rows_of_words.append([5 * sum(n > 1 for n in counts.values()) // max(1, len(counts))])
    return rows_of_words


def probe_sets(
    texts: Sequence[str],
    members: Sequence[Collection[str]],
    max_rows: int = 600,
    groups: Sequence[str] | None = None,
) -> ProbeResult | None:
    """`probe` for answers that are sets of labels: the mean over the most frequent labels, weighted by their rows."""
    counts = Counter(item for items in members for item in sorted(items))
    results = []
    for label, n in counts.most_common(_PROBED_MEMBERS):
        said = ["yes" if label in items else "no" for items in members]
        if (one := probe(texts, said, max_rows, groups)) is not None:
            results.append((n, one))
    total = sum(n for n, _ in results)
    if not total:
        return None
    return ProbeResult(
        rows=results[0][1].rows,
        labels=len(counts),
        accuracy=round(sum(n * one.accuracy for n, one in results) / total, 4),
        majority=round(sum(n * one.majority for n, one in results) / total, 4),
        skill=round(sum(n * one.skill for n, one in results) / total, 4),
        rows_per_label=round(sum(n * one.rows_per_label for n, one in results) / total, 4),
    )
