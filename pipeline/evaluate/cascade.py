"""The cascade: Tier 1 with its calibrated threshold, then Tier 2 for what it is not sure of. What users get.

Put together from the evaluations of two candidates on the same items; no model is asked again. An item that escalates
pays for both tiers and waits for both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from pipeline import dataset as datasets
from pipeline import metrics
from pipeline.dataset import TaskDataset
from pipeline.evaluate import predictions as predictions_
from pipeline.evaluate import scores as scores_
from pipeline.evaluate import write as write_
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates import CascadeCandidate
from pipeline.evaluate.costs import Cost, Latency
from pipeline.evaluate.items import Item, Items, Logged
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.scores import Parts, Scores
from pipeline.metrics import ItemScore
from traffic import artifacts, calibrations
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import InputError


class Part(NamedTuple):
    """One candidate's evaluation."""

    folder: Path
    scores: Scores
    rows: list[Prediction]


class Outcome(NamedTuple):
    """One item of the cascade."""

    row: Prediction
    """Of the tier whose answer the client gets."""
    tier: int
    cost_usd: float | None
    """Of all that was asked; None where a part is unpriced."""


def calibrated(home: Home, dataset: TaskDataset, candidate: str, adapter: str | None) -> dict[str, Path]:
    """The newest calibration of each call site that has one with a threshold, of this candidate on this dataset."""
    found = {}
    for site in dataset.call_sites:
        path = calibrations.current(home, site, candidate=candidate, adapter=adapter, dataset=dataset.name)
        if path is not None and calibrations.load(path).threshold is not None:
            found[site] = path
    return found


def add(
    home: Home,
    dataset: Path,
    cascades: Sequence[CascadeCandidate],
    done: Mapping[str, tuple[Path, Scores]],
    reference: str,
    *,
    out_of_scope: Sequence[str] = (),
) -> tuple[dict[str, tuple[Path, Scores]], dict[str, str]]:
    """Evaluate the cascades whose parts are among the finished evaluations (`done`, by candidate).

    The evaluations that were added, and why others were not, by name.
    """
    card = datasets.load(dataset)
    added: dict[str, tuple[Path, Scores]] = {}
    skipped: dict[str, str] = {}
    for each in cascades:
        absent = [name for name in (each.tier_1, each.tier_2) if name not in done]
        if absent:
            skipped[each.name] = f"{absent[0]} was not evaluated"
            continue
        folder, scores = done[each.tier_1]
        found = calibrated(home, card, each.tier_1, scores.adapter)
        if not found:
            skipped[each.name] = f"{each.tier_1} has no threshold yet; `fasttier calibrate --candidate {each.tier_1}`"
            continue
        added[each.name] = evaluate(
            home,
            dataset,
            name=each.name,
            tier_1=folder,
            tier_2=done[each.tier_2][0],
            reference=done[reference][0],
            calibrated=found,
            out_of_scope=out_of_scope,
        )
    return added, skipped


class Found(NamedTuple):
    """Evaluations of the same items of the test split."""

    tier_1: Path
    tier_2: Path | None
    """None: the candidate was not evaluated on them."""
    reference: Path | None
    """What all are compared with."""


def find(home: Home, dataset: str, split: str, tier_1: str, tier_2: str, adapter: str | None) -> Found | None:
    """The newest evaluation of `tier_1` on a split, with those of the others on the same items; None without one.

    Human labels go before agreement with the log, then more items before fewer: as `decide` chooses.
    """
    every = [
        (scores_.load(found.path), found.path)
        for found in artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split)
    ]
    own = [pair for pair in every if pair[0].candidate == tier_1 and pair[0].adapter == adapter]
    if not own:
        return None
    # Of equal ones `max` takes the first: the newest.
    chosen, folder = max(own, key=lambda pair: (pair[0].reference == "labels", pair[0].n))

    def beside(name: str | None, kind: str | None = None) -> Path | None:
        for scores, path in every:
            same = (scores.reference, scores.labels, scores.n) == (chosen.reference, chosen.labels, chosen.n)
            if same and (scores.candidate == name or (kind is not None and scores.kind == kind)):
                return path
        return None

    against = chosen.comparison.against if chosen.comparison is not None else None
    return Found(folder, beside(tier_2), beside(None, "teacher") or (beside(against) if against else None))


