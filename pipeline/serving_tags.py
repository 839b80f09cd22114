"""MLflow's runs say what they serve: the tag `serving` on the runs of each deployed adapter.

An adapter's training run, its evaluations and the decision that built it have the tag `adapter`. Those of an adapter
that the deployment table names get `serving`, with call sites, cohorts and shares; the others lose it. So a search for
`tags.serving != ''` shows which runs, on which data and with which evidence, serve now.
"""

from collections.abc import Mapping

from pipeline import tracking
from traffic import deployments
from traffic.deployments import Deployments
from traffic.home import Home

TAG = "serving"


def wanted(table: Deployments) -> dict[str, str]:
    """What the tag of each deployed adapter's runs says."""
    found: dict[str, list[str]] = {}
    for entry in table.entries:
        cohort = "".join(f" {key}={value}" for key, value in sorted((entry.cohort or {}).items()))
        only = "".join(f" {key} in {'|'.join(values)}" for key, values in sorted(entry.only.items()))
        how = "shadow of" if entry.shadow else "answers"
        said = f"{how} {entry.share:.0%} of {entry.call_site}{cohort}{only} since {entry.since:%Y-%m-%dT%H:%M:%SZ}"
        found.setdefault(entry.adapter, []).append(said)
    return {adapter: "; ".join(said) for adapter, said in found.items()}


def update(home: Home) -> int:
    """Bring the tags in line with the deployment table; the number of runs that changed."""
    mlflow = tracking.configure(home)
    client = mlflow.MlflowClient()
    says = wanted(deployments.load_or_empty(home.deployments))
    changed = 0
    for run in mlflow.search_runs(
        experiment_names=[tracking.EXPERIMENT], filter_string="tags.adapter LIKE '%@%'", output_format="list"
    ):
        tags: Mapping[str, str] = run.data.tags
        says_now = says.get(tags["adapter"])
        if says_now == tags.get(TAG):
            continue
        if says_now is None:
            client.delete_tag(run.info.run_id, TAG)
        else:
            client.set_tag(run.info.run_id, TAG, says_now)
        changed += 1
    return changed
