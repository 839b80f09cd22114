"""`fasttier profile`: spend, waste, and a registry proposed from the log."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, WHOLE_LOG, Common, Period, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def profile(
    *,
    accept: Annotated[
        bool, Parameter(negative="", help="Make the proposal the home's registry, callsites.yaml.")
    ] = False,
    probe: Annotated[
        bool,
        Parameter(negative="", help="Train a cheap classifier on each closed-label shape and report its accuracy."),
    ] = False,
    against: Annotated[Path | None, Parameter(help="An older registry to compare with.")] = None,
    period: Period = WHOLE_LOG,
    common: Common = DEFAULTS,
) -> int:
    """Print spend, waste and request shapes of the logged traffic; write a report and a proposed registry."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        from pipeline import profile as stage
        from traffic import callsites, config, tiers
        from traffic.prices import PriceTable

        return stage.run(
            config.load(common.config or config.CONFIGS / "profile.yaml", stage.ProfileConfig, common.set_),
            home=home,
            routing=tiers.load(config.CONFIGS / "router.yaml"),
            prices=PriceTable.load(),
            now=dt.datetime.now(dt.UTC),
            days=period.days(),
            accept=accept,
            probing=probe,
            older=callsites.load(against) if against else None,
        )

    return run_stage(common, stage)
