"""`fasttier replay`: apply the routing rules to the logged traffic. Starts no server and needs no key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, WHOLE_LOG, CallSites, Common, NoCallSites, Period, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def replay(
    records: Annotated[
        Path | None, Parameter(help="A records store, such as data/records (default: that of --home).")
    ] = None,
    *,
    against: Annotated[Path | None, Parameter(help="Another router.yaml to compare with.")] = None,
    gold: Annotated[Path | None, Parameter(help="True tiers (JSONL, .gz: id, tier_true).")] = None,
    period: Period = WHOLE_LOG,
    call_sites: CallSites = None,
    no_call_sites: NoCallSites = False,
    common: Common = DEFAULTS,
) -> int:
    """Print the share and cost of each tier under the rules of --config, and what would change."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        from pipeline import replay as stage
        from traffic import callsites, config, tiers
        from traffic.artifacts import Home
        from traffic.errors import ConfigError
        from traffic.prices import PriceTable

        if records is not None and records.name != "records":
            raise ConfigError(f"{records}: expected the folder `records` of a home")
        rules = stage.Rules(
            config=tiers.load(common.config or config.CONFIGS / "router.yaml", common.set_),
            registry=None if no_call_sites else callsites.chosen(home.root, call_sites, ignore=False),
            against=(str(against), tiers.load(against)) if against else None,
        )
        return stage.run(
            rules,
            home=home if records is None else Home(records.parent),
            prices=PriceTable.load(),
            today=dt.datetime.now(dt.UTC).date(),
            gold=gold,
            days=period.days(),
        )

    return run_stage(common, stage)
