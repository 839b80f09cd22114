"""Maintains the MLflow tag `serving` on the runs behind each deployment.

Tagged are the adapter's training run, the run of the deployed calibration, and the evidence: the runs of the decision,
of the candidate to build, and of the evaluations behind it; for an override, the adapter's newest evaluation on the
test split. The tag lists call sites, cohorts and shares, and is removed from all other runs. A search for
`tags.serving != ''` finds the runs that serve now, with their data and evidence.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import tracking
from pipeline.decide import record
from pipeline.decide.record import Decision
from pipeline.evaluate import scores as scores_
from traffic import artifacts, calibrations, deployments, own_models
from traffic.artifacts import Home
from traffic.deployments import Deployment, Deployments

TAG = "serving"
_PER_SEARCH = 200
"""Run ids in one query: its length is limited."""


def expected_tags(home: Home, table: Deployments) -> dict[str, str]:
    """Tag values by run id. Raises: ConfigError if a file is broken."""
    descriptions: dict[str, list[str]] = {}
    for entry in table.entries:
        for run_id in dict.fromkeys(_runs(home, entry)):
            descriptions.setdefault(run_id, []).append(_description(entry))
    return {run_id: "; ".join(parts) for run_id, parts in descriptions.items()}


def update(home: Home) -> int:
    """Update the tags to match the deployment table; returns the number of changed runs."""
    mlflow = tracking.configure(home)
    client = mlflow.MlflowClient()
    values = expected_tags(home, deployments.load_or_empty(home.deployments))
    changed = 0
    for run_id, tags in _tags(mlflow, list(values)).items():
        if values.get(run_id) == tags.get(TAG):
            continue
        if run_id in values:
            client.set_tag(run_id, TAG, values[run_id])
        else:
            client.delete_tag(run_id, TAG)
        changed += 1
    return changed


def _description(entry: Deployment) -> str:
    cohort = "".join(f" {key}={value}" for key, value in sorted((entry.cohort or {}).items()))
    only = "".join(f" {key} in {'|'.join(values)}" for key, values in sorted(entry.only.items()))
    role = "shadow of" if entry.shadow else "answers"
    return f"{role} {entry.share:.0%} of {entry.call_site}{cohort}{only} since {entry.since:%Y-%m-%dT%H:%M:%SZ}"


def _runs(home: Home, entry: Deployment) -> Iterator[str]:
    """Ids of the runs behind a deployment; missing artifacts, or those of versions without runs, have none."""
    run_ids = [_training(home, entry.adapter), _calibration(home, entry)]
    path = home.decisions / Path(entry.decision).name if entry.decision else None
    if path is None:
        run_ids.append(_newest_evaluation(home, entry.adapter))
    elif path.is_file():
        run_ids += _decided(record.load(path), entry)
    yield from (run_id for run_id in run_ids if run_id is not None)


def _training(home: Home, adapter: str) -> str | None:
    folder = own_models.named(home, adapter)
    return own_models.load(folder).mlflow_run_id if folder.is_dir() else None


def _calibration(home: Home, entry: Deployment) -> str | None:
    path = entry.calibration_path(home) if entry.calibration else None
    return calibrations.load(path).mlflow_run_id if path is not None and path.is_file() else None


def _newest_evaluation(home: Home, adapter: str) -> str | None:
    mine = artifacts.listed(home, artifacts.EVALUATION, adapter=adapter, split="test")
    newest = next((evaluation for evaluation in mine if evaluation.head.kind != "cascade"), None)
    return scores_.load(newest.path).mlflow_run_id if newest else None


def _decided(decision: Decision, entry: Deployment) -> list[str | None]:
    """Runs of the decision, of the candidate to build, and of the adapter's evaluations in its evidence."""
    built = {candidate.name: candidate for candidate in decision.candidates}.get(_built(decision, entry) or "")
    mine = {candidate.name for candidate in decision.candidates if candidate.adapter == entry.adapter}
    evaluations = [file.mlflow_run_id for file in decision.evidence if file.candidate in mine]
    return [decision.mlflow_run_id, built.mlflow_run_id if built else None, *evaluations]


def _built(decision: Decision, entry: Deployment) -> str | None:
    """Name of the candidate to build for this cohort."""
    if decision.verdict == "build":
        return decision.winner
    cohorts = [cohort for cohort in decision.cohorts if {cohort.key: cohort.value} == (entry.cohort or {})]
    return next((cohort.cheapest for cohort in cohorts if cohort.verdict == "build"), None)


def _tags(mlflow: Any, run_ids: list[str]) -> dict[str, Mapping[str, str]]:
    """Tags by run id: of these runs, if they exist, and of all runs with the tag."""
    parts = [run_ids[at : at + _PER_SEARCH] for at in range(0, len(run_ids), _PER_SEARCH)]
    filters = [f"tags.{TAG} != ''"]
    filters += ["attributes.run_id IN ({})".format(", ".join(f"'{run_id}'" for run_id in part)) for part in parts]
    runs = [
        run
        for text in filters
        for run in mlflow.search_runs(experiment_names=[tracking.EXPERIMENT], filter_string=text, output_format="list")
    ]
    return {run.info.run_id: run.data.tags for run in runs}
