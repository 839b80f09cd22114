"""MLflow: where runs go and how they are named, the same for every stage.

sqlite under the home folder unless MLFLOW_TRACKING_URI names a server. MLflow is imported inside,
so that stages that do not track do not pay for it. MLflow's usage reports to its makers are off, unless
MLFLOW_DISABLE_TELEMETRY says otherwise.
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
    """An MLflow run (`mlflow.ActiveRun`), finished or marked failed when the block ends.

    Tags say what it is: `stage` (train, evaluate, decide), `task`, `dataset`, `candidate`, and
    `simulated` = "true" wherever a number does not come from the real thing.
    """
    mlflow = configure(home, experiment)
    with mlflow.start_run(run_name=name, tags=dict(tags)) as active:
        yield active


class BackgroundRun:
    """An MLflow run whose calls one thread makes, in order: importing MLflow and creating its database take seconds.

        with BackgroundRun(home, "train", tags={}) as tracked:
            tracked.log(lambda mlflow: mlflow.log_metric("loss", 1.0))
            run_id = tracked.run_id

    MLflow's active run belongs to a thread, so all calls must go through `log`. The first one that failed is raised by
    a later `log`, or when the block ends.
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
        """Waits until the run exists."""
        run_id: str = self._opened.result().info.run_id
        return run_id


def configure(home: Home, experiment: str = EXPERIMENT) -> Any:
    """Point MLflow at the home's store and return the module."""
    # Before the import, which is when it is read.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    import mlflow

    home.root.mkdir(parents=True, exist_ok=True)
    mlflow.set_tracking_uri(home.mlflow_uri)
    if mlflow.get_experiment_by_name(experiment) is None:
        # A server decides for itself where artifacts go; sqlite would put them into the working directory.
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


_MAX_NAME = 250


def valid_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics or parameters under names that MLflow accepts; field names, labels and cohorts come from logs.

    A name that has to change gets a hash of what it was, so that two of them stay two.
    """
    return {_valid_name(name): value for name, value in values.items()}


def _valid_name(name: str) -> str:
    written = re.sub(r"[^\w.\- :/]", "_", name)
    # MLflow takes slashes for folders and refuses a name that another path would lead to as well.
    if written.startswith(("/", "..")) or posixpath.normpath(written) != written or written == ".":
        written = re.sub(r"[/.]+", "_", written)
    if written == name and 0 < len(name) <= _MAX_NAME:
        return name
    return f"{written[: _MAX_NAME - 9]}_{hash8(name)}"
