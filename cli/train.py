"""`fasttier train`: a task dataset into an adapter."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, announce, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def train(
    *,
    dataset: Annotated[str | None, Parameter(help="Dataset folder, task@hash or task; default the newest.")] = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Print the plan: parameters, memory, steps, command.")
    ] = False,
    resume: Annotated[
        bool, Parameter(help="Continue a run that was interrupted; --no-resume throws away what it had done.")
    ] = True,
    fast: Annotated[
        bool, Parameter(help="--no-fast trains without packing, fused kernels and the like, to find a fault.")
    ] = True,
    common: Common = DEFAULTS,
) -> int:
    """Fine-tune a LoRA (or QLoRA) adapter on a task dataset; an interrupted run continues."""

    def stage(home: "Home") -> Summary:
        from pipeline import train as stage
        from pipeline.train.config import TrainConfig
        from traffic import config

        sets = common.set_ if fast else (*common.set_, "fast=false")
        chosen = config.load(common.config or config.CONFIGS / "train" / default_config(), TrainConfig, sets)
        return stage.run(
            chosen,
            home.dataset(dataset),
            home=home,
            dry_run=dry_run,
            resume=resume,
            announce=announce,
        )

    return run_stage(common, stage)


def default_config() -> str:
    """The training configuration that runs on this machine."""
    import shutil

    return "qwen2.5-7b.yaml" if shutil.which("nvidia-smi") else "smollm2-135m.yaml"
