"""Writes a decision: YAML, Markdown, chart, the items to label, and nested MLflow runs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from pipeline import charts, spreadsheets, tracking
from pipeline.decide import chart, document
from pipeline.decide.record import Candidate, Decision, load
from traffic import artifacts, config
from traffic.artifacts import Home, write_atomic

ASK = ".ask.csv"
"""Suffix of the file with the items that need human labels."""


def write(home: Home, decision: Decision, ask: Sequence[str] = ()) -> tuple[Path, Decision]:
    """Write `<task>@<date>-<hash8>.{yaml,md,svg}` and log an MLflow run with one nested run per candidate.

    `ask`: record ids for `<task>@<date>-<hash8>.ask.csv`, which `label export --items` takes.
    Repeating a decision only makes its existing file the current one.
    """
    name = decision.name
    path = home.decisions / f"{name}.yaml"
    if path.is_file():
        artifacts.make_current(home, artifacts.DECISION, path)
        return path, load(path)
    picture = charts.rendered(chart.spec(decision))
    tags = _tags(decision)
    with tracking.run(home, f"decide {decision.task} {decision.decided}", tags=tags | {"decision": name}) as parent:
        runs = {candidate.name: _log_candidate(decision, candidate, tags) for candidate in decision.candidates}
        candidates = tuple(
            msgspec.structs.replace(candidate, mlflow_run_id=runs[candidate.name]) for candidate in decision.candidates
        )
        finished = msgspec.structs.replace(
            decision,
            candidates=candidates,
            created_at=artifacts.created_now(home, artifacts.DECISION),
            mlflow_run_id=parent.info.run_id,
        )
        files = {
            f"{name}.svg": picture,
            f"{name}.md": document.render(finished, f"{name}.svg"),
            **({f"{name}{ASK}": spreadsheets.csv_text(("id",), [(record_id,) for record_id in ask])} if ask else {}),
            f"{name}.yaml": config.dump(finished),
        }
        _log_decision(finished, files)
        # The YAML last: readers look for it, so it marks a complete decision.
        for file, text in files.items():
            write_atomic(home.decisions / file, text)
    return path, finished


def _tags(decision: Decision) -> dict[str, str]:
    tags = {"stage": "decide", "task": decision.task, "dataset": decision.dataset, "verdict": decision.verdict}
    references = decision.references
    optional = {
        "winner": decision.winner,
        "adapter": decision.adapter,
        "promotion": decision.promotion.by if decision.promotion else None,
        "basis": references.basis if references else None,
        "evaluations": " ".join(file.evaluation for file in decision.evidence),
    }
    tags |= {key: value for key, value in optional.items() if value}
    return tags | ({"simulated": "true"} if decision.simulated else {})


def _log_candidate(decision: Decision, candidate: Candidate, tags: dict[str, str]) -> str:
    """Log one candidate's run; returns its id. All candidates have the same parameters and metrics for comparison."""
    import mlflow

    parameters = {"candidate": candidate.name, "kind": candidate.kind, "side": candidate.side, "state": candidate.state}
    # The decision's tags name the winner; a candidate's tags have its gate result.
    shared = {key: tags[key] for key in ("stage", "task", "dataset", "verdict")}
    own_tags = shared | parameters | {"gate": candidate.quality.verdict}
    own_tags |= {"adapter": candidate.adapter} if candidate.adapter else {}
    own_tags |= {"evaluation": candidate.evaluation} if candidate.evaluation else {}
    own_tags |= {"basis": candidate.quality.references.basis} if candidate.quality.references else {}
    own_tags |= {"promotion": candidate.promotion.by} if candidate.promotion else {}
    if candidate.simulated:
        own_tags["simulated"] = "true"
    with mlflow.start_run(run_name=f"{candidate.side}: {candidate.label}", nested=True, tags=own_tags) as run:
        tracking.log_parameters(
            parameters
            | {
                "simulated": candidate.simulated,
                "model": candidate.model or "-",
                "quality_verdict": candidate.quality.verdict,
                "deprecated_on": str(candidate.deprecated_on or "-"),
                "basis": candidate.basis,
                "break_even": document.break_even_text(candidate.break_even),
            }
        )
        mlflow.log_metrics(tracking.valid_names(candidate_metrics(decision, candidate)))
        return str(run.info.run_id)


def candidate_metrics(decision: Decision, candidate: Candidate) -> dict[str, float]:
    """Metrics of a candidate's run; unknown ones are left out, never 0. Cost is at the decision's volume."""
    values: dict[str, float | None] = {
        "quality": candidate.quality.value,
        "quality_difference": candidate.quality.difference,
        "quality_difference_low": candidate.quality.difference_low,
        "latency_p50_ms": candidate.latency_p50_ms,
        "latency_p95_ms": candidate.latency_p95_ms,
        "cost_per_1k_usd": candidate.cost_per_1k_usd,
        "break_even_requests_per_month": candidate.break_even.requests_per_month if candidate.break_even else None,
    }
    if candidate.quality.test is not None:
        values["gate_p_value"] = candidate.quality.test.p_value
        values["gate_discordant"] = candidate.quality.test.discordant
        values["gate_design_effect"] = candidate.quality.test.design_effect
    if candidate.promotion is not None:
        values["promoted_share"] = candidate.promotion.share
        for cohort in candidate.promotion.cohorts:
            if cohort.test is not None:
                name = f"cohort.{cohort.key}.{cohort.value}"
                values[f"{name}.difference"] = cohort.test.difference
                values[f"{name}.difference_low"] = cohort.test.low
    for scale_cost in candidate.at:
        values[f"cost_per_month_usd_{scale_cost.scale:g}x"] = scale_cost.cost_per_month_usd
        if scale_cost.scale == decision.scale:
            values["cost_per_month_usd"] = scale_cost.cost_per_month_usd
    return {name: float(value) for name, value in values.items() if value is not None}


def _log_decision(decision: Decision, files: dict[str, str]) -> None:
    import mlflow

    tracking.log_parameters({**decision.config, "winner": decision.winner or "-", "expires": str(decision.expires)})
    mlflow.log_metrics(
        {
            "requests_per_month": decision.volume.requests_per_month,
            "peak_requests_per_hour": decision.volume.peak_requests_per_hour,
            "items": float(decision.items),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / name).write_text(text, encoding="utf-8")
        mlflow.log_artifacts(folder)
