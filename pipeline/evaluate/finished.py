"""Selects finished evaluations of the same items: Tier 1, Tier 2 and the incumbent."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipeline.evaluate import scores as scores_
from pipeline.evaluate.scores import Scores
from traffic import artifacts
from traffic.artifacts import Home


class Related(NamedTuple):
    """Evaluations of the same items."""

    tier_1: Path
    tier_2: Path | None
    """None if that candidate was not evaluated on these items."""
    incumbent: Path | None
    """The candidate that the others are compared with."""


def related(home: Home, dataset: str, split: str, tier_1: str, tier_2: str, adapter: str | None) -> Related | None:
    """The best evaluation of `tier_1` on a split, with those of the other candidates on the same items.

    Human labels rank before agreement with the log, then more items before fewer, then newer before older.
    """
    every = [
        (evaluation.path, scores_.load(evaluation.path))
        for evaluation in artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split)
    ]
    evaluations = [pair for pair in every if pair[1].candidate == tier_1 and pair[1].adapter == adapter]
    if not evaluations:
        return None
    # `listed` has the newest first, and `max` returns the first of equals.
    folder, chosen = max(evaluations, key=lambda pair: (pair[1].reference == "labels", pair[1].n))
    same_items = [pair for pair in every if _same_items(pair[1], chosen)]
    incumbent = _first(same_items, kind="teacher")
    if incumbent is None and chosen.comparison is not None:
        incumbent = _first(same_items, name=chosen.comparison.against)
    return Related(folder, _first(same_items, name=tier_2), incumbent)


def _same_items(scores: Scores, other: Scores) -> bool:
    return (scores.reference, scores.labels, scores.n) == (other.reference, other.labels, other.n)


def _first(
    evaluations: Sequence[tuple[Path, Scores]], *, name: str | None = None, kind: str | None = None
) -> Path | None:
    return next((folder for folder, scores in evaluations if scores.candidate == name or scores.kind == kind), None)
