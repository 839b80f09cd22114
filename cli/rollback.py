"""`fasttier rollback`: give a call site back to what served it before."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage
from cli.register import tag_runs

if TYPE_CHECKING:
    from traffic.artifacts import Home


def rollback(
    call_site: str,
    *,
    cohort: Annotated[tuple[str, ...], Parameter(help="Of this cohort: KEY=VALUE, as it was registered.")] = (),
    shadow: Annotated[bool, Parameter(negative="", help="End the shadow; what answers stays.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Give a call site back to what served it before."""

    def stage(home: "Home") -> Summary:
        from serving import register as stage

        done = stage.rollback(home, call_site, cohort=stage.cohort_of(cohort), shadow=shadow)
        tag_runs(home)
        return done

    return run_stage(common, stage)
