"""`fasttier evaluate`: score candidates on one split."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, announce, run_stage
from cli.servers import endpoints_of

if TYPE_CHECKING:
    from traffic.artifacts import Home


def evaluate(
    *,
    dataset: Dataset = None,
    candidates: Annotated[Path | None, Parameter(help="Candidates file, same as --config.")] = None,
    endpoint: Annotated[
        tuple[str, ...], Parameter(help="CANDIDATE=URL of a running vLLM; own models without one are started here.")
    ] = (),
    split: Annotated[str, Parameter(help="Split to score.")] = "test",
    limit: Annotated[int | None, Parameter(help="Score only the first N items of the split.")] = None,
    labels: Annotated[Path | None, Parameter(help="Human labels (JSONL or CSV: id, label) to score against.")] = None,
    budget: Annotated[float | None, Parameter(help="Maximum cost of hosted models in this run, USD.")] = None,
    judge: Annotated[
        str | None, Parameter(help="Hosted candidate that judges free texts against the incumbent's, in pairs.")
    ] = None,
    common: Common = DEFAULTS,
) -> int:
    """Score candidates on one split: quality with intervals, latency and cost; writes MLflow runs."""

    def stage(home: "Home") -> Summary:
        from pipeline import evaluate as stage
        from pipeline.evaluate.config import CandidatesConfig
        from traffic import config
        from traffic.errors import ConfigError

        folder = home.dataset(dataset)
        path = candidates or common.config or config.CONFIGS / "candidates.yaml"
        asked_to_judge = (f"judge.candidate={judge}",) if judge else ()
        chosen = config.load(path, CandidatesConfig, (*common.set_, *asked_to_judge))
        if budget is not None and not budget >= 0:
            raise ConfigError(f"--budget {budget}: an amount in USD, 0 or more")
        with endpoints_of(folder, chosen, home, endpoint) as endpoints:
            return stage.run(
                folder,
                chosen,
                home=home,
                endpoints=endpoints,
                split=split,
                limit=limit,
                labels=labels,
                budget_usd=budget,
                announce=announce,
            )

    return run_stage(common, stage)
