"""`fasttier dashboard`: read-only, server-rendered pages over the request log and the store.

A small script refreshes the content in place; without scripts the page reloads itself.

make_app(Deps(...))   a Starlette application; `pipeline.dashboard.server.run` serves it
"""

import base64
import binascii
import contextlib
import hmac
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
from pipeline.dashboard import charts, views
from pipeline.dashboard.books import Ledger
from pipeline.dashboard.views import Deps, Query, query_of
from traffic.artifacts import hash8
from traffic.errors import FastTierError
from traffic.tiers import is_loopback

KEY_ENV = "FASTTIER_DASHBOARD_KEY"
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; connect-src 'self'; "
    "style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
TABS = {
    "/": "Costs", "/alerts": "Alerts", "/savings": "Savings", "/waste": "Waste", "/deployments": "Deployments",
    "/playbook": "Playbook", "/requests": "Requests",
}  # fmt: skip
PART = "fasttier-part"
"""Header that requests a page's content without the layout."""


def make_app(deps: Deps) -> Starlette:
    """The application."""
    ledger = Ledger(deps.home, deps.opener, deps.log, check_s=deps.refresh_s / 2)
    script = pages.render("dashboard/live.js")

    def page(template: str, fill: Callable[[Ledger, Deps, Query, Request], dict[str, Any]]) -> Any:
        async def endpoint(request: Request) -> Response:
            query = query_of(request)

            layout = "part" if PART in request.headers else "base"

            def work() -> str:
                values = fill(ledger, deps, query, request)
                return pages.render(
                    template, q=query, tabs=TABS, here=request.url.path, refresh=deps.refresh_s, charts=charts,
                    dimensions=ledger.dimensions(), live=ledger.status, layout=f"dashboard/{layout}.html.j2", **values,
                )  # fmt: skip

            try:
                text = await run_in_threadpool(work)
            except FastTierError as error:
                return PlainTextResponse(f"fasttier: {error}", 503)
            tag = f'"{hash8(text)}"'
            if request.headers.get("if-none-match") == tag:
                return Response(status_code=304, headers={"etag": tag})
            return HTMLResponse(text, headers={"etag": tag, "vary": PART})

        return endpoint

    app = Starlette(
        routes=[
            Route("/", page("dashboard/costs.html.j2", views.costs)),
            Route("/alerts", page("dashboard/alerts.html.j2", views.alerts)),
            Route("/live.js", lambda _: Response(script, media_type="text/javascript")),
            Route("/savings", page("dashboard/savings.html.j2", views.savings)),
            Route("/waste", page("dashboard/waste.html.j2", views.waste)),
            Route("/deployments", page("dashboard/deployments.html.j2", views.deployments)),
            Route("/playbook", page("dashboard/playbook.html.j2", views.playbook)),
            Route("/requests", page("dashboard/requests.html.j2", views.requests)),
            Route("/request", page("dashboard/request.html.j2", views.request)),
        ],
        middleware=[Middleware(Guard, key=deps.key)],
    )

    # Data of the first page, so that the first visitor does not wait.
    def warm_up() -> None:
        charts.over_time(ledger.summary(None, ["day", "feature"]))
        with contextlib.suppress(FastTierError):
            views.current_alerts(ledger, deps)

    app.state.warm_up = warm_up
    return app


class Guard(BaseHTTPMiddleware):
    """Checks access and sets the security headers."""

    def __init__(self, app: Any, key: str | None) -> None:
        super().__init__(app)
        self._key = key

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = refusal(request, self._key) or await call_next(request)
        response.headers.update(HEADERS)
        return response


def refusal(request: Request, key: str | None) -> Response | None:
    """The error response to an unauthorised request; None if access is allowed."""
    if key:
        offered = _offered(request)
        if hmac.compare_digest(offered.encode(), key.encode()):
            return None
        headers = {"www-authenticate": 'Basic realm="fasttier", charset="UTF-8"'}
        return PlainTextResponse("this dashboard requires its key (any user name)", 401, headers)
    # DNS rebinding: a foreign page that resolves to 127.0.0.1 still sends its own name.
    host = request.headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if is_loopback(name.lower()):
        return None
    return PlainTextResponse(f"without a key ({KEY_ENV}) this dashboard answers only as localhost or 127.0.0.1", 403)


def _offered(request: Request) -> str:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
