"""The profile as one self-contained page, and as an MLflow run if MLflow is installed."""

import importlib.util
from pathlib import Path

from pipeline import pages
from pipeline.profile import charts
from pipeline.profile.summary import ProfileSummary
from traffic.artifacts import Home


def page(result: ProfileSummary) -> str:
    """The report as HTML text: styles and charts inside, no script."""
    return pages.render("profile.html.j2", p=result, charts=charts.all_charts(result))


def track(result: ProfileSummary, home: Home, files: list[Path]) -> str | None:
    """Log the profile as an MLflow run and return its id; None without MLflow."""
    if importlib.util.find_spec("mlflow") is None:
        return None
    from pipeline import tracking

    with tracking.run(home, "profile", tags={"stage": "profile"}) as run:
        mlflow = tracking.configure(home)
        metrics = {
            "requests": result.requests, "spend_usd": result.spend_usd, "waste_total_usd": result.waste_total_usd,
            "tier_1_share": result.tiers[0].share, "shapes": len(result.shapes), "unsure_shapes": len(result.unsure),
        }  # fmt: skip
        mlflow.log_metrics({name: float(value) for name, value in metrics.items()})
        mlflow.log_params({"first": result.period.start, "last": result.period.end})
        for file in files:
            mlflow.log_artifact(str(file))
        return str(run.info.run_id)
