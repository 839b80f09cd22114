"""`fasttier loop`: the whole loop on an invented company's log."""

from typing import TYPE_CHECKING

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def loop(*, common: Common = DEFAULTS) -> int:
    """Run the whole loop on an invented company's log: what `make demo` does."""

    def stage(home: "Home") -> Summary:
        from demo import config
        from demo import loop as stage

        return stage.run(config.load(common.config or config.DEFAULT, common.set_), home)

    return run_stage(common, stage)
