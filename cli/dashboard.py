"""`fasttier dashboard`: cost, savings, waste, deployments and single requests, on a read-only page."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, announce, run_stage

if TYPE_CHECKING:
    from pipeline.costs import Books
    from pipeline.store import Overlay
    from traffic.artifacts import Home


def dashboard(
    *,
    host: Annotated[
        str, Parameter(help="Address to listen on; beyond loopback it requires the key in FASTTIER_DASHBOARD_KEY.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 picks a free one.")] = 8090,
    content: Annotated[bool, Parameter(negative="", help="Also show the texts of prompts and answers.")] = False,
    log: Annotated[
        Path | None, Parameter(help="The router's request log, shown before it is ingested (default: log/ of --home).")
    ] = None,
    refresh: Annotated[float, Parameter(help="Seconds between updates of an open page.")] = 10.0,
    common: Common = DEFAULTS,
) -> int:
    """Serve the read-only dashboard of a home until interrupted."""

    def stage(home: "Home") -> Summary:
        from cli.costs import baseline_of, open_books, sources
        from pipeline.alerts import AlertsConfig
        from pipeline.costs import PeriodRequest
        from pipeline.dashboard import server
        from pipeline.dashboard.views import Deps
        from pipeline.ingest.live import LiveLog
        from traffic import config
        from traffic.errors import InputError

        if not refresh >= 0.5:
            raise InputError("dashboard: --refresh must be at least 0.5 seconds")
        settings, prices, _ = sources(common)
        model, provider = baseline_of(settings, None)

        def opener(month: str | None, overlay: "Overlay") -> "Books":
            asked = PeriodRequest(everything=True) if month == "all" else PeriodRequest(month)
            return open_books(home, common, asked, overlay=overlay)

        deps = Deps(
            home=home, opener=opener, log=LiveLog(home, log),
            alerts=config.load(config.CONFIGS / "alerts.yaml", AlertsConfig), prices=prices, baseline=model,
            baseline_provider=provider,
            key=server.key_of(os.environ), content=content, refresh_s=refresh,
        )  # fmt: skip
        return server.run(deps, host=host, port=port, announce=announce)

    return run_stage(common, stage)
