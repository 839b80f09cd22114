"""Calibrate an own model: fit P(answer is right) and certify a threshold for escalation.

    fasttier calibrate --dataset support.intent --target 0.02

Evaluates the candidate on the calibration and threshold splits (stored answers are reused), fits P(right) on the first,
chooses the threshold on the second, and reports on the test split if it was evaluated. Writes
home/calibrations/<call site>@<hash>/{calibration.yaml, curve.svg, reliability.svg}, an MLflow run for each, and the
evaluation of the cascade.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pipeline import dataset as datasets
from pipeline import evaluate
from pipeline.calibrate import call_site as call_sites
from pipeline.calibrate import write
from pipeline.calibrate.call_site import Splits
from pipeline.calibrate.config import CalibrateConfig
from pipeline.calibrate.summary import CalibrateSummary
from pipeline.dataset import TaskDataset
from pipeline.evaluate import finished, predictions
from pipeline.evaluate import scores as scores_
from pipeline.evaluate import stage as evaluations
from pipeline.evaluate.candidates import Cascade
from pipeline.evaluate.candidates import cascade as cascades
from pipeline.evaluate.config import (
    AdapterConfig,
    CandidateConfig,
    CandidatesConfig,
    CascadeConfig,
    EncoderConfig,
    kind_of,
)
from pipeline.evaluate.endpoints import Endpoint, own_model
from pipeline.evaluate.finished import Related
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.scores import Scores
from pipeline.evaluate.stage import Evaluation
from traffic import artifacts
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import ConfigError, NotEnoughData, NotFound

__all__ = ["CalibrateConfig", "CalibrateSummary", "chosen", "only", "run"]

_OWN_KINDS = ("adapter", "encoder", "classical")
"""Kinds that have confidence signals and can answer at Tier 1."""


def chosen(candidates: CandidatesConfig, name: str | None, dataset: Path, home: Home) -> CandidateConfig:
    """The candidate to calibrate; by default the adapter, else the encoder, else the classical model.

    Raises: ConfigError if there is none of that name, or its kind has no signals.
    """
    own_candidates = [entry for kind in _OWN_KINDS for entry in candidates.candidates if kind_of(entry) == kind]
    if name is not None:
        entry = next((entry for entry in own_candidates if entry.name == name), None)
        if entry is None:
            expected = ", ".join(entry.name for entry in own_candidates) or "none"
            raise ConfigError(f"--candidate {name}: expected an adapter or a classifier ({expected})")
        return entry
    task = datasets.load(dataset).task
    for entry in own_candidates:
        if isinstance(entry, EncoderConfig) and not artifacts.listed(
            home, artifacts.CLASSIFIER, task=task, kind="encoder"
        ):
            continue
        if isinstance(entry, AdapterConfig):
            try:
                own_model(entry, task, home)
            except NotFound:
                continue
        return entry
    raise ConfigError("the candidates file has no adapter and no classifier that could be calibrated")


def only(candidates: CandidatesConfig, candidate: CandidateConfig) -> CandidatesConfig:
    """The candidates file with this candidate alone."""
    return msgspec.structs.replace(candidates, candidates=(candidate,), judge=None)


class _Evidence(NamedTuple):
    """Evaluations of the candidate that its calibrations are computed from."""

    splits: dict[str, list[Prediction]]
    """Rows of the calibration, threshold and test splits."""
    threshold: Scores
    test: Scores | None
    tier_2: Scores | None
    tier_2_rows: dict[str, Prediction] | None
    """Tier 2's rows of the test split, by record id."""
    clusters: Mapping[str, str]


