"""Every evaluated candidate of a dataset against gold: accuracy, cohorts, drift, the gate, calibration, cost.

Evaluations score against whatever reference they were given, mostly the logged answers. Here their answers are scored
anew, against gold, on the items of the test split that gold knows, the same ones for each candidate.
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
"""Share of the answers, those with the largest margins, whose accuracy is shown: what a cascade could keep."""


class Candidate(NamedTuple):
    scores: Scores
    rows: dict[str, Prediction]
    """By record id."""
    right: dict[str, bool]
    """Against gold."""


def measure(
    home: Home, dataset: Path, gold_file: Path, gold: Mapping[str, Gold], split: str = "test"
) -> dict[str, Any]:
    """Figures by candidate; empty where nothing was evaluated on this dataset."""
    card = datasets.load(dataset)
    references = label_files.for_split(gold_file, dataset, split).references
    found = {}
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
        found[name] = Candidate(scores, rows, right)
    if not found:
        return {}
    items = sorted(set.intersection(*(set(each.rows) for each in found.values())))
    clusters = [gold[item].source_item or item for item in items]
    rivals = {each.scores.kind: each for each in found.values() if each.scores.kind in ("teacher", "classical")}
    return {
        "items": len(items),
        "candidates": {name: _figures(each, items, clusters, gold, rivals) for name, each in found.items()},
        "calibrations": _calibrated(home, card.name, found, items),
    }


def _newest(home: Home, dataset: str, split: str) -> dict[str, tuple[Path, Scores]]:
    """The newest evaluation of each candidate, whatever it was scored against: the answers are what counts."""
    found: dict[str, tuple[Path, Scores]] = {}
    for evaluation in artifacts.listed(home, artifacts.EVALUATION, dataset=dataset, split=split):
        found.setdefault(str(evaluation.head.candidate), (evaluation.path, scores_.load(evaluation.path)))
    return found


def _figures(
    each: Candidate,
    items: Sequence[str],
    clusters: Sequence[str],
    gold: Mapping[str, Gold],
    rivals: Mapping[str, Candidate],
) -> dict[str, Any]:
    scores = each.scores
    right = [each.right[item] for item in items]
    cohorts: dict[str, dict[str, list[str]]] = {"drift": {}}
    for item in items:
        cohorts["drift"].setdefault("new labels" if gold[item].drift else "the rest", []).append(item)
        for key, value in each.rows[item].cohort.items():
            if key not in _NO_COHORTS and value:
                cohorts.setdefault(key, {}).setdefault(value, []).append(item)
    found = _accuracy(right) | {
        "kind": scores.kind,
        "model": scores.model,
        "adapter": scores.adapter,
        "clustered": _interval(statistics.cluster_bootstrap_interval(right, clusters)),
        "cohorts": {
            key: {value: _accuracy([each.right[item] for item in members]) for value, members in values.items()}
            for key, values in cohorts.items()
        },
        "usd_per_1k": scores.cost.usd_per_1k,
        "latency_p50_ms": scores.latency.p50_ms if scores.latency else None,
        "evaluation_scored_against": scores.reference,
        "mlflow_run_id": scores.mlflow_run_id,
    }
    if scores.parts is not None:
        found["escalation"] = scores.parts.escalation
    elif all(each.rows[item].signals is not None for item in items):
        found["surest"] = _surest(each, items)
    for kind, rival in rivals.items():
        if each is not rival:
            others = [rival.right[item] for item in items]
            test = paired.compare(right, others, clusters, margin=MARGIN, alpha=ALPHA)
            found[f"gate_{kind}"] = msgspec.to_builtins(test)
    return found


def _calibrated(home: Home, dataset: str, found: Mapping[str, Candidate], items: Sequence[str]) -> list[dict[str, Any]]:
    """Of each calibration of these candidates: its promise, and what it keeps of the test split by gold."""
    told = []
    for made in reversed(artifacts.listed(home, artifacts.CALIBRATION)):
        path = made.path / calibrations.FILE
        calibration = calibrations.load(path)
        each = found.get(calibration.candidate)
        site = calibration.call_site
        # Not of another dataset, nor of an adapter that is not the newest any more.
        if each is None or (calibration.dataset, calibration.adapter) != (dataset, each.scores.adapter):
            continue
        mine = [item for item in items if each.rows[item].call_site == site]
        told.append(
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
                "at_target": _kept(each, mine, _cut(calibration, calibration.threshold)),
                "at_escalation": _kept(
                    each,
                    mine,
                    _cut(calibration, calibration.at_escalation.threshold if calibration.at_escalation else None),
                ),
            }
        )
    return told


def _cut(calibration: Calibration, threshold: float | None) -> Threshold | None:
    if threshold is None:
        return None
    return Threshold(calibration.signal, threshold, tuple(calibration.weights.items()), calibration.curve)


def _kept(each: Candidate, items: Sequence[str], cut: Threshold | None) -> dict[str, Any] | None:
    """What a threshold keeps of these items, by gold; None without a threshold."""
    if cut is None or not items:
        return None
    kept = [each.right[item] for item in items if each.rows[item].kept(cut)]
    share = {"items": len(items), "kept": len(kept), "escalation": 1 - len(kept) / len(items)}
    return share | ({"right": _accuracy(kept)} if kept else {})


def _surest(each: Candidate, items: Sequence[str]) -> dict[str, Any]:
    """Accuracy of the answers with the largest margins: sorted on these items themselves, a description."""

    def margin(item: str) -> float:
        signals = each.rows[item].signals
        return signals.min_margin if signals is not None else -1.0

    kept = sorted(items, key=margin, reverse=True)[: max(1, round(SUREST * len(items)))]
    return _accuracy([each.right[item] for item in kept])


def _accuracy(right: Sequence[bool]) -> dict[str, Any]:
    count = int(np.count_nonzero(right))
    interval = statistics.proportion_interval(count, len(right))
    return {"n": len(right), "accuracy": count / len(right)} | _interval(interval)


def _interval(interval: statistics.Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}


def lines(found: Mapping[str, Any]) -> list[tuple[tuple[Any, ...], ...]]:
    """Tables for people, each with its heading first: the candidates, their cohorts, the calibrations."""
    candidates = found["candidates"]
    groups = [each["cohorts"] for each in candidates.values()]
    keys = sorted({(key, value) for group in groups for key, values in group.items() for value in values})
    first = ("against gold", "n", "right", "95%", "clustered", "gate vs teacher", "points to classical", "escalated")
    first = (*first, f"surest {SUREST:.0%}", "USD/1k", "p50 ms")
    rows = tuple(
        (
            *(name, each["n"], f"{each['accuracy']:.1%}", _span(each), _span(each["clustered"])),
            *(each["gate_teacher"]["verdict"] if "gate_teacher" in each else "-", _points(each.get("gate_classical"))),
            number_format.percent(each.get("escalation")),
            number_format.percent(each["surest"]["accuracy"] if "surest" in each else None),
            *(number_format.number(each["usd_per_1k"]), number_format.number(each["latency_p50_ms"])),
        )
        for name, each in candidates.items()
    )
    cohorts = tuple((f"{key} {value}", *(_cell(group, key, value) for group in groups)) for key, value in keys)
    tables = [(first, *rows), (("right by cohort", *candidates), *cohorts)]
    if found["calibrations"]:
        head = ("calibration", "site", "rule", "target", "at most wrong", "kept right", "escalated", "right at cap")
        head = (*head, "escalated")
        tables.append((head, *(_calibration(each) for each in found["calibrations"])))
    return tables


def _calibration(each: Mapping[str, Any]) -> tuple[Any, ...]:
    shown: list[Any] = [each["candidate"], each["call_site"], each["rule"]]
    shown += [number_format.percent(each["target"]), number_format.percent(each["bound"])]
    for kept in (each["at_target"], each["at_escalation"]):
        right = kept.get("right") if kept else None
        shown.append(f"{right['accuracy']:.1%} ({_span(right)})" if right else "-")
        shown.append(number_format.percent(kept["escalation"] if kept else None))
    return tuple(shown)


def _cell(cohorts: Mapping[str, Any], key: str, value: str) -> str:
    found = cohorts.get(key, {}).get(value)
    return f"{found['accuracy']:.1%} ({_span(found)}) of {found['n']}" if found else "-"


def _points(test: Mapping[str, Any] | None) -> str:
    return "-" if test is None else paired.points(msgspec.convert(test, paired.PairedTest))


def _span(found: Mapping[str, float]) -> str:
    return f"{found['low']:.1%}-{found['high']:.1%}"
