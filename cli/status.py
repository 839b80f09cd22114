"""`fasttier status`: running servers and deployments."""

from typing import TYPE_CHECKING

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def status(*, common: Common = DEFAULTS) -> int:
    """Which servers run, and what is deployed at Tier 1."""

    def stage(home: "Home") -> Summary:
        from serving import status as stage

        return stage.status(home)

    return run_stage(common, stage)
