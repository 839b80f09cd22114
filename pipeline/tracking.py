"""MLflow: where runs go and how they are named, the same for every stage.

sqlite under the home folder unless MLFLOW_TRACKING_URI names a server. MLflow is imported inside,
so that stages that do not track do not pay for it. MLflow's usage reports to its makers are off, unless
MLFLOW_DISABLE_TELEMETRY says otherwise.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from traffic.artifacts import Home

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
