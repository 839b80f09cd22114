"""`fasttier status`: running servers and deployments; `--playbook`: results of the playbook's tests."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def status(
    *,
    playbook: Annotated[
        bool, Parameter(negative="", help="Show the playbook's seven tests: current value, start date, target.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """List running servers and the deployments at Tier 1."""

    def stage(home: "Home") -> Summary:
        if playbook:
            import datetime as dt

            from cli.costs import open_books
            from pipeline import playbook as tests

            return tests.run(
                open_books(home, Common(home=common.home)), home=home, today=dt.datetime.now(dt.UTC).date()
            )
        from serving import status as stage

        return stage.status(home)

    return run_stage(common, stage)
