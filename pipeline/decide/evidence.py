"""The evaluations that a decision rests on: the newest of each candidate, all on the same items."""

import datetime as dt
import hashlib
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.evaluate import scores as scores_
from pipeline.evaluate.scores import Scores
from traffic.errors import InputError, NotFound
from traffic.home import Home

_COLUMNS = ["record_id", "correct", "score", "cohort"]
_NOT_COHORTS = ("label_source",)
"""Keys that `evaluate` adds for its own tables: no group of users."""


class Item(NamedTuple):
    """One row of `predictions.parquet`."""

    correct: bool
    score: float
    cohort: dict[str, str]


class Evaluated(NamedTuple):
    """One candidate's evaluation."""

    folder: Path
    sha256: str
    """Of scores.yaml."""
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
    """Candidate to reason: evaluated, but on other items."""


def read(home: Home, dataset: str, split: str) -> Evidence:
    """The evidence on a dataset (`<task>@<hash8>`).

    Scores against human labels go before agreement with the log, then more items before fewer, then
    newer before older. Of a candidate that was evaluated twice on those items the newest counts.

    Raises: NotFound without evaluations, ConfigError or InputError for broken ones.
    """
    found = [
        _load(path.parent, scores)
        for path in sorted(home.evaluations.glob("*/scores.yaml"))
        if (scores := scores_.load(path.parent)).dataset == dataset and scores.split == split
    ]
    if not found:
        raise NotFound(
            f"no evaluation of {dataset} ({split} split) in {home.evaluations}; "
            f"run `fasttier evaluate --dataset {dataset}`"
        )
    found.sort(key=_age)
    groups: dict[tuple[str, str | None, frozenset[str]], dict[str, Evaluated]] = {}
    for each in found:
        key = (each.scores.reference, each.scores.labels, frozenset(each.items))
        groups.setdefault(key, {})[each.name] = each
    chosen = max(groups, key=lambda key: (key[0] == "labels", len(key[2]), max(map(_age, groups[key].values()))))
    group = groups[chosen]
    reference = _reference(group)
    others = [each for name, each in sorted(group.items()) if name != reference.name]
    left_out = {
        each.name: f"was evaluated on {len(each.items)} items {_against(each)}, not on the {len(chosen[2])} that count"
        for each in found
        if each.name not in group
    }
    return Evidence(reference, (reference, *others), left_out)


def cohorts(items: dict[str, Item], at_least: int) -> dict[tuple[str, str], frozenset[str]]:
    """Record ids by cohort key and value, where there are enough of them; the largest first within a key."""
    members: dict[tuple[str, str], set[str]] = {}
    for record_id, item in items.items():
        for key, value in item.cohort.items():
            members.setdefault((key, value), set()).add(record_id)
    large = {cohort: frozenset(ids) for cohort, ids in members.items() if len(ids) >= at_least}
    return dict(sorted(large.items(), key=lambda pair: (pair[0][0], -len(pair[1]), pair[0][1])))


def _reference(group: dict[str, Evaluated]) -> Evaluated:
    teacher = [each for each in group.values() if each.scores.kind == "teacher"]
    compared_with = [each for each in group.values() if each.scores.comparison is None]
    found = teacher or compared_with
    if not found:
        names = ", ".join(sorted(group))
        raise NotFound(f"{names} have no reference on these items; add a candidate of kind teacher and evaluate again")
    return found[-1]


def _load(folder: Path, scores: Scores) -> Evaluated:
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
        )
        for row in rows
    }
    return Evaluated(folder, hashlib.sha256((folder / "scores.yaml").read_bytes()).hexdigest(), scores, items)


def _age(each: Evaluated) -> tuple[dt.datetime, str]:
    return each.scores.created or dt.datetime.min.replace(tzinfo=dt.UTC), each.folder.name


def _against(each: Evaluated) -> str:
    return "against human labels" if each.scores.reference == "labels" else "against the logged answers"
