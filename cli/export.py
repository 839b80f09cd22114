"""`fasttier export`: an adapter merged into its base model."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def export(
    adapter: Annotated[str | None, Parameter(help="Adapter folder, task@hash or task; default the newest.")] = None,
    *,
    merged: Annotated[
        bool, Parameter(negative="", help="Merge it into its base model: whole bfloat16 weights, served without LoRA.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Write an adapter as a model of its own, which serve, evaluate and register take like the adapter."""

    def stage(home: "Home") -> Summary:
        from pipeline import export as stage
        from traffic.errors import ConfigError

        if not merged:
            raise ConfigError("say as what to export it: --merged (an adapter's own folder is what PEFT and vLLM load)")
        return stage.run(home.adapter(adapter), home=home)

    return run_stage(common, stage)
