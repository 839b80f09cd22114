"""`fasttier dashboard`: cost, savings, waste, deployments and single requests, on a read-only page."""

import os
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, Common, Summary, announce, run_stage

if TYPE_CHECKING:
    from pipeline.costs import Books
    from traffic.artifacts import Home


def dashboard(
    *,
    host: Annotated[
        str, Parameter(help="Anything but this machine's own address needs the key in FASTTIER_DASHBOARD_KEY.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="0: a free one.")] = 8090,
    content: Annotated[
        bool, Parameter(negative="", help="Show the texts of prompts and answers too, where your policy allows it.")
    ] = False,
    common: Common = DEFAULTS,
) -> int:
    """Serve the dashboard of a home until it is stopped; it changes nothing."""

    def stage(home: "Home") -> Summary:
        from cli.costs import baseline_of, open_books, sources
        from pipeline import store
        from pipeline.dashboard import server
        from pipeline.dashboard.deps import Deps

        settings, prices, _ = sources(common)
        model, provider = baseline_of(settings, None)

        def opener(month: str | None) -> "Books":
            everything = month == "all"
            return open_books(home, common, None, None if everything else month, everything=everything)

        # A home without records is refused now, not at the first page.
        store.connect(home).close()
        deps = Deps(
            home=home, opener=opener, prices=prices, baseline=model, baseline_provider=provider,
            key=server.key_of(os.environ), content=content,
        )  # fmt: skip
        return server.run(deps, host=host, port=port, announce=announce)

    return run_stage(common, stage)
