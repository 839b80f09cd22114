"""Scores every evaluated candidate of a dataset against gold: accuracy, cohorts, drift, gate, calibration, cost.

Evaluations use the logged answers or another reference. Here the same answers are scored against gold, on the items of
the test split that have gold answers, the same ones for all candidates.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from benchmarks.gold import Gold
from pipeline import dataset as datasets
from pipeline import metrics, statistics
from pipeline.evaluate import predictions
from pipeline.evaluate import scores as scores_
from pipeline.evaluate.predictions import Prediction
from pipeline.evaluate.scores import Scores
from pipeline.gate import paired
from pipeline.labels import references as label_files
from traffic import artifacts, calibrations, number_format
from traffic.artifacts import Home
from traffic.calibrations import Calibration
from traffic.confidence import Threshold

MARGIN, ALPHA = 0.02, 0.05
_NO_COHORTS = ("label_source",)
SUREST = 0.85
"""Share of the most confident answers whose accuracy is reported: what a cascade could keep."""


class Candidate(NamedTuple):
    scores: Scores
    rows: dict[str, Prediction]
    """By record id."""
    right: dict[str, bool]
    """Correct by gold, by record id."""


def measure(
    home: Home, dataset: Path, gold_file: Path, gold: Mapping[str, Gold], split: str = "test"
) -> dict[str, Any]:
    """Figures by candidate; empty without evaluations of this dataset."""
    card = datasets.load(dataset)
    references = label_files.for_split(gold_file, dataset, split).references
    candidates = {}
    for name, (folder, scores) in sorted(_newest(home, card.name, split).items()):
        rows = {row.record_id: row for row in predictions.read(folder) if row.record_id in references}
        right = {
            record_id: metrics.score(
                card.call_sites[row.call_site or ""].request_type,
                row.output,
                references[record_id],
                card.call_sites[row.call_site or ""].checks,
                row.finish_reason,
            ).correct
            for record_id, row in rows.items()
        }
        candidates[name] = Candidate(scores, rows, right)
    if not candidates:
        return {}
    items = sorted(set.intersection(*(set(candidate.rows) for candidate in candidates.values())))
    clusters = [gold[item].source_item or item for item in items]
    rivals: dict[str, Candidate] = {
        candidate.scores.kind: candidate
        for candidate in candidates.values()
        if candidate.scores.kind in ("teacher", "classical")
    }
    return {
        "items": len(items),
        "candidates": {
            name: _figures(candidate, items, clusters, gold, rivals) for name, candidate in candidates.items()
        },
        "calibrations": _calibrated(home, card.name, candidates, items),
    }


def _newest(home: Home, dataset: str, split: str) -> dict[str, tuple[Path, Scores]]:
    """The newest evaluation of each candidate with any reference, since only its answers are used."""
    newest: dict[str, tuple[Path, Scores]] = {}
    for evaluation in artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split):
        newest.setdefault(str(evaluation.head.candidate), (evaluation.path, scores_.load(evaluation.path)))
    return newest


def _figures(
    candidate: Candidate,
    items: Sequence[str],
    clusters: Sequence[str],
    gold: Mapping[str, Gold],
    rivals: Mapping[str, Candidate],
) -> dict[str, Any]:
    scores = candidate.scores
    right = [candidate.right[item] for item in items]
    cohorts: dict[str, dict[str, list[str]]] = {"drift": {}}
    for item in items:
        cohorts["drift"].setdefault("new labels" if gold[item].drift else "the rest", []).append(item)
        for key, value in candidate.rows[item].cohort.items():
            if key not in _NO_COHORTS and value:
                cohorts.setdefault(key, {}).setdefault(value, []).append(item)
    figures = _accuracy(right) | {
        "kind": scores.kind,
        "model": scores.model,
        "adapter": scores.adapter,
        "clustered": _interval(statistics.cluster_bootstrap_interval(right, clusters)),
        "cohorts": {
            key: {value: _accuracy([candidate.right[item] for item in members]) for value, members in values.items()}
            for key, values in cohorts.items()
        },
        "usd_per_1k": scores.cost.usd_per_1k,
        "latency_p50_ms": scores.latency.p50_ms if scores.latency else None,
        "evaluation_scored_against": scores.reference,
        "mlflow_run_id": scores.mlflow_run_id,
    }
    if scores.parts is not None:
        figures["escalation"] = scores.parts.escalation
    elif all(candidate.rows[item].signals is not None for item in items):
        figures["surest"] = _surest(candidate, items)
    for kind, rival in rivals.items():
        if candidate is not rival:
            others = [rival.right[item] for item in items]
            test = paired.compare(right, others, clusters, margin=MARGIN, alpha=ALPHA)
            figures[f"gate_{kind}"] = msgspec.to_builtins(test)
    return figures


def _calibrated(
    home: Home, dataset: str, candidates: Mapping[str, Candidate], items: Sequence[str]
) -> list[dict[str, Any]]:
    """For each calibration of these candidates: its bound, and its error on the test split by gold."""
    rows = []
    for artifact in reversed(artifacts.listed(home, artifacts.CALIBRATION)):
        path = artifact.path / calibrations.FILE
        calibration = calibrations.load(path)
        candidate = candidates.get(calibration.candidate or "")
        site = calibration.call_site
        # Skips calibrations of other datasets, and of adapters that are no longer the newest.
        if candidate is None or (calibration.dataset, calibration.adapter) != (dataset, candidate.scores.adapter):
            continue
        site_items = [item for item in items if candidate.rows[item].call_site == site]
        rows.append(
            {
                "call_site": site,
                "candidate": calibration.candidate,
                "calibration": path.parent.name,
                "rule": calibration.rule,
                "target": calibration.target_risk,
                "bound": calibration.achieved_risk_bound,
                "expected_escalation": calibration.expected_escalation_rate,
                "infeasible": calibration.infeasible,
                "usd_per_1k": calibration.usd_per_1k,
                "at_target": _kept(candidate, site_items, _cut(calibration, calibration.threshold)),
                "at_escalation": _kept(
                    candidate,
                    site_items,
                    _cut(calibration, calibration.at_escalation.threshold if calibration.at_escalation else None),
                ),
            }
        )
    return rows


def _cut(calibration: Calibration, threshold: float | None) -> Threshold | None:
    if threshold is None:
        return None
    return Threshold(calibration.signal, threshold, tuple(calibration.weights.items()), calibration.curve)


def _kept(candidate: Candidate, items: Sequence[str], cut: Threshold | None) -> dict[str, Any] | None:
    """Answers kept by a threshold and their error by gold; None without a threshold."""
    if cut is None or not items:
        return None
    kept = [candidate.right[item] for item in items if candidate.rows[item].kept(cut)]
    share = {"items": len(items), "kept": len(kept), "escalation": 1 - len(kept) / len(items)}
    return share | ({"right": _accuracy(kept)} if kept else {})


def _surest(candidate: Candidate, items: Sequence[str]) -> dict[str, Any]:
    """Accuracy of the answers with the largest margins; descriptive, since it is selected on the same items."""

    def margin(item: str) -> float:
        signals = candidate.rows[item].signals
        return signals.min_margin if signals is not None else -1.0

    kept = sorted(items, key=margin, reverse=True)[: max(1, round(SUREST * len(items)))]
    return _accuracy([candidate.right[item] for item in kept])


def _accuracy(right: Sequence[bool]) -> dict[str, Any]:
    count = int(np.count_nonzero(right))
    interval = statistics.proportion_interval(count, len(right))
    return {"n": len(right), "accuracy": count / len(right)} | _interval(interval)


def _interval(interval: statistics.Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def lines(figures: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], ...]]:
    """Rows of the tables for the terminal, each with its heading first: candidates, cohorts, calibrations."""
    candidates = figures["candidates"]
    groups = [candidate["cohorts"] for candidate in candidates.values()]
    keys = sorted({(key, value) for group in groups for key, values in group.items() for value in values})
    first = (
        *("against gold", "n", "right", "95%", "clustered", "gate vs teacher", "points to classical", "escalated"),
        *(f"surest {SUREST:.0%}", "USD/1k", "p50 ms"),
    )
    rows = tuple(
        (
            *(name, candidate["n"], f"{candidate['accuracy']:.1%}", _span(candidate), _span(candidate["clustered"])),
            *(
                candidate["gate_teacher"]["verdict"] if "gate_teacher" in candidate else "-",
                _points(candidate.get("gate_classical")),
            ),
            number_format.percent(candidate.get("escalation")),
            number_format.percent(candidate["surest"]["accuracy"] if "surest" in candidate else None),
            *(number_format.number(candidate["usd_per_1k"]), number_format.number(candidate["latency_p50_ms"])),
        )
        for name, candidate in candidates.items()
    )
    cohorts = tuple((f"{key} {value}", *(_cell(group, key, value) for group in groups)) for key, value in keys)
    tables = [(first, *rows), (("right by cohort", *candidates), *cohorts)]
    if figures["calibrations"]:
        head = (
            *("calibration", "site", "rule", "target", "at most wrong", "kept right", "escalated", "right at cap"),
            "escalated",
        )
        tables.append((head, *(_calibration(calibration) for calibration in figures["calibrations"])))
    return tables


def _calibration(figures: Mapping[str, Any]) -> tuple[Any, ...]:
    shown: list[Any] = [figures["candidate"], figures["call_site"], figures["rule"]]
    shown += [number_format.percent(figures["target"]), number_format.percent(figures["bound"])]
    for kept in (figures["at_target"], figures["at_escalation"]):
        right = kept.get("right") if kept else None
        shown.append(f"{right['accuracy']:.1%} ({_span(right)})" if right else "-")
        shown.append(number_format.percent(kept["escalation"] if kept else None))
    return tuple(shown)


def _cell(cohorts: Mapping[str, Any], key: str, value: str) -> str:
    figures = cohorts.get(key, {}).get(value)
    return f"{figures['accuracy']:.1%} ({_span(figures)}) of {figures['n']}" if figures else "-"


def _points(test: Mapping[str, Any] | None) -> str:
    return "-" if test is None else paired.points(msgspec.convert(test, paired.PairedTest))


def _span(interval: Mapping[str, float]) -> str:
    return f"{interval['low']:.1%}-{interval['high']:.1%}"
