"""Selects the evaluations that a decision is based on: the newest of each candidate, all on the same items."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pipeline import dataset as datasets
from pipeline import store
from pipeline.dataset import TaskDataset
from pipeline.decide.config import ClusterBy, DecideConfig
from pipeline.evaluate import predictions
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.candidates import cascade
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.scores import Parts, Scores
from pipeline.gate import label_groups as label_groups_
from pipeline.gate.cohorts import Cohort
from pipeline.gate.label_groups import LabelGroups
from traffic import artifacts, deployments
from traffic.artifacts import Home
from traffic.errors import NotFound

UNKNOWN = deployments.UNKNOWN
"""Cohort value of requests that do not have the key."""
_STORED = {"session": "session_id", "user": "user_id", "customer": "customer_id"}
_NOT_COHORTS = ("label_source",)
"""Keys that `evaluate` adds for its own tables; not groups of users."""


class Item(NamedTuple):
    """One item with a candidate's score."""

    correct: bool
    score: float
    cohort: dict[str, str]
    output: str | None = None
    label_source: str = "teacher"
    cluster: str | None = None
    """Items that share it are not independent; None: independent of all others."""
    requests: int = 1
    """Logged requests that it stands for."""


class Evaluated(NamedTuple):
    """One candidate's evaluation."""

    folder: Path
    sha256: str
    """Of scores.yaml without `created_at`."""
    scores: Scores
    items: dict[str, Item]
    """By record id."""

    @property
    def name(self) -> str:
        """Candidate name."""
        return self.scores.candidate


class Evidence(NamedTuple):
    """Evaluations on the same items."""

    reference: Evaluated
    """The incumbent: the logged answers, else the candidate that the others were compared with."""
    evaluated: tuple[Evaluated, ...]
    """All evaluations, the incumbent first."""
    left_out: dict[str, str]
    """Candidate to reason: evaluated on other items, or an outdated cascade."""

    @property
    def requests(self) -> int:
        """Logged requests that the items stand for."""
        return sum(item.requests for item in self.reference.items.values())

    def calibrations(self, candidate: str | None) -> dict[str, str] | None:
        """Calibration of each call site that a cascade was evaluated with; None for other candidates."""
        parts = [evaluation.scores.parts for evaluation in self.evaluated if evaluation.name == candidate]
        return dict(parts[0].calibrations) if parts and parts[0] is not None else None


_DEFAULTS = DecideConfig()


def read(home: Home, dataset: str, settings: DecideConfig = _DEFAULTS) -> Evidence:
    """The evidence on a dataset (`<task>@<hash8>`).

    Human labels rank before agreement with the log, then more items before fewer, then newer before older. The newest
    evaluation of each candidate on those items counts.

    Raises: NotFound without evaluations or without the incumbent; ConfigError or InputError for broken ones.
    """
    split = settings.split
    evaluations = artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split)
    if not evaluations:
        raise NotFound(
            f"no evaluation of {dataset} ({split} split) in {home.evaluations}; "
            f"run `fasttier evaluate --dataset {dataset}`"
        )
    folder = home.dataset(dataset)
    card = datasets.load(folder)
    # Oldest first: later evaluations of a candidate replace earlier ones below.
    every = [_load(evaluation.path) for evaluation in reversed(evaluations)]
    # Superseded cascades are removed first: repeating an earlier calibration makes an older cascade count again.
    reasons = [_superseded(e, home, card) for e in every]
    superseded = {e.name: reason for e, reason in zip(every, reasons, strict=True) if reason is not None}
    every = [e for e, reason in zip(every, reasons, strict=True) if reason is None]
    group = _largest_group(every)
    outdated = {name: reason for name, e in group.items() if (reason := _outdated(e, group)) is not None}
    grouping = _grouping(home, folder, card, settings)
    group = {name: e._replace(items=grouping.apply(e.items)) for name, e in group.items() if name not in outdated}
    reference = _reference(group, settings.incumbent)
    others = [e for name, e in sorted(group.items()) if name != reference.name]
    item_count = len(reference.items)
    left_out = {
        e.name: f"was evaluated on {len(e.items)} items {_against(e)}, not on the {item_count} that count"
        for e in every
        if e.name not in group
    }
    gone = {name: reason for name, reason in superseded.items() if name not in group and name not in left_out}
    return Evidence(reference, (reference, *others), gone | left_out | outdated)


def cohorts(
    items: Mapping[str, Item], at_least: int, keys: Sequence[str] | None = None
) -> dict[Cohort, frozenset[str]]:
    """Record ids by cohort key and value, for cohorts with enough items; the largest first within a key.

    `keys`: only these and label groups; None: all. Items without a key that others have get the value "unknown".
    """
    present = {key for item in items.values() for key in item.cohort}
    chosen = present if keys is None else present & {*keys, label_groups_.KEY}
    members: dict[Cohort, set[str]] = {}
    for record_id, item in items.items():
        for key in chosen:
            members.setdefault(Cohort(key, item.cohort.get(key, UNKNOWN)), set()).add(record_id)
    large = {cohort: frozenset(ids) for cohort, ids in members.items() if len(ids) >= at_least}
    return dict(sorted(large.items(), key=lambda pair: (pair[0].key, -len(pair[1]), pair[0].value)))


