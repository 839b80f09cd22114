"""Detects answers that are probably wrong, lists them, and reduces their weight or drops them if configured.

Labels are compared with out-of-fold probabilities of the classical model; JSON answers and rewrites with regularities
of nearly all other rows. Both are fitted on train and validation only, and only rows of these splits change: removing
suspects from the later splits would overstate the accuracy of the logged answers.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.classifiers.out_of_fold import OutOfFold
from pipeline.dataset import SPLITS
from pipeline.extract.config import LabelQualityConfig
from pipeline.extract.filters import Ledger
from pipeline.extract.label_quality import closed_labels, json_answers, rewrites
from pipeline.extract.label_quality.suspects import FILE, Finding, Suspect, csv_bytes
from pipeline.extract.rows import Row
from traffic import classifiers
from traffic.callsites import Checks, RequestType

__all__ = ["FILE", "Suspect", "Task", "apply", "csv_bytes", "described"]

TRAINED_ON = ("train", "validation")


class Task(NamedTuple):
    """Request type and checks of a call site's answers."""

    request_type: RequestType
    checks: Checks


def apply(
    parts: Mapping[str, Sequence[Row]], tasks: Mapping[str, Task], config: LabelQualityConfig, ledger: Ledger
) -> tuple[dict[str, list[Row]], list[Suspect]]:
    """The splits after `config.action`, and the suspects of all splits.

    `tasks` by call site. Weights are set in place; dropped rows are counted in the ledger.
    """
    splits = {name: list(rows) for name, rows in parts.items()}
    if config.action == "off":
        return splits, []
    suspects: list[Suspect] = []
    for site, task in tasks.items():
        rows = [(row, split) for split, part in splits.items() for row in part if row.call_site == site]
        findings = _find([row for row, _ in rows], [split in TRAINED_ON for _, split in rows], task, config)
        suspects += [Suspect(*rows[finding.row_index], finding) for finding in findings]
    touched = {
        suspect.row.id
        for suspect in suspects
        if suspect.split in TRAINED_ON and suspect.row.label_source not in ("human", "corrected")
    }
    if config.action == "drop":
        reason = "the answer is probably wrong (suspects.csv); kept in calibration, threshold and test"
        for split in TRAINED_ON:
            splits[split] = ledger.split(splits[split], lambda row: row.id not in touched, "suspect_label", reason)
    elif config.action == "weight":
        for suspect in suspects:
            if suspect.row.id in touched:
                suspect.row.weight *= config.weight
    return splits, suspects


def described(suspects: Sequence[Suspect]) -> dict[str, dict[str, int]]:
    """Suspect counts for dataset.yaml, by split and by reason (most frequent first)."""
    splits = Counter(suspect.split for suspect in suspects)
    reasons = Counter(suspect.finding.reason for suspect in suspects)
    return {
        "splits": {split: splits[split] for split in SPLITS},
        "reasons": dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    }


def _find(rows: Sequence[Row], fitted: Sequence[bool], task: Task, config: LabelQualityConfig) -> list[Finding]:
    if sum(fitted) < config.min_rows:
        return []
    checks = task.checks
    if checks.labels or checks.needs_json:
        texts = [classifiers.text_of(row.pruned) for row in rows]
        model = OutOfFold(texts, [row.group or row.id for row in rows], fitted, folds=config.folds)
        find = closed_labels.find if checks.labels else json_answers.find
        return find(rows, fitted, model, config.threshold)
    return rewrites.find(rows, fitted) if task.request_type == "rewrite" else []
