"""When an own model's answer is kept, and when it escalates: a probability, and a threshold that is certified.

    fasttier calibrate --dataset support.intent --target 0.02

Evaluates the candidate on the calibration and threshold splits (answers that are there already are not asked for
again), fits the probability that an answer is right on the first, chooses the threshold on the second, and reports on
the test split where that was evaluated. Writes home/calibrations/<call site>@<hash>/{calibration.yaml, curve.svg,
reliability.svg}, an MLflow run for each, and the evaluation of the cascade.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from pipeline import dataset as datasets
from pipeline import evaluate
from pipeline.calibrate import site as site_
from pipeline.calibrate import write
from pipeline.calibrate.config import CalibrateConfig
from pipeline.calibrate.site import Splits
from pipeline.calibrate.summary import CalibrateSummary
from pipeline.dataset import TaskDataset
from pipeline.evaluate import cascade
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.candidates import Candidate, CandidatesConfig, CascadeCandidate, kind_of
from pipeline.evaluate.cascade import Found
from pipeline.evaluate.endpoints import Endpoint, own_model
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.predictions import read as read_predictions
from pipeline.evaluate.scores import Scores
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.errors import ConfigError, NotEnoughData, NotFound

__all__ = ["CalibrateConfig", "CalibrateSummary", "chosen", "run"]

_OWN = ("adapter", "classical")
"""Kinds that have confidence signals and answer at Tier 1."""


def chosen(candidates: CandidatesConfig, name: str | None, dataset: Path, home: Home) -> Candidate:
    """The candidate to calibrate; without a name the adapter, or the classical model where the task has no adapter.

    Raises: ConfigError if there is none of that name, or it is of a kind that has no signals.
    """
    own = [each for each in candidates.candidates if kind_of(each) in _OWN]
    if name is not None:
        found = next((each for each in own if each.name == name), None)
        if found is None:
            there = ", ".join(each.name for each in own) or "none"
            raise ConfigError(f"--candidate {name}: no adapter or classical model of that name; there are: {there}")
        return found
    task = datasets.load(dataset).task
    for each in own:
        try:
            own_model(each, task, home)
        except NotFound:
            continue
        return each
    raise ConfigError("the candidates file has no adapter and no classical model that could be calibrated")


def only(candidates: CandidatesConfig, candidate: Candidate) -> CandidatesConfig:
    """The candidates file with nobody else in it."""
    return msgspec.structs.replace(candidates, candidates=(candidate,), judge=None)


def run(
    dataset: Path,
    candidates: CandidatesConfig,
    candidate: Candidate,
    *,
    home: Home,
    config: CalibrateConfig,
    endpoints: Mapping[str, Endpoint],
    limit: int | None = None,
    labels: Path | None = None,
    today: dt.date | None = None,
) -> CalibrateSummary:
    """Calibrate a candidate at each call site of a dataset.

    `endpoints`: where an adapter runs, by candidate name; only looked at where there is something to ask. `limit`: of
    items of either split. `labels`, `today`: as for `evaluate`.

    Raises: NotEnoughData if no call site has enough usable items; ConfigError, InputError, NotFound, EndpointError.
    """
    card = datasets.load(dataset)
    own = own_model(candidate, card.task, home)
    adapter = own.adapter.name if own and own.adapter else None
    alone = only(candidates, candidate)
    done: dict[str, tuple[Path, Scores]] = {}
    for split in ("calibration", "threshold"):
        found = evaluate.run(
            dataset, alone, home=home, endpoints=endpoints, split=split, limit=limit, labels=labels, today=today
        )
        done[split] = found.folders[candidate.name], found.scores[0]
    later = cascade.find(home, card.name, "test", candidate.name, config.tier_2, adapter)
    base = Calibration(
        task=card.task,
        candidate=candidate.name,
        kind=kind_of(candidate),
        adapter=adapter,
        dataset=card.name,
        reference=done["threshold"][1].reference,
        signal="min_margin",
        threshold=None,
    )
    clusters = _clusters(dataset) if config.cluster_by == "group" else {}
    folders, calibrations, left_out = _sites(card, done, later, base, clusters, home=home, config=config)
    if not calibrations:
        raise NotEnoughData(f"nothing to calibrate: {'; '.join(f'{k}: {v}' for k, v in left_out.items())}")
    whole = _cascade(home, dataset, card, candidates, candidate.name, later, config.tier_2, adapter)
    return CalibrateSummary(
        task=card.task,
        dataset=card.name,
        candidate=candidate.name,
        calibrations=tuple(calibrations),
        folders=folders,
        left_out=left_out,
        cascade=whole[1] if whole else None,
        cascade_folder=whole[0] if whole else None,
        tested=later is not None,
        tier_2=config.tier_2,
    )


def _sites(
    card: TaskDataset,
    done: Mapping[str, tuple[Path, Scores]],
    later: Found | None,
    base: Calibration,
    clusters: Mapping[str, str],
    *,
    home: Home,
    config: CalibrateConfig,
) -> tuple[dict[str, Path], list[Calibration], dict[str, str]]:
    """Folders and calibrations by call site, and why others were left out."""
    rows = {split: read_predictions(folder) for split, (folder, _) in done.items()}
    rows["test"] = read_predictions(later.tier_1) if later else []
    second = {row.record_id: row for row in read_predictions(later.tier_2)} if later and later.tier_2 else None
    own_usd = done["threshold"][1].cost.usd_per_1k
    other_usd = scores_.load(later.tier_2).cost.usd_per_1k if later and later.tier_2 else None
    folders: dict[str, Path] = {}
    found: list[Calibration] = []
    left_out: dict[str, str] = {}
    for name in card.call_sites:
        mine = {split: _of(each, name, card) for split, each in rows.items()}
        few = site_.no_rate(card.call_sites[name].request_type) or _too_few(mine, config.min_items)
        if few is not None:
            left_out[name] = few
            continue
        splits = Splits(
            mine["calibration"],
            mine["threshold"],
            mine["test"],
            [second[row.record_id] for row in mine["test"]] if second is not None else None,
            scores_.load(later.tier_1).reference if later else None,
            clusters,
        )
        each = site_.calibrate(
            splits,
            config,
            base=msgspec.structs.replace(base, call_site=name),
            own_usd=None if own_usd is None else own_usd / 1000,
            other_usd=None if other_usd is None else other_usd / 1000,
        )
        folders[name], calibration = write.write(home, each, config)
        found.append(calibration)
    return folders, found, left_out


def _clusters(dataset: Path) -> dict[str, str]:
    """The group of each row that is in one, by record id."""
    rows = (
        row
        for split in ("threshold", "test")
        for row in datasets.read_split(dataset, split).select(["record_id", "group"]).to_pylist()
    )
    return {row["record_id"]: row["group"] for row in rows if row["group"]}


def _of(rows: Sequence[Prediction], call_site: str, card: TaskDataset) -> list[Prediction]:
    """Rows of a call site; where there is one only, old files do not say which."""
    return [row for row in rows if row.call_site == call_site or len(card.call_sites) == 1]


def _too_few(rows: Mapping[str, Sequence[Prediction]], least: int) -> str | None:
    for split in ("calibration", "threshold"):
        usable = sum(row.usable and row.signals is not None for row in rows[split])
        if usable < least:
            return (
                f"{usable} of its {len(rows[split])} answers on the {split} split are usable, at least {least} are "
                "needed (min_items)"
            )
    return None


def _cascade(
    home: Home,
    dataset: Path,
    card: TaskDataset,
    candidates: CandidatesConfig,
    tier_1: str,
    later: Found | None,
    tier_2: str,
    adapter: str | None,
) -> tuple[Path, Scores] | None:
    """The cascade on the items of the test split, where both of its parts were evaluated on them."""
    found = cascade.calibrated(home, card, tier_1, adapter)
    if later is None or later.tier_2 is None or not found:
        return None
    named = [
        each.name
        for each in candidates.candidates
        if isinstance(each, CascadeCandidate) and (each.tier_1, each.tier_2) == (tier_1, tier_2)
    ]
    return cascade.evaluate(
        home,
        dataset,
        name=named[0] if named else f"{tier_1}-then-{tier_2}"[:64],
        tier_1=later.tier_1,
        tier_2=later.tier_2,
        reference=later.reference,
        calibrated=found,
        out_of_scope=candidates.out_of_scope,
    )
