"""`fasttier alerts`: changes in the log, with start and cause; for a terminal, cron, a webhook or Prometheus."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def alerts(
    *,
    send: Annotated[
        bool, Parameter(negative="", help="Post the alerts, if any, to the webhook in webhook_url_env.")
    ] = False,
    everything: Annotated[
        bool, Parameter(name="--all", negative="", help="Include changes that began before the last days.")
    ] = False,
    rules: Annotated[Path | None, Parameter(help="Also write Prometheus rules over the router's /metrics.")] = None,
    common: Common = DEFAULTS,
) -> int:
    """Print the alerts; exit status 1 if there are any."""

    def stage(home: "Home") -> Summary:
        import datetime as dt

        import msgspec

        from cli.costs import open_books
        from pipeline import alerts as stage
        from pipeline.alerts import delivery
        from traffic import config
        from traffic.artifacts import write_atomic
        from traffic.prices import PriceTable

        settings = config.load(common.config or config.CONFIGS / "alerts.yaml", stage.AlertsConfig, common.set_)
        if rules is not None:
            write_atomic(rules, delivery.rules(settings))
        books = open_books(home, Common(home=common.home))
        today = dt.datetime.now(dt.UTC).date()
        summary = stage.run(books, settings, home=home, prices=PriceTable.load(), today=today, everything=everything)
        if send and summary.alerts:
            delivery.send(summary, settings)
            summary = msgspec.structs.replace(summary, sent=True)
        return summary

    return run_stage(common, stage)
