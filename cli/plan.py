"""`fasttier plan`: memory, time and cost of a training run before it starts."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, run_stage
from cli.train import default_config

if TYPE_CHECKING:
    from traffic.artifacts import Home


def plan(
    *,
    dataset: Dataset = None,
    probe: Annotated[
        int | None, Parameter(help="Run N real training steps on this machine and extrapolate from them.")
    ] = None,
    all_: Annotated[
        bool, Parameter(name="--all", negative="", help="Print all offers, not only the most relevant ones.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Estimate memory, time and cost of a training run per kind of GPU, and where it fits.

    --config is the training configuration, as for `train`, whose --dry-run prints the same plan.
    """

    def stage(home: "Home") -> Summary:
        import msgspec

        from pipeline import train as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        chosen = config.load(common.config or config.CONFIGS / "train" / default_config(), TrainConfig, common.set_)
        plan = stage.plan_run(chosen, home.dataset(dataset), home=home, probe_steps=probe)
        return msgspec.structs.replace(plan, all_offers=all_)

    return run_stage(common, stage)