def evaluate(
    home: Home,
    dataset: Path,
    *,
    name: str,
    tier_1: Path,
    tier_2: Path,
    reference: Path | None,
    calibrated: Mapping[str, Path],
    out_of_scope: Sequence[str] = (),
) -> tuple[Path, Scores]:
    """Write the evaluation of a cascade named `name`, and its MLflow run.

    `tier_1`, `tier_2`: folders of evaluations of the same items. `reference`: of the candidate that all are compared
    with. `calibrated`: calibration by call site. `out_of_scope`: further labels that stand for "none of these".

    Raises: InputError if the evaluations are of other items, or were made by another version.
    """
    first, second = load(tier_1), load(tier_2)
    other = load(reference) if reference is not None else None
    cuts = {site: calibrations.load(path) for site, path in calibrated.items()}
    card = datasets.load(dataset)
    items = _items(card, dataset, first)
    outcomes = combine(first.rows, aligned(first, second), cuts)
    answers = [_answer(one, outcome) for one, outcome in zip(first.rows, outcomes, strict=True)]
    scored = scores_.score_items(items, {answer.record_id: answer for answer in answers})
    compared = None
    if other is not None:
        theirs = {row.record_id: row.answer() for row in aligned(first, other)}
        compared = (other.scores.candidate, scores_.score_items(items, theirs))
    result = _scores(name, (first, second), items, outcomes, scored, compared, calibrated, out_of_scope)
    table = write_.predictions(items, answers, scored, [outcome.cost_usd for outcome in outcomes])
    table = table.append_column("tier", pa.array([outcome.tier for outcome in outcomes], pa.int64()))
    parameters = {"candidate": {"name": name, "kind": "cascade"}, "parts": msgspec.to_builtins(result.parts)}
    return write_.write(home, result, table, parameters)


def load(folder: Path) -> Part:
    """An evaluation with its rows. Raises: NotFound, ConfigError, InputError."""
    return Part(folder, scores_.load(folder), predictions_.read(folder))


def aligned(first: Part, other: Part) -> list[Prediction]:
    """The other candidate's rows of the same items, in the same order. Raises: InputError if one is missing."""
    rows = {row.record_id: row for row in other.rows}
    missing = sum(row.record_id not in rows for row in first.rows)
    if missing or first.scores.labels != other.scores.labels:
        raise InputError(
            f"{first.folder.name} and {other.folder.name} are not of the same items and labels ({missing} missing); "
            "evaluate both together"
        )
    return [rows[row.record_id] for row in first.rows]


def combine(
    first: Sequence[Prediction], second: Sequence[Prediction], cuts: Mapping[str, Calibration]
) -> list[Outcome]:
    """What the client gets for each item; the rows of both tiers in the same order."""
    found = []
    for one, two in zip(first, second, strict=True):
        calibration = cuts.get(one.call_site or "")
        if one.kept(calibration.cut if calibration else None):
            found.append(Outcome(one, 1, one.cost_usd))
        else:
            both = None if one.cost_usd is None or two.cost_usd is None else one.cost_usd + two.cost_usd
            found.append(Outcome(two, 2, both))
    return found


def latency(first: Sequence[Prediction], outcomes: Sequence[Outcome], concurrency: int | None) -> Latency | None:
    """Percentiles of the wait at a concurrency of Tier 1, Tier 2's own time on top where an item escalates.

    Tier 1 is measured one request at a time on a sample only: its times are dealt out over the other items in turn.
    """
    sample = [row.latency_ms for row in first if row.latency_ms is not None and row.concurrency == concurrency]
    if not sample:
        return None
    waits = []
    for place, (row, outcome) in enumerate(zip(first, outcomes, strict=True)):
        measured = row.latency_ms if row.concurrency == concurrency else None
        wait = sample[place % len(sample)] if measured is None else measured
        waits.append(wait + ((outcome.row.latency_ms or 0.0) if outcome.tier == 2 else 0.0))
    p50, p95 = np.percentile(waits, [50, 95])
    return Latency(round(float(p50), 3), round(float(p95), 3), len(waits), concurrency)


def _answer(one: Prediction, outcome: Outcome) -> Answer:
    wait = one.latency_ms
    if outcome.tier == 2:
        wait = None if wait is None or outcome.row.latency_ms is None else wait + outcome.row.latency_ms
    # The signals stay Tier 1's: they are why the item was kept, or escalated.
    return msgspec.structs.replace(
        outcome.row.answer(), signals=one.signals, latency_ms=wait, concurrency=one.concurrency
    )


