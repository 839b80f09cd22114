"""Scores of one candidate (`scores.yaml`): overall, per cohort, and paired with the reference candidate."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from pipeline import metrics, statistics
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates import Kind
from pipeline.evaluate.costs import Cost, Latency
from pipeline.evaluate.items import CALL_SITE, Items, ReferenceSource
from pipeline.evaluate.judge import Judgement
from pipeline.metrics import ItemScore, Metric, TaskType
from pipeline.statistics import Interval
from traffic import config

FILE = "scores.yaml"


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accuracy of this candidate minus another's on the same items; the counts say who is right."""

    against: str
    difference: float
    interval: Interval
    """95%, Tango's for paired proportions."""
    both: int
    only_this: int
    only_other: int
    neither: int
    score_difference: float | None = None
    """Mean difference of the items' scores (field F1, similarity); None where a score is right or wrong only."""
    score_interval: Interval | None = None
    """95%, by paired bootstrap."""


class Cohort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of one cohort key."""

    n: int
    metrics: dict[str, Metric]
    comparison: Comparison | None = None


class Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a cascade is made of, and which part answered how many of its items."""

    tier_1: str
    """Candidate that is asked first."""
    tier_2: str
    """Candidate that answers what escalates."""
    evaluations: dict[str, str]
    """Folder of each candidate's evaluation, below `evaluations/`: of the same items."""
    calibrations: dict[str, str]
    """Folder of the calibration of each call site, below `calibrations/`; other call sites escalate by their checks."""
    kept: int
    """Items that Tier 1 answered."""
    kept_correct: int
    escalated: int
    """Items that Tier 2 answered, after Tier 1 was asked too."""
    escalated_correct: int

    @property
    def escalation(self) -> float:
        """Share of the items that escalated."""
        return self.escalated / (self.kept + self.escalated)


class Scores(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`scores.yaml`."""

    schema_version: Literal[1, 2] = 2
    candidate: str
    kind: Kind
    task: str
    request_type: TaskType
    dataset: str
    """`<task>@<hash8>`."""
    split: str
    reference: ReferenceSource
    """labels: human labels; logged: the dataset's completions, so a score is agreement with the logged answers."""
    labels: str | None = None
    """SHA-256 of the labels file, or of the imported labels that were used."""
    model: str | None = None
    """As the server names it."""
    adapter: str | None = None
    """`<task>@<hash8>`."""
    base_model: str | None = None
    simulated: bool = False
    deprecated_on: dt.date | None = None
    n: int
    failed: int
    """Items without an answer; they count as wrong."""
    without_label: int
    """Rows of the split that the labels do not have: left out."""
    main_metric: str
    metrics: dict[str, Metric]
    cohorts: dict[str, dict[str, Cohort]]
    """By cohort key and value; items without the key are in none."""
    comparison: Comparison | None = None
    """None for the reference candidate itself."""
    latency: Latency | None = None
    """One request at a time where that was measured."""
    latency_loaded: Latency | None = None
    """At the concurrency at which quality was measured."""
    cost: Cost
    parts: Parts | None = None
    """Of a cascade."""
    judge: Judgement | None = None
    """What a model thinks of its free texts: beside the metrics, never instead of them."""
    paid_usd: float | None = None
    """What these answers of a hosted model cost to get, whenever that was; through a batch API less than in use."""
    notes: tuple[str, ...] = ()
    created_at: dt.datetime | None = None
    """When it was last made with this content (UTC): decides which one is current."""
    mlflow_run_id: str | None = None


def load(folder: Path) -> Scores:
    """`scores.yaml` of an evaluation's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, Scores, renamed={"created": "created_at"})


def main_metric(found: Collection[str]) -> str:
    """The metric by which candidates of a task are told apart first, of those that were found."""
    return next((name for name in ("json_exact", "similarity") if name in found), "accuracy")


def score_items(items: Items, answers: Mapping[str, Answer]) -> list[ItemScore]:
    """A score per item, in the order of the items; an item without a good answer is wrong."""
    return [
        metrics.score(
            items.dataset.call_sites[item.call_site].request_type,
            answers[item.record_id].text,
            item.reference,
            items.dataset.call_sites[item.call_site].checks,
            answers[item.record_id].finish_reason,
        )
        for item in items.items
    ]


def compare(against: str, this: Sequence[ItemScore], other: Sequence[ItemScore]) -> Comparison:
    """Paired comparison on the same items in the same order. Raises: ValueError without items."""
    pairs = [(a.correct, b.correct) for a, b in zip(this, other, strict=True)]
    both, only_this = pairs.count((True, True)), pairs.count((True, False))
    only_other, neither = pairs.count((False, True)), pairs.count((False, False))
    interval = statistics.paired_difference_interval(both, only_this, only_other, neither)
    difference = (only_this - only_other) / len(pairs)
    graded = any(score.score not in (0, 1) for score in (*this, *other))
    differences = [a.score - b.score for a, b in zip(this, other, strict=True)] if graded else []
    return Comparison(
        against,
        difference,
        interval,
        both,
        only_this,
        only_other,
        neither,
        sum(differences) / len(differences) if graded else None,
        _difference_interval(differences) if graded else None,
    )


def _difference_interval(differences: Sequence[float]) -> Interval:
    # Shifted into [0, 1], where the bootstrap also knows what to say of items that are all alike.
    shifted = statistics.mean_interval([(difference + 1) / 2 for difference in differences])
    return Interval(2 * shifted.low - 1, 2 * shifted.high - 1, shifted.level)


def by_cohort(
    items: Items,
    scored: Sequence[ItemScore],
    against: str | None,
    other: Sequence[ItemScore] | None,
    out_of_scope: Sequence[str] = (),
) -> dict[str, dict[str, Cohort]]:
    """Scores of each value of each cohort key, the largest first."""
    places: dict[str, dict[str, list[int]]] = {}
    for place, item in enumerate(items.items):
        for key, value in item.cohort.items():
            places.setdefault(key, {}).setdefault(value, []).append(place)
    found: dict[str, dict[str, Cohort]] = {}
    for key, values in sorted(places.items()):
        found[key] = {}
        for value, members in sorted(values.items(), key=lambda pair: (-len(pair[1]), pair[0])):
            own = [scored[place] for place in members]
            comparison = None
            if against is not None and other is not None:
                comparison = compare(against, own, [other[place] for place in members])
            scores = metrics.aggregate(_type(items, key, value), own, out_of_scope)
            found[key][value] = Cohort(len(members), scores, comparison)
    return found


def _type(items: Items, key: str, value: str) -> TaskType:
    """A call site of a mixed task has the metrics of its own request type."""
    return items.dataset.call_sites[value].request_type if key == CALL_SITE else items.request_type
