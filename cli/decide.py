"""`fasttier decide`: build, buy or wait."""

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def decide(
    *,
    task: Annotated[str | None, Parameter(help="Task (default: the task of the newest dataset).")] = None,
    gate: Annotated[bool, Parameter(negative="", help="Exit status 1 unless the verdict is build.")] = False,
    common: Common = DEFAULTS,
) -> int:
    """Decide to build, buy or wait, by quality and by cost at the log's volume; writes a page and MLflow runs."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        from pipeline import decide as stage
        from traffic import config

        chosen = config.load(common.config or config.CONFIGS / "decide.yaml", stage.DecideConfig, common.set_)
        today = dt.datetime.now(dt.UTC).date()
        return stage.run(task, home=home, config=chosen, today=today, gate=gate)

    return run_stage(common, stage)
