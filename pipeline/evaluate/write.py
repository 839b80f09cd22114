"""Writes an evaluation: a folder per candidate, and an MLflow run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import tracking
from pipeline.evaluate import predictions
from pipeline.evaluate.scores import FILE, Scores, load
from traffic import artifacts, config
from traffic.artifacts import Home, atomic_folder

TABLE = "predictions.json"
"""The per-item table as an MLflow artifact, beside the Parquet file."""


def write(
    home: Home,
    scores: Scores,
    table: pa.Table,
    parameters: dict[str, Any],
    *,
    log_more: Callable[[], None] = lambda: None,
) -> tuple[Path, Scores]:
    """Write `<candidate>@<hash8>/` and log its MLflow run; the hash is over scores and predictions.

    `more`: called inside the run to log further data. Repeating an evaluation makes its folder the current one
    and changes nothing else.
    """
    name = artifacts.name_of(scores.candidate, msgspec.to_builtins(scores), table.to_pylist())
    folder = home.evaluations / name
    if (folder / FILE).is_file():
        artifacts.make_current(home, artifacts.EVALUATION, folder)
        return folder, load(folder)
    tags = {
        "stage": "evaluate",
        "task": scores.task,
        "dataset": scores.dataset,
        "candidate": scores.candidate,
        "kind": scores.kind,
        "reference": scores.reference,
        "split": scores.split,
        "evaluation": name,
    }
    if scores.simulated:
        tags["simulated"] = "true"
    if scores.adapter is not None:
        tags["adapter"] = scores.adapter
    with tracking.run(home, f"evaluate {scores.task} {scores.candidate}", tags=tags) as active:
        finished = msgspec.structs.replace(
            scores,
            created_at=artifacts.created_now(home, artifacts.EVALUATION),
            mlflow_run_id=active.info.run_id,
        )
        with atomic_folder(folder, FILE) as temporary:
            pq.write_table(table, temporary / predictions.FILE, compression="zstd")
            (temporary / FILE).write_text(config.dump(finished), encoding="utf-8")
            # Before the folder gets its final name: an evaluation without its metrics must not look finished.
            _log(finished, table, temporary, parameters)
            log_more()
    return folder, finished


def _log(scores: Scores, table: pa.Table, folder: Path, parameters: dict[str, Any]) -> None:
    import mlflow

    tracking.log_parameters(parameters)
    mlflow.log_metrics(tracking.valid_names(run_metrics(scores)))
    for file in sorted(folder.iterdir()):
        mlflow.log_artifact(str(file))
    _log_table(table)


def _log_table(table: pa.Table) -> None:
    """Log the rows for MLflow's item-by-item comparison of runs: what `mlflow.log_table` writes, without pandas."""
    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

    rows = [[_cell(value) for value in row.values()] for row in table.to_pylist()]
    mlflow.log_text(msgspec.json.encode({"columns": table.column_names, "data": rows}).decode(), TABLE)
    mlflow.set_tag(MLFLOW_LOGGED_ARTIFACTS, msgspec.json.encode([{"path": TABLE, "type": "table"}]).decode())


def _cell(value: Any) -> Any:
    """A value that fits a table cell."""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def run_metrics(scores: Scores) -> dict[str, float]:
    """Metrics of a run, with the same names for every candidate so that MLflow can compare them."""
    values: dict[str, float | None] = {"n": scores.n, "failed": scores.failed}
    for name, metric in scores.metrics.items():
        values |= {name: metric.value, f"{name}_low": metric.interval.low, f"{name}_high": metric.interval.high}
    if scores.traffic is not None:
        weighted = scores.traffic
        values |= {"requests": weighted.requests, "traffic_accuracy": weighted.accuracy.value}
        values |= {"traffic_accuracy_low": weighted.accuracy.interval.low}
        values |= {"traffic_accuracy_high": weighted.accuracy.interval.high, "traffic_difference": weighted.difference}
    if scores.parts is not None:
        values["escalation_rate"] = scores.parts.escalation
    if scores.latency is not None:
        values |= {"latency_p50_ms": scores.latency.p50_ms, "latency_p95_ms": scores.latency.p95_ms}
    if scores.latency_loaded is not None:
        values["latency_loaded_p50_ms"] = scores.latency_loaded.p50_ms
        values["latency_loaded_p95_ms"] = scores.latency_loaded.p95_ms
    values["cost_per_1k_usd"] = scores.cost.usd_per_1k
    values["requests_per_s"] = scores.cost.requests_per_s
    values["input_tokens_mean"] = scores.cost.input_tokens_mean
    values["output_tokens_mean"] = scores.cost.output_tokens_mean
    if scores.comparison is not None:
        values["difference"] = scores.comparison.difference
        values["difference_low"] = scores.comparison.interval.low
        values["difference_high"] = scores.comparison.interval.high
        values["only_this_right"] = scores.comparison.only_this
        values["only_other_right"] = scores.comparison.only_other
    if scores.judge is not None:
        rate = scores.judge.win_rate
        values |= {"judge_win_rate": rate.value if rate else None, "judge_flip_rate": scores.judge.flip_rate}
    values["evaluation_usd"] = scores.paid_usd
    return {name: float(value) for name, value in values.items() if value is not None}
