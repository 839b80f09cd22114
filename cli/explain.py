"""`fasttier explain`: show the tier and endpoints for one request. Starts no server and needs no key."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from cli.app import DEFAULTS, CallSites, Common, NoCallSites, Summary, run_stage

if TYPE_CHECKING:
    from traffic.artifacts import Home


def explain(
    request: Annotated[
        Path, Parameter(help="File with the JSON body of a request; - for stdin.", allow_leading_hyphen=True)
    ],
    *,
    call_site: Annotated[str | None, Parameter(help="Call site, as in the header x-fasttier-call-site.")] = None,
    call_sites: CallSites = None,
    no_call_sites: NoCallSites = False,
    common: Common = DEFAULTS,
) -> int:
    """Print the rules, the tier and the endpoints for one request. --config is the router's configuration."""

    def stage(home: "Home") -> Summary:
        from router import deployed
        from router import explain as stage
        from traffic import callsites, config, tiers
        from traffic.errors import NotFound

        routing = tiers.load(common.config or config.CONFIGS / "router.yaml", common.set_)
        registry = callsites.chosen(home.root, call_sites, ignore=no_call_sites)
        try:
            data = sys.stdin.buffer.read() if str(request) == "-" else request.read_bytes()
        except OSError as error:
            raise NotFound(f"the request to explain: {request}: {error.strerror}") from None
        table = deployed.read(home) if home.deployments.exists() else deployed.Deployed()
        return stage.explain(data, routing, registry, deployed=table, environ=os.environ, call_site=call_site)

    return run_stage(common, stage)
