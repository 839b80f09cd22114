"""`fasttier calibrate`: the confidence threshold of an own model."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, run_stage
from cli.servers import EndpointsOnDemand

if TYPE_CHECKING:
    from traffic.artifacts import Home


def calibrate(
    *,
    dataset: Dataset = None,
    candidate: Annotated[
        str | None, Parameter(help="Candidate of the file, an adapter or a classifier (default: the adapter).")
    ] = None,
    candidates: Annotated[Path | None, Parameter(help="Candidates file (default: configs/candidates.yaml).")] = None,
    target: Annotated[float | None, Parameter(help="Maximum error among the kept answers, such as 0.02.")] = None,
    confidence: Annotated[float | None, Parameter(help="Confidence level of the target, such as 0.95.")] = None,
    max_escalation: Annotated[
        float | None, Parameter(help="Choose the threshold by this escalation rate instead of an error target.")
    ] = None,
    tier_2: Annotated[
        str | None, Parameter(help="Candidate that answers escalated requests (default: the teacher).")
    ] = None,
    endpoint: Annotated[
        tuple[str, ...], Parameter(help="CANDIDATE=URL of a running vLLM; by default one is started if needed.")
    ] = (),
    limit: Annotated[int | None, Parameter(help="Only the first N items of each split.")] = None,
    labels: Annotated[Path | None, Parameter(help="Human labels (JSONL or CSV: id, label) to score against.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Choose the confidence threshold of an own model; answers below it escalate to Tier 2.

    Exit status 1 if no threshold keeps the error below the target.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import calibrate as stage
        from pipeline.evaluate.config import CandidatesConfig
        from traffic import config
        from traffic.errors import ConfigError

        if target is not None and max_escalation is not None:
            raise ConfigError("--target and --max-escalation exclude each other")
        given = {"target_risk": target, "confidence": confidence, "max_escalation": max_escalation, "tier_2": tier_2}
        given["rule"] = "escalation" if max_escalation is not None else "target" if target is not None else None
        overrides = tuple(f"{key}={value}" for key, value in given.items() if value is not None)
        path = common.config or config.CONFIGS / "calibrate.yaml"
        settings = config.load(path, stage.CalibrateConfig, (*common.set_, *overrides))
        folder = home.dataset(dataset)
        everyone = config.load(candidates or config.CONFIGS / "candidates.yaml", CandidatesConfig)
        chosen = stage.chosen(everyone, candidate, folder, home)
        with contextlib.ExitStack() as servers:
            return stage.run(
                folder,
                everyone,
                chosen,
                home=home,
                config=settings,
                endpoints=EndpointsOnDemand(folder, stage.only(everyone, chosen), home, endpoint, servers),
                limit=limit,
                labels=labels,
            )

    return run_stage(common, stage)
