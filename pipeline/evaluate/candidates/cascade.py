"""Candidate `cascade`: Tier 1 with its calibrated threshold, then Tier 2 for requests that escalate.

Computed from the evaluations of two other candidates on the same items; no model is asked again. An escalated item
pays for both tiers and waits for both.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from pipeline import dataset as datasets
from pipeline.dataset import TaskDataset
from pipeline.evaluate import predictions
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.candidates.candidate import Answered
from pipeline.evaluate.config import CascadeConfig
from pipeline.evaluate.costs import Cost, Costed, Latency, weighted_mean
from pipeline.evaluate.items import Item, Items, Logged
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.scores import Graded, Parts, Scores
from traffic import calibrations
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import InputError


class Evaluated(NamedTuple):
    """A finished evaluation with its rows."""

    folder: Path
    scores: Scores
    rows: list[Prediction]


class Outcome(NamedTuple):
    """One item of the cascade."""

    row: Prediction
    """Row of the tier whose answer the client gets."""
    tier: int
    cost_usd: float | None
    """Of all requests for the item; None where a part is unpriced."""


class Cascade:
    """A cascade of two finished evaluations."""

    def __init__(self, config: CascadeConfig, home: Home, finished: Mapping[str, Path]) -> None:
        """`finished`: folders of evaluations of the same items, by candidate."""
        self.config, self._home, self._finished = config, home, finished

    def unavailable(self, items: Items) -> str | None:
        return None

    def missing(self, items: Items) -> str | None:
        """Which evaluation or calibration is missing; None if all are there."""
        for name in (self.config.tier_1, self.config.tier_2):
            if name not in self._finished:
                return f"{name} was not evaluated"
        if not self._calibrated(items.dataset):
            tier_1 = self.config.tier_1
            return f"{tier_1} has no threshold yet; run `fasttier calibrate --candidate {tier_1}`"
        return None

    def answers(self, items: Items) -> Answered:
        first, second = (load(self._finished[name]) for name in (self.config.tier_1, self.config.tier_2))
        tier_1, tier_2 = first.scores, second.scores
        calibrated = self._calibrated(items.dataset)
        rows = aligned(items, first)
        outcomes = combine(rows, aligned(items, second), {s: calibrations.load(p) for s, p in calibrated.items()})
        parts = _parts(first, second, outcomes, calibrated, items)
        ends = [scores.deprecated_on for scores in (tier_1, tier_2) if scores.deprecated_on is not None]
        return Answered(
            answers=[_answer(row, outcome) for row, outcome in zip(rows, outcomes, strict=True)],
            costed=Costed(_cost(tier_1, tier_2, outcomes, parts, items), [outcome.cost_usd for outcome in outcomes]),
            latency=latency(rows, outcomes, tier_1.latency.concurrency if tier_1.latency else None),
            latency_loaded=latency(rows, outcomes, tier_1.latency_loaded.concurrency)
            if tier_1.latency_loaded
            else None,
            adapter=tier_1.adapter,
            base_model=tier_1.base_model,
            simulated=tier_1.simulated or tier_2.simulated,
            deprecated_on=min(ends, default=None),
            parts=parts,
        )

    def notes(self, items: Items, graded: Graded) -> list[str]:
        correct = [score.correct for score in graded.scores]
        kept_correct = [right for answer, right in zip(graded.answers, correct, strict=True) if answer.tier == 1]
        share = f"{sum(kept_correct) / len(kept_correct):.1%} of them correct" if kept_correct else "nothing is kept"
        notes = [f"{self.config.tier_1} keeps {len(kept_correct)} of {len(items.items)} items, {share}"]
        without = sorted(set(items.dataset.call_sites) - set(self._calibrated(items.dataset)))
        if without:
            notes.append(f"no threshold for {', '.join(without)}: answers there escalate on failed checks only")
        return notes

    def _calibrated(self, dataset: TaskDataset) -> dict[str, Path]:
        scores = scores_.load(self._finished[self.config.tier_1])
        return calibrated(self._home, dataset, self.config.tier_1, scores.adapter)


def calibrated(home: Home, dataset: TaskDataset, candidate: str, adapter: str | None) -> dict[str, Path]:
    """The current calibration of each call site that has a threshold, of this candidate on this dataset."""
    paths = {
        site: calibrations.current(home, site, candidate=candidate, adapter=adapter, dataset=dataset.name)
        for site in dataset.call_sites
    }
    return {site: path for site, path in paths.items() if path and calibrations.load(path).threshold is not None}


def load(folder: Path) -> Evaluated:
    """An evaluation with its rows. Raises: NotFound, ConfigError, InputError."""
    return Evaluated(folder, scores_.load(folder), predictions.read(folder))


def aligned(items: Items, evaluated: Evaluated) -> list[Prediction]:
    """The evaluation's rows in the order of the items. Raises: InputError if its items or labels differ."""
    rows = {row.record_id: row for row in evaluated.rows}
    missing = sum(item.record_id not in rows for item in items.items)
    if missing or evaluated.scores.labels != items.labels_sha256:
        raise InputError(
            f"{evaluated.folder.name}: items or labels differ from the other evaluations ({missing} items missing); "
            "evaluate the candidates together"
        )
    return [rows[item.record_id] for item in items.items]


