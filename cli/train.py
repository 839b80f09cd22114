"""`fasttier train`: train an adapter or a classifier on a task dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Dataset, Summary, announce, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def train(
    *,
    dataset: Dataset = None,
    dry_run: Annotated[
        bool, Parameter(negative="", help="Print the plan: parameters, memory, steps, command.")
    ] = False,
    resume: Annotated[
        bool, Parameter(help="Continue an interrupted run; --no-resume discards its checkpoints.")
    ] = True,
    fast: Annotated[
        bool, Parameter(help="Use packing and fused kernels; --no-fast turns them off for debugging.")
    ] = True,
    common: Common = DEFAULTS,
) -> int:
    """Fine-tune a LoRA (or QLoRA) adapter on a task dataset, or (configs/train/encoder.yaml) a small classifier.

    An interrupted run continues.
    """

    def stage(home: "Home") -> Summary:
        from pipeline import train as stage
        from pipeline.train.config import TrainConfig
        from traffic import config
        from traffic.errors import ConfigError

        path = common.config or config.CONFIGS / "train" / default_config()
        if is_classifier(path):
            from pipeline.classifiers import stage as classifiers
            from pipeline.classifiers.config import Fit

            if dry_run or not fast:
                raise ConfigError(f"{path}: --dry-run and --no-fast apply to adapters only")
            settings: Fit = config.load(path, Fit, common.set_)  # type: ignore[arg-type] # a tagged union
            return classifiers.run(settings, home.dataset(dataset), home=home, resume=resume, announce=announce)
        sets = common.set_ if fast else (*common.set_, "fast=false")
        chosen = config.load(path, TrainConfig, sets)
        return stage.run(
            chosen,
            home.dataset(dataset),
            home=home,
            dry_run=dry_run,
            resume=resume,
            announce=announce,
        )

    return run_stage(common, stage)


def is_classifier(path: Path) -> bool:
    """Whether a training configuration is for a classifier (it has the key `kind`)."""
    from traffic import config

    tree = config.read(path)
    return isinstance(tree, dict) and "kind" in tree


def default_config() -> str:
    """The default training configuration for this machine: 7B with a GPU, 135M without."""
    import shutil

    return "qwen2.5-7b.yaml" if shutil.which("nvidia-smi") else "smollm2-135m.yaml"