def _items(card: TaskDataset, folder: Path, part: Part) -> Items:
    """What scoring needs of the items; what they were asked is not in an evaluation."""
    only = next(iter(card.call_sites))
    items = tuple(
        Item(
            record_id=row.record_id,
            call_site=row.call_site or only,
            prompt=[],
            original_prompt=[],
            response_format=None,
            completion="",
            reference=row.wanted,
            cohort=row.cohort,
            logged=Logged(),
        )
        for row in part.rows
    )
    scores = part.scores
    return Items(
        dataset=card,
        folder=folder,
        split=scores.split,
        request_type=scores.request_type,
        source=scores.reference,
        items=items,
        without_label=scores.without_label,
    )


def _scores(
    name: str,
    parts: tuple[Part, Part],
    items: Items,
    outcomes: Sequence[Outcome],
    scored: list[ItemScore],
    compared: tuple[str, list[ItemScore]] | None,
    calibrated: Mapping[str, Path],
    out_of_scope: Sequence[str],
) -> Scores:
    first, second = parts
    own, other = first.scores, second.scores
    tiers = [(outcome.tier, score.correct) for outcome, score in zip(outcomes, scored, strict=True)]
    escalated = sum(tier == 2 for tier, _ in tiers)
    made_of = Parts(
        tier_1=own.candidate,
        tier_2=other.candidate,
        evaluations={own.candidate: first.folder.name, other.candidate: second.folder.name},
        calibrations={site: path.parent.name for site, path in calibrated.items()},
        kept=len(tiers) - escalated,
        kept_correct=tiers.count((1, True)),
        escalated=escalated,
        escalated_correct=tiers.count((2, True)),
    )
    found = metrics.aggregate(items.request_type, scored, out_of_scope)
    against, theirs = compared if compared is not None else (None, None)
    ends = [each.deprecated_on for each in (own, other) if each.deprecated_on is not None]
    return msgspec.structs.replace(
        own,
        candidate=name,
        kind="cascade",
        simulated=own.simulated or other.simulated,
        deprecated_on=min(ends, default=None),
        n=len(scored),
        failed=sum(outcome.row.error is not None for outcome in outcomes),
        main_metric=scores_.main_metric(found),
        metrics=found,
        cohorts=scores_.by_cohort(items, scored, against, theirs, out_of_scope),
        comparison=scores_.compare(compared[0], scored, compared[1]) if compared is not None else None,
        judge=None,
        paid_usd=None,
        latency=latency(first.rows, outcomes, own.latency.concurrency if own.latency else None),
        latency_loaded=latency(first.rows, outcomes, own.latency_loaded.concurrency) if own.latency_loaded else None,
        cost=_cost(parts, outcomes, made_of),
        parts=made_of,
        notes=_notes(made_of, items),
        created_at=None,
        mlflow_run_id=None,
    )


def _cost(parts: tuple[Part, Part], outcomes: Sequence[Outcome], made_of: Parts) -> Cost:
    """Tier 1's for every request, and Tier 2's for those that escalate."""
    own, other = parts[0].scores, parts[1].scores
    again = [outcome.row.cost_usd for outcome in outcomes if outcome.tier == 2 and outcome.row.cost_usd is not None]
    per_escalation = sum(again) / len(again) if again else None
    total = own.cost.usd_per_1k
    if made_of.escalated and total is not None:
        total = None if per_escalation is None else total + 1000 * made_of.escalation * per_escalation
    basis = (
        f"{own.candidate}: {own.cost.basis}; {made_of.escalation:.1%} again at {other.candidate}: {other.cost.basis}"
    )
    # Machine and throughput stay Tier 1's: every request is asked there.
    return msgspec.structs.replace(own.cost, usd_per_1k=total, basis=basis, price=None)


def _notes(made_of: Parts, items: Items) -> tuple[str, ...]:
    kept = f"{made_of.kept_correct / made_of.kept:.1%} of them right" if made_of.kept else "nothing"
    share = f"{made_of.escalation:.1%} escalate to {made_of.tier_2}"
    notes = [f"{made_of.tier_1} keeps {made_of.kept} of {len(items.items)} items, {kept}; {share}"]
    free = sorted(set(items.dataset.call_sites) - set(made_of.calibrations))
    if free:
        notes.append(f"no threshold for {', '.join(free)}: there an answer escalates only if it fails its checks")
    return tuple(notes)