def run(
    dataset: Path,
    candidates: CandidatesConfig,
    candidate: CandidateConfig,
    *,
    home: Home,
    config: CalibrateConfig,
    endpoints: Mapping[str, Endpoint],
    limit: int | None = None,
    labels: Path | None = None,
    today: dt.date | None = None,
) -> CalibrateSummary:
    """Calibrate a candidate at each call site of a dataset.

    `endpoints`: of adapters, by candidate name; used only if answers are missing. `limit`: items per split. `labels`,
    `today`: as for `evaluate`.

    Raises: NotEnoughData if no call site has enough usable items; ConfigError, InputError, NotFound, EndpointError.
    """
    card = datasets.load(dataset)
    folders: dict[str, Path] = {}
    for split in ("calibration", "threshold"):
        summary = evaluate.run(
            dataset,
            only(candidates, candidate),
            home=home,
            endpoints=endpoints,
            split=split,
            limit=limit,
            labels=labels,
            today=today,
        )
        folders[split] = summary.folders[candidate.name]
    adapter = scores_.load(folders["threshold"]).adapter
    tested = finished.related(home, card.name, "test", candidate.name, config.tier_2, adapter)
    clusters = _clusters(dataset) if config.cluster_by == "group" else {}
    evidence = _evidence(folders, tested, clusters)
    base = Calibration(
        task=card.task,
        candidate=candidate.name,
        kind=kind_of(candidate),
        adapter=adapter,
        dataset=card.name,
        reference=evidence.threshold.reference,
        signal="min_margin",
        threshold=None,
    )
    calibrations: dict[str, tuple[Path, Calibration]] = {}
    left_out: dict[str, str] = {}
    for name in card.call_sites:
        splits = _splits(evidence, name, card)
        kind = card.call_sites[name].request_type
        reason = call_sites.no_error_rate(kind) or _too_few(splits, config.min_items)
        if reason is not None:
            left_out[name] = reason
            continue
        calibrated = call_sites.calibrate(
            splits,
            config,
            base=msgspec.structs.replace(base, call_site=name),
            own_usd=_usd_per_request(evidence.threshold),
            other_usd=_usd_per_request(evidence.tier_2),
        )
        calibrations[name] = write.write(home, calibrated, config)
    if not calibrations:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise NotEnoughData(f"nothing to calibrate: {reasons}")
    cascade = _cascade(home, dataset, candidates, candidate.name, config.tier_2, tested)
    return CalibrateSummary(
        task=card.task,
        dataset=card.name,
        candidate=candidate.name,
        calibrations=tuple(calibration for _, calibration in calibrations.values()),
        folders={name: folder for name, (folder, _) in calibrations.items()},
        left_out=left_out,
        cascade=cascade.scores if cascade else None,
        cascade_folder=cascade.folder if cascade else None,
        tested=tested is not None,
        tier_2=config.tier_2,
    )


def _evidence(folders: Mapping[str, Path], tested: Related | None, clusters: Mapping[str, str]) -> _Evidence:
    rows = {split: predictions.read(folder) for split, folder in folders.items()}
    rows["test"] = predictions.read(tested.tier_1) if tested else []
    tier_2 = tested.tier_2 if tested else None
    return _Evidence(
        rows,
        scores_.load(folders["threshold"]),
        scores_.load(tested.tier_1) if tested else None,
        scores_.load(tier_2) if tier_2 else None,
        {row.record_id: row for row in predictions.read(tier_2)} if tier_2 else None,
        clusters,
    )


def _splits(evidence: _Evidence, call_site: str, card: TaskDataset) -> Splits:
    """Rows of one call site; with only one call site, files of earlier versions do not name it."""
    mine = {
        split: [row for row in rows if row.call_site == call_site or len(card.call_sites) == 1]
        for split, rows in evidence.splits.items()
    }
    tier_2 = evidence.tier_2_rows
    return Splits(
        mine["calibration"],
        mine["threshold"],
        mine["test"],
        None if tier_2 is None else [tier_2[row.record_id] for row in mine["test"]],
        evidence.test.reference if evidence.test else None,
        evidence.clusters,
    )


def _usd_per_request(scores: Scores | None) -> float | None:
    return None if scores is None or scores.cost.usd_per_1k is None else scores.cost.usd_per_1k / 1000


def _clusters(dataset: Path) -> dict[str, str]:
    """Group of each row that has one, by record id."""
    rows = (
        row
        for split in ("threshold", "test")
        for row in datasets.read_split(dataset, split).select(["record_id", "group"]).to_pylist()
    )
    return {row["record_id"]: row["group"] for row in rows if row["group"]}


def _too_few(splits: Splits, min_items: int) -> str | None:
    rows: dict[str, Sequence[Prediction]] = {"calibration": splits.calibration, "threshold": splits.threshold}
    for split, mine in rows.items():
        usable = sum(row.usable and row.signals is not None for row in mine)
        if usable < min_items:
            return (
                f"{usable} of {len(mine)} answers on the {split} split are usable, {min_items} are needed (min_items)"
            )
    return None


def _cascade(
    home: Home,
    dataset: Path,
    candidates: CandidatesConfig,
    tier_1: str,
    tier_2: str,
    tested: Related | None,
) -> Evaluation | None:
    """Evaluation of the cascade on the test split; None unless both parts were evaluated on the same items."""
    if tested is None or tested.tier_2 is None:
        return None
    first = cascades.load(tested.tier_1)
    items = cascades.items_of(dataset, first)
    named = [
        entry
        for entry in candidates.candidates
        if isinstance(entry, CascadeConfig) and (entry.tier_1, entry.tier_2) == (tier_1, tier_2)
    ]
    entry = named[0] if named else CascadeConfig(name=f"{tier_1}-then-{tier_2}"[:64], tier_1=tier_1, tier_2=tier_2)
    cascade = Cascade(entry, home, {tier_1: tested.tier_1, tier_2: tested.tier_2})
    if cascade.missing(items) is not None:
        return None
    incumbent = None
    if tested.incumbent is not None:
        other = cascades.load(tested.incumbent)
        answers = [row.answer() for row in cascades.aligned(items, other)]
        incumbent = scores_.grade(other.scores.candidate, items, answers)
    return evaluations.evaluate(
        cascade,
        cascade.answers(items),
        items,
        home=home,
        config=msgspec.structs.replace(candidates, traces=0),
        incumbent=incumbent,
    )
