"""Exports traces of an MLflow experiment (`mlflow:EXPERIMENT`) with MLflow's client.

The server is MLFLOW_TRACKING_URI, or the home's own store. Traces are written to a file in the home, which is then read
like any other log.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from traffic.artifacts import Home, slug
from traffic.errors import InputError, NotFound

PREFIX = "mlflow:"
_PAGE = 100


def exported(
    sources: Sequence[str | Path], home: Home, since: datetime | None = None, until: datetime | None = None
) -> list[str | Path]:
    """The sources, each `mlflow:EXPERIMENT` replaced by a file with its traces. Raises: NotFound, InputError."""
    return [_export(str(source), home, since, until) if _is_named(source) else source for source in sources]


def _is_named(source: str | Path) -> bool:
    return str(source).startswith(PREFIX) and not Path(source).exists()


def _export(source: str, home: Home, since: datetime | None, until: datetime | None) -> Path:
    name = source.removeprefix(PREFIX).removeprefix("//")
    path = home.runs / "ingest" / f"mlflow-{slug(name)}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    traces = 0
    with path.open("w", encoding="utf-8") as out:
        for trace in _traces(name, home, since, until):
            out.write(trace.to_json() + "\n")
            traces += 1
    if not traces:
        raise NotFound(f"{source}: the experiment has no traces in this period at {home.mlflow_uri}")
    return path


def _traces(name: str, home: Home, since: datetime | None, until: datetime | None) -> Iterator[Any]:
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise InputError(f"{PREFIX}{name}: MLflow is not installed; pip install mlflow") from None
    client = MlflowClient(tracking_uri=home.mlflow_uri)
    bounds = ((">=", since), ("<", until))
    period = [f"trace.timestamp_ms {sign} {int(moment.timestamp() * 1000)}" for sign, moment in bounds if moment]
    try:
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise NotFound(f"{PREFIX}{name}: no such experiment at {home.mlflow_uri}")
        token: str | None = None
        while True:
            page = client.search_traces(
                locations=[experiment.experiment_id], filter_string=" AND ".join(period) or None,
                max_results=_PAGE, order_by=["timestamp_ms ASC"], page_token=token,
            )  # fmt: skip
            yield from page
            token = page.token
            if not token:
                return
    except MlflowException as error:
        raise InputError(f"{PREFIX}{name}: {str(error).splitlines()[0]}") from None
