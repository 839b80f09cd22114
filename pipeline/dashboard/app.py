"""`fasttier dashboard`: a read-only page on the records store. Server-rendered, no script, no network.

make_app(Deps(...))   a Starlette application; `pipeline.dashboard.server.run` serves it
"""

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline import pages
from pipeline.costs.ledger import DIMENSIONS
from pipeline.dashboard import auth, charts, views
from pipeline.dashboard.books import Ledger
from pipeline.dashboard.deps import Deps
from pipeline.dashboard.query import Query, query_of
from traffic.errors import FastTierError

HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
TABS = {
    "/": "Costs", "/savings": "Savings", "/waste": "Waste", "/deployments": "Deployments", "/playbook": "Playbook",
    "/requests": "Requests",
}  # fmt: skip
REFRESH_S = 60


def make_app(deps: Deps) -> Starlette:
    """The application."""
    ledger = Ledger(deps.home, deps.opener)

    def page(template: str, fill: Callable[[Ledger, Deps, Query, Request], dict[str, Any]]) -> Any:
        async def endpoint(request: Request) -> Response:
            query = query_of(request)

            def work() -> str:
                values = fill(ledger, deps, query, request)
                return pages.render(
                    template, q=query, tabs=TABS, here=request.url.path, refresh=REFRESH_S, charts=charts,
                    dimensions=list(DIMENSIONS), **values,
                )  # fmt: skip

            try:
                return HTMLResponse(await run_in_threadpool(work))
            except FastTierError as error:
                return PlainTextResponse(f"fasttier: {error}", 503)

        return endpoint

    app = Starlette(
        routes=[
            Route("/", page("dashboard/costs.html.j2", views.costs)),
            Route("/savings", page("dashboard/savings.html.j2", views.savings)),
            Route("/waste", page("dashboard/waste.html.j2", views.waste)),
            Route("/deployments", page("dashboard/deployments.html.j2", views.deployments)),
            Route("/playbook", page("dashboard/playbook.html.j2", views.playbook)),
            Route("/requests", page("dashboard/requests.html.j2", views.requests)),
            Route("/request", page("dashboard/request.html.j2", views.request)),
        ],
        middleware=[Middleware(Guard, key=deps.key)],
    )
    # What the first page needs, so that nobody waits for it.
    app.state.warm_up = lambda: charts.over_time(ledger.summary(None, ["day", "feature"]))
    return app


class Guard(BaseHTTPMiddleware):
    """Read-only, for whom may look, and nothing from elsewhere."""

    def __init__(self, app: Any, key: str | None) -> None:
        super().__init__(app)
        self._key = key

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = auth.refusal(request, self._key) or await call_next(request)
        response.headers.update(HEADERS)
        return response