def _load(folder: Path) -> Evaluated:
    items = {row.record_id: _item(row) for row in predictions.read(folder)}
    return Evaluated(folder, artifacts.content_sha256(folder / scores_.FILE), scores_.load(folder), items)


def _item(row: Prediction) -> Item:
    return Item(
        correct=row.correct,
        score=row.score,
        cohort={key: value for key, value in row.cohort.items() if value and key not in _NOT_COHORTS},
        output=row.output,
        label_source=row.cohort.get("label_source") or "teacher",
        requests=row.requests,
    )


def _largest_group(every: Sequence[Evaluated]) -> dict[str, Evaluated]:
    """The evaluations that count, by candidate, of those on the same items; `every` is oldest first."""
    groups: dict[tuple[str, str | None, frozenset[str]], dict[str, Evaluated]] = {}
    latest: dict[tuple[str, str | None, frozenset[str]], int] = {}
    for index, evaluation in enumerate(every):
        key = (evaluation.scores.reference, evaluation.scores.labels, frozenset(evaluation.items))
        groups.setdefault(key, {})[evaluation.name] = evaluation
        latest[key] = index
    return groups[max(groups, key=lambda key: (key[0] == "labels", len(key[2]), latest[key]))]


def _superseded(evaluation: Evaluated, home: Home, card: TaskDataset) -> str | None:
    """Why a cascade's thresholds are not the current ones; None if they are, and for other candidates."""
    parts = evaluation.scores.parts
    if parts is None:
        return None
    for site, path in cascade.calibrated(home, card, parts.tier_1, evaluation.scores.adapter).items():
        if parts.calibrations.get(site) != path.parent.name:
            return f"its threshold is older than {path.parent.name}; {_again(parts)}"
    return None


def _outdated(evaluation: Evaluated, group: Mapping[str, Evaluated]) -> str | None:
    """Why a cascade is not computed from the current evaluations; None if it is."""
    parts = evaluation.scores.parts
    for name, folder in sorted(parts.evaluations.items()) if parts is not None else ():
        if name in group and group[name].folder.name != folder:
            assert parts is not None
            return f"computed from {folder}, which {group[name].folder.name} has replaced; {_again(parts)}"
    return None


def _again(parts: Parts) -> str:
    return f"run `fasttier calibrate --candidate {parts.tier_1} --tier-2 {parts.tier_2}`"


class _Grouping(NamedTuple):
    """Cluster and label group of each row of the split."""

    clusters: Mapping[str, str | None]
    labels: Mapping[str, str]
    """Label group by record id, for tasks with a label set."""

    def apply(self, items: Mapping[str, Item]) -> dict[str, Item]:
        """The items with their clusters and label groups."""
        return {
            record_id: item._replace(
                cluster=self.clusters.get(record_id),
                cohort=item.cohort | ({label_groups_.KEY: self.labels[record_id]} if record_id in self.labels else {}),
            )
            for record_id, item in items.items()
        }


def _grouping(home: Home, folder: Path, card: TaskDataset, settings: DecideConfig) -> _Grouping:
    rows = _rows(folder, settings.split)
    clusters: Mapping[str, str | None] = {row["record_id"]: row.get("group") for row in rows}
    if settings.cluster_by != "group":
        clusters = _stored(home, settings.cluster_by, list(clusters))
    closed = {site for site, prompts in card.call_sites.items() if prompts.checks.labels}
    trained: dict[str, list[str]] = {site: [] for site in closed}
    for row in _rows(folder, "train") if closed else ():
        if row["call_site"] in closed:
            trained[row["call_site"]].append(row["completion"][0]["content"])
    groups = {site: LabelGroups(labels, settings.label_groups) for site, labels in trained.items()}
    labels = {
        row["record_id"]: groups[row["call_site"]].of(row["completion"][0]["content"])
        for row in rows
        if row["call_site"] in groups
    }
    return _Grouping(clusters, labels)


def _rows(folder: Path, split: str) -> list[dict[str, Any]]:
    table = datasets.read_split(folder, split)
    columns = ("record_id", "call_site", "completion", "group")
    rows: list[dict[str, Any]] = table.select([name for name in columns if name in table.column_names]).to_pylist()
    return rows


def _stored(home: Home, by: ClusterBy, ids: list[str]) -> dict[str, str | None]:
    """Session, user or customer of each record that has one."""
    column = _STORED[by]
    with store.connect(home) as connection:
        query = f"SELECT id, {column} FROM records WHERE {column} IS NOT NULL AND id IN (SELECT unnest($ids))"  # noqa: S608  (a constant)
        return dict(connection.execute(query, {"ids": ids}).fetchall())


def _reference(group: dict[str, Evaluated], incumbent: str | None) -> Evaluated:
    names = ", ".join(sorted(group))
    if incumbent is not None:
        if incumbent not in group:
            raise NotFound(f"incumbent: {incumbent!r} was not evaluated on these items; evaluated: {names}")
        return group[incumbent]
    teacher = [evaluation for evaluation in group.values() if evaluation.scores.kind == "teacher"]
    compared_with = [evaluation for evaluation in group.values() if evaluation.scores.comparison is None]
    candidates = teacher or compared_with
    if not candidates:
        raise NotFound(f"{names} have no incumbent on these items; add a candidate of kind teacher and evaluate again")
    return candidates[-1]


def _against(evaluation: Evaluated) -> str:
    return "against human labels" if evaluation.scores.reference == "labels" else "against the logged answers"
