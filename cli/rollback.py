"""`fasttier rollback`: restore the previous deployment of a call site."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage
from cli.register import tag_runs

if TYPE_CHECKING:
    from traffic.artifacts import Home


def rollback(
    call_site: Annotated[str, Parameter(help="Call site of the deployment.")],
    *,
    cohort: Annotated[tuple[str, ...], Parameter(help="Cohort of the deployment: KEY=VALUE, as registered.")] = (),
    shadow: Annotated[bool, Parameter(negative="", help="Remove the shadow and keep the active deployment.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Restore the previous deployment of a call site."""

    def stage(home: "Home") -> Summary:
        from serving import register as stage

        done = stage.rollback(home, call_site, cohort=stage.cohort_of(cohort), shadow=shadow)
        tag_runs(home)
        return done

    return run_stage(common, stage)
