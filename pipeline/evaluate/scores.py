"""Scores of one candidate (`scores.yaml`): overall, weighted by traffic, per cohort, and paired with the incumbent."""

import datetime as dt
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from pipeline import metrics, statistics
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.config import Kind
from pipeline.evaluate.costs import Cost, Latency
from pipeline.evaluate.items import CALL_SITE, Items, ReferenceSource
from pipeline.evaluate.pairwise_judge import Judgement
from pipeline.metrics import ItemScore, Metric, TaskType
from pipeline.statistics import Interval
from traffic import config

FILE = "scores.yaml"


class Comparison(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Accuracy of this candidate minus another's on the same items."""

    against: str
    difference: float
    interval: Interval
    """95%, Tango's for paired proportions."""
    both: int
    """Items on which both are right."""
    only_this: int
    only_other: int
    neither: int
    score_difference: float | None = None
    """Mean difference of graded item scores (field F1, similarity); None for binary scores."""
    score_interval: Interval | None = None
    """95%, paired bootstrap."""


class Cohort(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scores of one cohort value."""

    n: int
    metrics: dict[str, Metric]
    comparison: Comparison | None = None
    requests: int | None = None
    """Logged requests that the items stand for; None in files of earlier versions."""


class Traffic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Scores with each item counted once per logged request that it stands for; intervals over clusters of items."""

    requests: int
    accuracy: Metric
    score: Metric
    """Mean item score: accuracy, field F1 or similarity."""
    difference: float | None = None
    """Accuracy minus the incumbent's; None for the incumbent."""
    interval: Interval | None = None


class Parts(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Composition of a cascade, and how many items each tier answered."""

    tier_1: str
    """Candidate that is asked first."""
    tier_2: str
    """Candidate that answers escalated requests."""
    evaluations: dict[str, str]
    """Candidate to folder of its evaluation below `evaluations/`, on the same items."""
    calibrations: dict[str, str]
    """Call site to folder of its calibration below `calibrations/`; other call sites escalate on failed checks only."""
    kept: int
    """Items answered by Tier 1."""
    kept_correct: int
    escalated: int
    """Items answered by Tier 2, after Tier 1 was asked."""
    escalated_correct: int
    requests: int | None = None
    """Logged requests that the items stand for; None in files of earlier versions."""
    escalated_requests: int | None = None

    @property
    def escalation(self) -> float:
        """Share of the requests that escalate."""
        if self.requests and self.escalated_requests is not None:
            return self.escalated_requests / self.requests
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
    """labels: human labels; logged: the dataset's completions, so that a score is agreement with the logged answers."""
    labels: str | None = None
    """SHA-256 of the labels file, or of the imported labels in use."""
    model: str | None = None
    """Model name as the server reports it."""
    adapter: str | None = None
    """`<task>@<hash8>`."""
    base_model: str | None = None
    simulated: bool = False
    deprecated_on: dt.date | None = None
    n: int
    failed: int
    """Items without an answer; they count as wrong."""
    without_label: int
    """Rows of the split that the labels file does not have; they are left out."""
    main_metric: str
    metrics: dict[str, Metric]
    """Over items: each distinct request counts once."""
    traffic: Traffic | None = None
    """Over requests: duplicates count as often as they were asked; None in files of earlier versions."""
    cohorts: dict[str, dict[str, Cohort]]
    """By cohort key and value; items without the key are in none."""
    comparison: Comparison | None = None
    """With the incumbent; None for the incumbent itself."""
    latency: Latency | None = None
    """One request at a time, if measured."""
    latency_loaded: Latency | None = None
    """At the concurrency of the quality measurement."""
    cost: Cost
    parts: Parts | None = None
    """Composition of a cascade."""
    judge: Judgement | None = None
    """Verdicts of an LLM judge on free texts; informative only."""
    paid_usd: float | None = None
    """What the answers of a hosted model cost to obtain, in this run or earlier; a batch API costs less than live."""
    notes: tuple[str, ...] = ()
    created_at: dt.datetime | None = None
    """When it was last made with this content (UTC): decides which one is current."""
    mlflow_run_id: str | None = None


def load(folder: Path) -> Scores:
    """`scores.yaml` of an evaluation's folder. Raises: NotFound, ConfigError."""
    return config.load(folder / FILE, Scores, renamed={"created": "created_at"})


class Graded(NamedTuple):
    """A candidate's answers with the score of each; one entry per item, in the order of the items."""

    candidate: str
    answers: list[Answer]
    scores: list[ItemScore]


def grade(candidate: str, items: Items, answers: Sequence[Answer]) -> Graded:
    """Score answers that are in the order of the items; an item without a usable answer is wrong."""
    sites = items.dataset.call_sites
    scores = [
        metrics.score(
            sites[item.call_site].request_type,
            answer.text,
            item.reference,
            sites[item.call_site].checks,
            answer.finish_reason,
        )
        for item, answer in zip(items.items, answers, strict=True)
    ]
    return Graded(candidate, list(answers), scores)


def main_metric(names: Collection[str]) -> str:
    """The metric that ranks candidates of a task, among those available."""
    return next((name for name in ("json_exact", "similarity") if name in names), "accuracy")


def compare(against: str, this: Sequence[ItemScore], other: Sequence[ItemScore]) -> Comparison:
    """Paired comparison on the same items in the same order. Raises: ValueError without items."""
    pairs = [(a.correct, b.correct) for a, b in zip(this, other, strict=True)]
    both_right, only_this = pairs.count((True, True)), pairs.count((True, False))
    only_other, neither = pairs.count((False, True)), pairs.count((False, False))
    interval = statistics.paired_difference_interval(both_right, only_this, only_other, neither)
    difference = (only_this - only_other) / len(pairs)
    graded = any(score.score not in (0, 1) for score in (*this, *other))
    differences = [a.score - b.score for a, b in zip(this, other, strict=True)] if graded else []
    return Comparison(
        against,
        difference,
        interval,
        both_right,
        only_this,
        only_other,
        neither,
        sum(differences) / len(differences) if graded else None,
        _difference_interval(differences) if graded else None,
    )


def traffic(items: Items, this: Sequence[ItemScore], incumbent: Sequence[ItemScore] | None) -> Traffic:
    """Scores over requests instead of items."""
    weights, clusters = items.requests, items.clusters
    total = sum(weights)

    def mean(values: Sequence[float]) -> Metric:
        value = sum(v * w for v, w in zip(values, weights, strict=True)) / total
        return Metric(value, statistics.cluster_bootstrap_interval(values, clusters, weights=weights), total)

    difference, interval = None, None
    if incumbent is not None:
        gaps = [float(a.correct) - float(b.correct) for a, b in zip(this, incumbent, strict=True)]
        gap = mean(gaps)
        difference, interval = gap.value, gap.interval
    return Traffic(
        requests=total,
        accuracy=mean([float(score.correct) for score in this]),
        score=mean([score.score for score in this]),
        difference=difference,
        interval=interval,
    )


def by_cohort(
    items: Items,
    this: Sequence[ItemScore],
    against: str | None,
    other: Sequence[ItemScore] | None,
    out_of_scope: Sequence[str] = (),
) -> dict[str, dict[str, Cohort]]:
    """Scores of each value of each cohort key, largest first."""
    members: dict[str, dict[str, list[int]]] = {}
    for index, item in enumerate(items.items):
        for key, value in item.cohort.items():
            members.setdefault(key, {}).setdefault(value, []).append(index)

    def cohort(key: str, value: str, indices: Sequence[int]) -> Cohort:
        cohort_scores = [this[index] for index in indices]
        comparison = None
        if against is not None and other is not None:
            comparison = compare(against, cohort_scores, [other[index] for index in indices])
        # A call site of a mixed task has the metrics of its own request type.
        kind = items.dataset.call_sites[value].request_type if key == CALL_SITE else items.request_type
        requests = sum(items.items[index].requests for index in indices)
        return Cohort(len(indices), metrics.aggregate(kind, cohort_scores, out_of_scope), comparison, requests)

    return {
        key: {
            value: cohort(key, value, indices)
            for value, indices in sorted(values.items(), key=lambda pair: (-len(pair[1]), pair[0]))
        }
        for key, values in sorted(members.items())
    }


def _difference_interval(differences: Sequence[float]) -> Interval:
    # Shifted into [0, 1], where the bootstrap has a bound for items that are all alike.
    shifted = statistics.mean_interval([(difference + 1) / 2 for difference in differences])
    return Interval(2 * shifted.low - 1, 2 * shifted.high - 1, shifted.level)
