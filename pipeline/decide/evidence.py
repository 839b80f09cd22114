"""The evaluations that a decision rests on: the newest of each candidate, all on the same items."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import dataset as datasets
from pipeline import store
from pipeline.dataset import TaskDataset
from pipeline.decide.config import ClusterBy
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.candidates import cascade
from pipeline.evaluate.scores import Parts, Scores
from pipeline.gate import label_groups as label_groups_
from pipeline.gate.cohorts import Cohort
from pipeline.gate.label_groups import LabelGroups
from traffic import artifacts, deployments
from traffic.artifacts import Home
from traffic.errors import InputError, NotFound

UNKNOWN = deployments.UNKNOWN
"""Cohort value of requests that do not have the key."""
_COLUMNS = ["record_id", "correct", "score", "output", "cohort"]
_STORED = {"session": "session_id", "user": "user_id", "customer": "customer_id"}
_NOT_COHORTS = ("label_source",)
"""Keys that `evaluate` adds for its own tables: no group of users."""


class Item(NamedTuple):
    """One row of `predictions.parquet`."""

    correct: bool
    score: float
    cohort: dict[str, str]
    output: str | None = None
    label_source: str = "teacher"
    cluster: str | None = None
    """Items that share it are not independent; None: it has no like."""


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
        return self.scores.candidate


class Evidence(NamedTuple):
    reference: Evaluated
    """The logged answers; where they were not evaluated, the candidate that the others were compared with."""
    evaluated: tuple[Evaluated, ...]
    """All of them, the reference first; the same items in each."""
    left_out: dict[str, str]
    """Candidate to reason: evaluated, but on other items, or a cascade of what no longer counts."""

    def calibrations(self, candidate: str | None) -> dict[str, str] | None:
        """Of a cascade, the calibration of each call site that it was judged with; None for what is no cascade."""
        parts = [each.scores.parts for each in self.evaluated if each.name == candidate]
        return dict(parts[0].calibrations) if parts and parts[0] is not None else None


def read(
    home: Home,
    dataset: str,
    split: str,
    *,
    incumbent: str | None = None,
    cluster_by: ClusterBy = "group",
    label_groups: Mapping[str, Sequence[str]] | None = None,
) -> Evidence:
    """The evidence on a dataset (`<task>@<hash8>`).

    `incumbent`: the candidate that the others are tested against; None: the logged answers.

    Scores against human labels go before agreement with the log, then more items before fewer, then
    newer before older. Of a candidate that was evaluated twice on those items the newest counts.

    Raises: NotFound without evaluations, or of the incumbent; ConfigError or InputError for broken ones.
    """
    evaluations = artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split)
    # Oldest first: of a candidate that was evaluated twice, the later one replaces the earlier one below.
    found = [_load(each.path) for each in reversed(evaluations)]
    if not found:
        raise NotFound(
            f"no evaluation of {dataset} ({split} split) in {home.evaluations}; "
            f"run `fasttier evaluate --dataset {dataset}`"
        )
    # Before the newest of each name is taken: calibrating again as before brings an older cascade back.
    card = datasets.load(home.dataset(dataset))
    superseded = {each.name: why for each in found if (why := _superseded(each, home, card)) is not None}
    found = [each for each in found if _superseded(each, home, card) is None]
    groups: dict[tuple[str, str | None, frozenset[str]], dict[str, Evaluated]] = {}
    for each in found:
        key = (each.scores.reference, each.scores.labels, frozenset(each.items))
        groups.setdefault(key, {})[each.name] = each
    order = {each.folder: place for place, each in enumerate(found)}
    latest = {key: max(order[each.folder] for each in group.values()) for key, group in groups.items()}
    chosen = max(groups, key=lambda key: (key[0] == "labels", len(key[2]), latest[key]))
    group = groups[chosen]
    stale = {name: why for name, each in group.items() if (why := _stale(each, group)) is not None}
    group = {name: each for name, each in group.items() if name not in stale}
    group = _placed(group, home, dataset, split, cluster_by, label_groups or {})
    reference = _reference(group, incumbent)
    others = [each for name, each in sorted(group.items()) if name != reference.name]
    left_out = {
        each.name: f"was evaluated on {len(each.items)} items {_against(each)}, not on the {len(chosen[2])} that count"
        for each in found
        if each.name not in group
    }
    gone = {name: why for name, why in superseded.items() if name not in group and name not in left_out}
    return Evidence(reference, (reference, *others), gone | left_out | stale)


def cohorts(
    items: Mapping[str, Item], at_least: int, keys: Sequence[str] | None = None
) -> dict[Cohort, frozenset[str]]:
    """Record ids by cohort key and value, where there are enough of them; the largest first within a key.

    `keys`: only these, and label groups; None: all. Items without a key that others have are its value "unknown".
    """
    there = {key for item in items.values() for key in item.cohort}
    chosen = there if keys is None else there & {*keys, label_groups_.KEY}
    members: dict[Cohort, set[str]] = {}
    for record_id, item in items.items():
        for key in chosen:
            members.setdefault(Cohort(key, item.cohort.get(key, UNKNOWN)), set()).add(record_id)
    large = {cohort: frozenset(ids) for cohort, ids in members.items() if len(ids) >= at_least}
    return dict(sorted(large.items(), key=lambda pair: (pair[0].key, -len(pair[1]), pair[0].value)))


def _superseded(each: Evaluated, home: Home, card: TaskDataset) -> str | None:
    """Why a cascade's thresholds are not those that count now; None where they are, and of any other candidate."""
    parts = each.scores.parts
    if parts is None:
        return None
    for site, path in cascade.calibrated(home, card, parts.tier_1, each.scores.adapter).items():
        if parts.calibrations.get(site) != path.parent.name:
            return f"is made with another threshold than {path.parent.name}, which counts now; {_again(parts)}"
    return None


