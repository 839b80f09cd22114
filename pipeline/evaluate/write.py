"""What an evaluation leaves behind: a folder per candidate, and a run in MLflow."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline import tracking
from pipeline.evaluate.answers import Answer
from pipeline.evaluate.items import Items
from pipeline.evaluate.predictions import TEXT_KINDS, listed
from pipeline.evaluate.scores import FILE, Scores, load
from pipeline.metrics import ItemScore, Reference
from traffic import artifacts, config
from traffic.artifacts import Home, atomic_folder
from traffic.confidence import Signals

TABLE = "predictions.json"
"""The per-item table as an MLflow artifact, beside the Parquet file."""
SIGNALS = tuple(name for name in Signals.__struct_fields__ if name != "tokens")


def schema(cohort_keys: Sequence[str]) -> pa.Schema:
    """Columns of `predictions.parquet`, one row per item."""
    return pa.schema(
        [
            pa.field("record_id", pa.string(), nullable=False),
            ("call_site", pa.string()),
            ("output", pa.string()),  # null: no answer, see error
            ("reference", pa.string()),  # a text as it is, other kinds as JSON
            ("reference_kind", pa.string()),
            pa.field("correct", pa.bool_(), nullable=False),
            pa.field("score", pa.float64(), nullable=False),
            ("failed_checks", pa.list_(pa.string())),
            *((name, pa.float64()) for name in SIGNALS),
            ("signal_tokens", pa.int64()),
            ("confidence", pa.float64()),  # calibrated probability of being right, where the candidate has one
            ("input_tokens", pa.int64()),
            ("output_tokens", pa.int64()),
            ("latency_ms", pa.float64()),
            ("concurrency", pa.int64()),
            ("cost_usd", pa.float64()),
            ("finish_reason", pa.string()),
            ("error", pa.string()),
            ("cohort", pa.struct([(key, pa.string()) for key in cohort_keys])),
        ]
    )


def predictions(
    items: Items, answers: Sequence[Answer], scored: Sequence[ItemScore], costs: Sequence[float | None]
) -> pa.Table:
    """The rows of `predictions.parquet`, in the order of the items."""
    keys = sorted({key for item in items.items for key in item.cohort})
    rows = []
    for item, answer, score, cost in zip(items.items, answers, scored, costs, strict=True):
        signals = answer.signals
        rows.append(
            {
                "record_id": item.record_id,
                "call_site": item.call_site,
                "output": answer.text,
                "reference": _reference_text(item.reference),
                "reference_kind": item.reference.kind if isinstance(item.reference, Reference) else None,
                "correct": score.correct,
                "score": score.score,
                "failed_checks": list(score.detail.failed),
                **{name: None if signals is None else getattr(signals, name) for name in SIGNALS},
                "signal_tokens": None if signals is None else signals.tokens,
                "confidence": answer.confidence,
                "input_tokens": None if answer.usage is None else answer.usage.input_total,
                "output_tokens": None if answer.usage is None else answer.usage.output,
                "latency_ms": answer.latency_ms,
                "concurrency": answer.concurrency,
                "cost_usd": cost,
                "finish_reason": answer.finish_reason,
                "error": answer.error,
                "cohort": {key: item.cohort.get(key) for key in keys},
            }
        )
    return pa.Table.from_pylist(rows, schema=schema(keys))


def _reference_text(reference: str | Reference) -> str:
    if isinstance(reference, str):
        return reference
    value = reference.value
    if reference.kind in TEXT_KINDS and not isinstance(value, list | tuple):
        # One text, written as it is; one that reads as a list goes into a list of its own, and means the same there.
        value = str(value)
        return value if listed(value) is None else msgspec.json.encode([value]).decode()
    plain = isinstance(value, str) and reference.kind not in ("json", "json_any_of")
    return value if plain else msgspec.json.encode(value).decode()


def write(
    home: Home,
    scores: Scores,
    table: pa.Table,
    parameters: dict[str, Any],
    *,
    more: Callable[[], None] = lambda: None,
) -> tuple[Path, Scores]:
    """Write `<candidate>@<hash8>/` and log its MLflow run; the hash is over scores and predictions.

    `more`: logs what else belongs into the run.

    The same evaluation again finds its folder, which becomes the current one, and changes nothing else.
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
            pq.write_table(table, temporary / "predictions.parquet", compression="zstd")
            (temporary / FILE).write_text(config.dump(finished), encoding="utf-8")
            # Before the folder gets its name: a run whose metrics were lost must not look finished.
            _log(finished, table, temporary, parameters)
            more()
    return folder, finished


def _log(scores: Scores, table: pa.Table, folder: Path, parameters: dict[str, Any]) -> None:
    import mlflow

    # MLflow takes at most 6,000 characters per parameter, and a run must not fail on a long one.
    flat = tracking.flatten(parameters)
    mlflow.log_params({key: str(value)[:6000] for key, value in flat.items()})
    # Names of fields come from answers, and MLflow takes no other characters than these.
    mlflow.log_metrics({re.sub(r"[^\w\-. /:]", "_", name): value for name, value in run_metrics(scores).items()})
    for file in sorted(folder.iterdir()):
        mlflow.log_artifact(str(file))
    _log_table(table)


def _log_table(table: pa.Table) -> None:
    """The rows as MLflow's own page shows and compares them, item by item across runs.

    What `mlflow.log_table` writes, without its way through pandas.
    """
    import mlflow
    from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS

    rows = [[_cell(value) for value in row.values()] for row in table.to_pylist()]
    mlflow.log_text(msgspec.json.encode({"columns": table.column_names, "data": rows}).decode(), TABLE)
    mlflow.set_tag(MLFLOW_LOGGED_ARTIFACTS, msgspec.json.encode([{"path": TABLE, "type": "table"}]).decode())


def _cell(value: Any) -> Any:
    """A value that a cell of a table can show."""
    return msgspec.json.encode(value).decode() if isinstance(value, list | dict) else value


def run_metrics(scores: Scores) -> dict[str, float]:
    """A run's metrics, with the same names for every candidate so that MLflow compares them."""
    found: dict[str, float | None] = {"n": scores.n, "failed": scores.failed}
    for name, metric in scores.metrics.items():
        found |= {name: metric.value, f"{name}_low": metric.interval.low, f"{name}_high": metric.interval.high}
    if scores.latency is not None:
        found |= {"latency_p50_ms": scores.latency.p50_ms, "latency_p95_ms": scores.latency.p95_ms}
    if scores.latency_loaded is not None:
        found["latency_loaded_p50_ms"] = scores.latency_loaded.p50_ms
        found["latency_loaded_p95_ms"] = scores.latency_loaded.p95_ms
    found["cost_per_1k_usd"] = scores.cost.usd_per_1k
    found["requests_per_s"] = scores.cost.requests_per_s
    found["input_tokens_mean"] = scores.cost.input_tokens_mean
    found["output_tokens_mean"] = scores.cost.output_tokens_mean
    if scores.comparison is not None:
        found["difference"] = scores.comparison.difference
        found["difference_low"] = scores.comparison.interval.low
        found["difference_high"] = scores.comparison.interval.high
        found["only_this_right"] = scores.comparison.only_this
        found["only_other_right"] = scores.comparison.only_other
    if scores.judge is not None:
        rate = scores.judge.win_rate
        found |= {"judge_win_rate": rate.value if rate else None, "judge_flip_rate": scores.judge.flip_rate}
    found["evaluation_usd"] = scores.paid_usd
    return {name: float(value) for name, value in found.items() if value is not None}
