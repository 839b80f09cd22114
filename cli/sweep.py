"""`fasttier sweep`: search for better training settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, run_stage
from cli.train import default_config

if TYPE_CHECKING:
    from traffic.artifacts import Home


def sweep(
    *,
    dataset: Dataset = None,
    sweep: Annotated[Path | None, Parameter(help="Search space and limits (default: configs/sweep.yaml).")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Search for better training settings, one trial per GPU at a time; an interrupted sweep continues.

    --config is the training configuration to start from, as for `train`; --set overrides a value of it.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import sweep as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        base = config.load(common.config or config.CONFIGS / "train" / default_config(), TrainConfig, common.set_)
        chosen = config.load(sweep or config.CONFIGS / "sweep.yaml", stage.SweepConfig)
        return stage.run(chosen, base, home.dataset(dataset), home=home)

    return run_stage(common, stage)