def _stale(each: Evaluated, group: Mapping[str, Evaluated]) -> str | None:
    """Why a cascade does not stand for the evaluations that count: its answers are of others; None where it does."""
    parts = each.scores.parts
    for name, folder in sorted(parts.evaluations.items()) if parts is not None else ():
        if name in group and group[name].folder.name != folder:
            assert parts is not None
            return f"is made of {folder}, and {group[name].folder.name} counts now; {_again(parts)}"
    return None


def _again(parts: Parts) -> str:
    return f"`fasttier calibrate --candidate {parts.tier_1} --tier-2 {parts.tier_2}` makes it anew"


def _placed(
    group: dict[str, Evaluated],
    home: Home,
    dataset: str,
    split: str,
    cluster_by: ClusterBy,
    named: Mapping[str, Sequence[str]],
) -> dict[str, Evaluated]:
    """The evaluations with each item's cluster and, where answers are labels, its label group."""
    folder = home.dataset(dataset)
    rows = {row["record_id"]: row for row in _rows(folder, split)}
    clusters: dict[str, str | None] = {record_id: row.get("group") for record_id, row in rows.items()}
    if cluster_by != "group":
        clusters = dict(_stored(home, _STORED[cluster_by], list(rows)))
    sites = datasets.load(folder).call_sites
    closed = {site for site, prompts in sites.items() if prompts.checks.labels}
    trained: dict[str, list[str]] = {site: [] for site in closed}
    for row in _rows(folder, "train") if closed else ():
        if row["call_site"] in closed:
            trained[row["call_site"]].append(row["completion"][0]["content"])
    groups = {site: LabelGroups(labels, named) for site, labels in trained.items()}

    def placed(record_id: str, item: Item) -> Item:
        row = rows.get(record_id)
        if row is None:
            return item
        found = groups.get(row["call_site"])
        label = {label_groups_.KEY: found.of(row["completion"][0]["content"])} if found else {}
        return item._replace(cluster=clusters.get(record_id), cohort=item.cohort | label)

    return {
        name: each._replace(items={record_id: placed(record_id, item) for record_id, item in each.items.items()})
        for name, each in group.items()
    }


def _rows(folder: Path, split: str) -> list[dict[str, Any]]:
    table = datasets.read_split(folder, split)
    columns = ("record_id", "call_site", "completion", "group")
    rows: list[dict[str, Any]] = table.select([name for name in columns if name in table.column_names]).to_pylist()
    return rows


def _stored(home: Home, column: str, ids: list[str]) -> dict[str, str]:
    """A column of the records; where it is null, what the item hangs together with is not known."""
    with store.connect(home) as connection:
        query = f"SELECT id, {column} FROM records WHERE {column} IS NOT NULL AND id IN (SELECT unnest($ids))"  # noqa: S608  (a constant)
        return dict(connection.execute(query, {"ids": ids}).fetchall())


def _reference(group: dict[str, Evaluated], incumbent: str | None) -> Evaluated:
    if incumbent is not None:
        if incumbent not in group:
            names = ", ".join(sorted(group))
            raise NotFound(f"incumbent: {incumbent!r} was not evaluated on these items; there are: {names}")
        return group[incumbent]
    teacher = [each for each in group.values() if each.scores.kind == "teacher"]
    compared_with = [each for each in group.values() if each.scores.comparison is None]
    found = teacher or compared_with
    if not found:
        names = ", ".join(sorted(group))
        raise NotFound(f"{names} have no reference on these items; add a candidate of kind teacher and evaluate again")
    return found[-1]


def _load(folder: Path) -> Evaluated:
    path = folder / "predictions.parquet"
    try:
        rows = pq.read_table(path, columns=_COLUMNS).to_pylist()
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: cannot be read ({error}); run `fasttier evaluate` again") from None
    items = {
        row["record_id"]: Item(
            row["correct"],
            row["score"],
            {key: value for key, value in (row["cohort"] or {}).items() if value and key not in _NOT_COHORTS},
            row["output"],
            (row["cohort"] or {}).get("label_source") or "teacher",
        )
        for row in rows
    }
    return Evaluated(folder, artifacts.content_sha256(folder / scores_.FILE), scores_.load(folder), items)


def _against(each: Evaluated) -> str:
    return "against human labels" if each.scores.reference == "labels" else "against the logged answers"
