"""`fasttier route`: the router."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, CallSites, Common, NoCallSites, Summary, announce, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def route(
    *,
    host: Annotated[str | None, Parameter(help="Address to listen on; beyond loopback it needs client keys.")] = None,
    port: Annotated[int | None, Parameter(help="Port; 0 picks a free one.")] = None,
    call_sites: CallSites = None,
    no_call_sites: NoCallSites = False,
    common: Common = DEFAULTS,
) -> int:
    """Answer requests at the tier that the rules choose, and log each attempt, until interrupted."""

    def stage(home: "Home") -> Summary:
        from router import server as stage
        from router.config_reload import Sources
        from router.process import Deps
        from traffic import callsites, config, tiers
        from traffic.prices import PriceTable

        routing = common.config or config.CONFIGS / "router.yaml"
        registry = None if no_call_sites else call_sites or home.root / callsites.FILE
        deps = Deps(
            config=tiers.load(routing, common.set_),
            home=home,
            registry=callsites.chosen(home.root, call_sites, ignore=no_call_sites),
            prices=PriceTable.load(),
            sources=Sources(
                routing=routing, call_sites=registry, prices=config.CONFIGS / "prices.yaml", overrides=common.set_
            ),
        )
        return stage.run(deps, host=host, port=port, announce=announce)

    return run_stage(common, stage)
