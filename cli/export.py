"""`fasttier export`: merge an adapter into its base model."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def export(
    adapter: Annotated[str | None, Parameter(help="Adapter folder, task@hash or task (default: the newest).")] = None,
    *,
    merged: Annotated[
        bool,
        Parameter(
            negative="", help="Merge the adapter into its base model: full bfloat16 weights, served without LoRA."
        ),
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Write an adapter as a complete model, which serve, evaluate and register accept like an adapter."""

    def stage(home: "Home") -> Summary:
        from pipeline import export as stage
        from traffic.errors import ConfigError

        if not merged:
            raise ConfigError("--merged is required (PEFT and vLLM load an adapter's folder without an export)")
        return stage.run(home.adapter(adapter), home=home)

    return run_stage(common, stage)
