"""`fasttier extract`: create a task dataset from Tier 1 requests."""

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from cli.app import DEFAULTS, CallSites, Common, NoCallSites, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def extract(
    *,
    task: Annotated[tuple[str, ...], Parameter(help="Call site of the task; may be repeated to combine several.")] = (),
    tier: Annotated[Literal[1] | None, Parameter(help="Instead of --task: all Tier 1 call sites of the log.")] = None,
    name: Annotated[str | None, Parameter(help="Name of the task (default: the call site, or tier-1).")] = None,
    call_sites: CallSites = None,
    no_call_sites: NoCallSites = False,
    common: Common = DEFAULTS,
) -> int:
    """Turn the Tier 1 requests of call sites into a task dataset with five time-ordered splits."""

    def stage(home: "Home") -> Summary:
        from pipeline import extract as stage
        from traffic import callsites, config
        from traffic.errors import ConfigError

        if bool(task) == bool(tier):
            raise ConfigError("nothing to extract: use --task CALL_SITE (one or more), or --tier 1 for all of Tier 1")
        chosen = config.load(common.config or config.CONFIGS / "extract.yaml", stage.ExtractConfig, common.set_)
        registry = callsites.chosen(home.root, call_sites, ignore=no_call_sites)
        return stage.run(task, home=home, config=chosen, registry=registry, name=name)

    return run_stage(common, stage)