def combine(
    first: Sequence[Prediction], second: Sequence[Prediction], cuts: Mapping[str, Calibration]
) -> list[Outcome]:
    """The answer that the client gets for each item; rows of both tiers in the same order. `cuts`: by call site."""
    outcomes = []
    for tier_1_row, tier_2_row in zip(first, second, strict=True):
        calibration = cuts.get(tier_1_row.call_site or "")
        if tier_1_row.kept(calibration.cut if calibration else None):
            outcomes.append(Outcome(tier_1_row, 1, tier_1_row.cost_usd))
        else:
            total_usd = (
                None
                if tier_1_row.cost_usd is None or tier_2_row.cost_usd is None
                else tier_1_row.cost_usd + tier_2_row.cost_usd
            )
            outcomes.append(Outcome(tier_2_row, 2, total_usd))
    return outcomes


def latency(first: Sequence[Prediction], outcomes: Sequence[Outcome], concurrency: int | None) -> Latency | None:
    """Latency percentiles at a concurrency of Tier 1, plus Tier 2's own latency where an item escalates.

    Tier 1 is measured one request at a time on a sample only; its times are reused in turn for the other items.
    """
    sample = [row.latency_ms for row in first if row.latency_ms is not None and row.concurrency == concurrency]
    if not sample:
        return None
    waits = []
    for index, (row, outcome) in enumerate(zip(first, outcomes, strict=True)):
        measured = row.latency_ms if row.concurrency == concurrency else None
        wait = sample[index % len(sample)] if measured is None else measured
        waits.append(wait + ((outcome.row.latency_ms or 0.0) if outcome.tier == 2 else 0.0))
    p50, p95 = np.percentile(waits, [50, 95])
    return Latency(round(float(p50), 3), round(float(p95), 3), len(waits), concurrency)


def items_of(folder: Path, evaluated: Evaluated) -> Items:
    """The items of a finished evaluation, as far as scoring needs them; prompts are not stored with it.

    `folder`: of the dataset.
    """
    card = datasets.load(folder)
    only = next(iter(card.call_sites))
    groups = _groups(folder, evaluated.scores.split)
    return Items(
        dataset=card,
        folder=folder,
        split=evaluated.scores.split,
        request_type=evaluated.scores.request_type,
        source=evaluated.scores.reference,
        labels_sha256=evaluated.scores.labels,
        without_label=evaluated.scores.without_label,
        items=tuple(
            Item(
                record_id=row.record_id,
                call_site=row.call_site or only,
                prompt=[],
                original_prompt=[],
                response_format=None,
                completion="",
                reference=row.scored_against,
                cohort=row.cohort,
                logged=Logged(),
                requests=row.requests,
                group=groups.get(row.record_id, ""),
            )
            for row in evaluated.rows
        ),
    )


def _groups(folder: Path, split: str) -> dict[str, str]:
    table = datasets.read_split(folder, split)
    if "group" not in table.column_names:  # datasets of earlier versions
        return {}
    return {row["record_id"]: row["group"] or "" for row in table.select(["record_id", "group"]).to_pylist()}


def _answer(row: Prediction, outcome: Outcome) -> Answer:
    wait = row.latency_ms
    if outcome.tier == 2:
        wait = None if wait is None or outcome.row.latency_ms is None else wait + outcome.row.latency_ms
    # The signals stay Tier 1's: they decided whether the item escalates.
    return msgspec.structs.replace(
        outcome.row.answer(), signals=row.signals, latency_ms=wait, concurrency=row.concurrency, tier=outcome.tier
    )


def _parts(
    first: Evaluated, second: Evaluated, outcomes: Sequence[Outcome], calibrated: Mapping[str, Path], items: Items
) -> Parts:
    tier_1, tier_2 = first.scores, second.scores
    tiers = [(outcome.tier, outcome.row.correct) for outcome in outcomes]
    escalated = sum(tier == 2 for tier, _ in tiers)
    return Parts(
        tier_1=tier_1.candidate,
        tier_2=tier_2.candidate,
        evaluations={tier_1.candidate: first.folder.name, tier_2.candidate: second.folder.name},
        calibrations={site: path.parent.name for site, path in calibrated.items()},
        kept=len(tiers) - escalated,
        kept_correct=tiers.count((1, True)),
        escalated=escalated,
        escalated_correct=tiers.count((2, True)),
        requests=sum(items.requests),
        escalated_requests=sum(n for (tier, _), n in zip(tiers, items.requests, strict=True) if tier == 2),
    )


def _cost(tier_1: Scores, tier_2: Scores, outcomes: Sequence[Outcome], parts: Parts, items: Items) -> Cost:
    """Tier 1's cost for every request, and Tier 2's for those that escalate."""
    again = [
        (outcome.row.cost_usd, n)
        for outcome, n in zip(outcomes, items.requests, strict=True)
        if outcome.tier == 2 and outcome.row.cost_usd is not None
    ]
    total = tier_1.cost.usd_per_1k
    if parts.escalated and total is not None:
        total = total + 1000 * parts.escalation * weighted_mean(again) if again else None
    escalated = f"{parts.escalation:.1%} again at {tier_2.candidate}: {tier_2.cost.basis}"
    basis = f"{tier_1.candidate}: {tier_1.cost.basis}; {escalated}"
    # Machine and throughput are Tier 1's: every request is asked there.
    return msgspec.structs.replace(tier_1.cost, usd_per_1k=total, basis=basis, price=None)
