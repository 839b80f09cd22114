"""`fasttier loop`: run all stages on the log of an invented company."""

from typing import TYPE_CHECKING

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def loop(*, common: Common = DEFAULTS) -> int:
    """Run all stages on the log of an invented company, as `make demo` does."""

    def stage(home: "Home") -> Summary:
        from demo import config
        from demo import loop as stage

        return stage.run(config.load(common.config or config.DEFAULT, common.set_), home)

    return run_stage(common, stage)
