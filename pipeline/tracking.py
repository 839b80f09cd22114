"""MLflow runs of all stages.

The store is SQLite in the home folder unless MLFLOW_TRACKING_URI names a server. MLflow is imported lazily, because the
import takes seconds. Its telemetry is off unless MLFLOW_DISABLE_TELEMETRY is set.
"""

import contextlib
import importlib
import os
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from traffic.artifacts import Home, hash8

EXPERIMENT = "fasttier"


@contextlib.contextmanager
def run(home: Home, name: str, *, tags: Mapping[str, str], experiment: str = EXPERIMENT) -> Iterator[Any]:
    """An MLflow run (`mlflow.ActiveRun`), marked finished or failed at the end of the block.

    Usual tags: `stage` (train, evaluate, decide), `task`, `dataset`, `candidate`, and `simulated` = "true" if a number
    comes from a simulated model.
    """
    mlflow = configure(home, experiment)
    with mlflow.start_run(run_name=name, tags=dict(tags)) as active:
        yield active


class BackgroundRun:
    """An MLflow run in a background thread, since importing MLflow and creating its database take seconds.

        with BackgroundRun(home, "train", tags={}) as tracked:
            tracked.log(lambda mlflow: mlflow.log_metric("loss", 1.0))
            run_id = tracked.run_id

    MLflow's active run belongs to a thread, so all calls must go through `log`, which runs them in order. The first
    error is raised by a later `log`, or at the end of the block.
    """

    def __init__(self, home: Home, name: str, *, tags: Mapping[str, str]) -> None:
        self._home = home
        self._run = contextlib.ExitStack()
        self._context = run(home, name, tags=tags)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._pending: list[Future[Any]] = []

    def __enter__(self) -> Self:
        self._opened = self._pool.submit(lambda: self._run.enter_context(self._context))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        failed = next((e for call in [self._opened, *self._pending] if (e := call.exception()) is not None), None)
        if error is None and failed is not None:
            kind, error, trace = type(failed), failed, failed.__traceback__
        try:
            self._pool.submit(self._run.__exit__, kind, error, trace).result()
        finally:
            self._pool.shutdown()
        if failed is not None and error is failed:
            raise failed

    def log(self, call: Callable[[Any], object]) -> None:
        """Queue a call with the `mlflow` module as its argument."""
        for done in self._pending:
            if done.done():
                done.result()
        self._pending = [waiting for waiting in self._pending if not waiting.done()]
        self._pending.append(self._pool.submit(lambda: call(importlib.import_module("mlflow"))))

    @property
    def run_id(self) -> str:
        """Id of the run; waits until it exists."""
        run_id: str = self._opened.result().info.run_id
        return run_id


def configure(home: Home, experiment: str = EXPERIMENT) -> Any:
    """Point MLflow at the home's store and return the module."""
    # Must be set before the import.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    home.root.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(home.mlflow_uri)
    if mlflow.get_experiment_by_name(experiment) is None:
        # A server chooses the artifact location; with SQLite the default would be the working directory.
        local = home.mlflow_uri.startswith("sqlite")
        mlflow.create_experiment(
            experiment, artifact_location=home.mlflow_artifacts.resolve().as_uri() if local else None
        )
    mlflow.set_experiment(experiment)
    return mlflow


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested configuration as MLflow parameters: `{"lora": {"rank": 16}}` -> `{"lora.rank": 16}`."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        flat |= flatten(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return flat


def log_parameters(parameters: Mapping[str, Any]) -> None:
    """Log nested parameters to the active run, with values cut to MLflow's limit of 6,000 characters."""
    import mlflow

    mlflow.log_params({name: str(value)[:6000] for name, value in valid_names(flatten(parameters)).items()})


_MAX_NAME = 250


def valid_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics or parameters with names that MLflow accepts; some names come from logs (fields, labels, cohorts).

    A changed name gets a hash of the original, so that names stay distinct.
    """
    return {_valid_name(name): value for name, value in values.items()}


def _valid_name(name: str) -> str:
    valid = re.sub(r"[^\w.\- :/]", "_", name)
    # MLflow treats slashes as folders and rejects paths that are not normalised.
    if valid.startswith(("/", "..")) or posixpath.normpath(valid) != valid or valid == ".":
        valid = re.sub(r"[/.]+", "_", valid)
    if valid == name and 0 < len(name) <= _MAX_NAME:
        return name
    return f"{valid[: _MAX_NAME - 9]}_{hash8(name)}"
