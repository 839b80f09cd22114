"""`fasttier replay`: apply the routing rules to the logged traffic. Starts no server and needs no key."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, CallSites, Common, NoCallSites, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def replay(
    records: Annotated[
        Path | None, Parameter(help="A records store, such as data/records (default: that of --home).")
    ] = None,
    *,
    against: Annotated[Path | None, Parameter(help="Another router.yaml to compare with.")] = None,
    gold: Annotated[Path | None, Parameter(help="True tiers (JSONL, .gz: id, tier_true).")] = None,
    since: Annotated[datetime | None, Parameter(help="First day, UTC: 2026-11-01.")] = None,
    until: Annotated[datetime | None, Parameter(help="End day (exclusive), UTC: 2026-12-01.")] = None,
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
        return stage.run(
            tiers.load(common.config or config.CONFIGS / "router.yaml", common.set_),
            home=home if records is None else Home(records.parent),
            registry=callsites.chosen(home.root, call_sites, ignore=no_call_sites),
            prices=PriceTable.load(),
            today=dt.datetime.now(dt.UTC).date(),
            against=(str(against), tiers.load(against)) if against else None,
            gold=gold,
            call_sites=not no_call_sites,
            since=since.date() if since else None,
            until=until.date() if until else None,
        )

    return run_stage(common, stage)
