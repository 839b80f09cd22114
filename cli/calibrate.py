"""`fasttier calibrate`: the confidence threshold of an own model."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage
from cli.servers import EndpointsOnDemand

if TYPE_CHECKING:
    from traffic.artifacts import Home


def calibrate(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    candidate: Annotated[
        str | None, Parameter(help="Candidate of the file, an adapter or a classifier; default the adapter.")
    ] = None,
    candidates: Annotated[Path | None, Parameter(help="Candidates file (default configs/candidates.yaml).")] = None,
    target: Annotated[float | None, Parameter(help="Largest error among the answers that are kept: 0.02.")] = None,
    confidence: Annotated[float | None, Parameter(help="With which the target must hold: 0.95.")] = None,
    max_escalation: Annotated[
        float | None, Parameter(help="Choose by this escalation rate instead, whatever error it leaves.")
    ] = None,
    tier_2: Annotated[str | None, Parameter(help="Candidate that answers what escalates; default the teacher.")] = None,
    endpoint: Annotated[
        tuple[str, ...], Parameter(help="CANDIDATE=URL of a running vLLM; else one is started where it is needed.")
    ] = (),
    limit: Annotated[int | None, Parameter(help="Only the first N items of either split.")] = None,
    labels: Annotated[Path | None, Parameter(help="Human labels (JSONL or CSV: id, label) to judge by.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Find out when an own model's answer is right enough to keep; the others escalate to Tier 2.

    Exit status 1 where no threshold keeps the error under the target.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import calibrate as stage
        from pipeline.evaluate.config import CandidatesConfig
        from traffic import config
        from traffic.errors import ConfigError

        if target is not None and max_escalation is not None:
            raise ConfigError("--target and --max-escalation are two rules for one threshold: give one of them")
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
