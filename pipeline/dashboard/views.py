"""Template values of each page, from its query string."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.requests import Request

from pipeline import alerts as alert_tests
from pipeline import playbook as playbook_tests
from pipeline import store
from pipeline.alerts import Alert, AlertsConfig, AlertsSummary
from pipeline.costs import Books
from pipeline.costs import savings as savings_ledger
from pipeline.costs.cells import MONEY
from pipeline.costs.ledger import DIMENSIONS, TAG, named, tag_sql
from pipeline.dashboard.books import Ledger, Opener
from pipeline.ingest.live import LiveLog
from pipeline.profile import FOLDER as PROFILE
from traffic import artifacts, calibrations, config
from traffic import deployments as deployment_table
from traffic.artifacts import Home
from traffic.errors import FastTierError
from traffic.prices import PriceTable

Values = dict[str, Any]
MAX_REQUESTS = 100
ALERTS_S = 300.0
"""Cache lifetime of the alerts, which read the log of several weeks."""
_COLUMNS = """
    id, request_id, strftime(ts, '%Y-%m-%d %H:%M:%S') as time, coalesce(call_site, '(none)') as call_site,
    cohort['plan'] as plan, customer_id, purpose, model, tier, status, latency_ms, cost_usd,
    coalesce(usage.input_uncached, 0) + coalesce(usage.cache_read, 0) + coalesce(usage.cache_write, 0) as tokens_in,
    coalesce(usage.output, 0) as tokens_out, system_hash
"""
_PLAN = """coalesce(nullif(trim(r.cohort['plan']), ''), (
    select any_value(u.plan) from subscribed u
    where u.customer_id = r.customer_id and r.ts::date >= u.start and r.ts::date < u.stop))"""
_TYPE = """coalesce(r.request_type, (
    select any_value(g.request_type) from registered g where g.call_site = r.call_site))"""
_RAW = {
    "feature": named("coalesce(r.feature, r.call_site)", "(none)"), "call_site": named("r.call_site", "(none)"),
    "plan": named(_PLAN, "(unknown)"), "model": named("r.model", "(unknown)"),
    "provider": named("r.provider", "(unknown)"), "tier": "coalesce('tier ' || r.tier, '(no tier)')",
    "type": named(_TYPE, "(unknown)"), "customer": named("r.customer_id", "(none)"), "purpose": "r.purpose",
    "day": "strftime(r.ts, '%Y-%m-%d')", "month": "strftime(r.ts, '%Y-%m')",
}  # fmt: skip
"""Dimensions as SQL expressions over records `r`, equal to those of `pipeline.costs.ledger` over daily totals."""


class Deps(msgspec.Struct, frozen=True, kw_only=True):
    """Dependencies and settings of the dashboard."""

    home: Home
    opener: Opener
    log: LiveLog
    prices: PriceTable
    alerts: AlertsConfig = AlertsConfig()
    baseline: str | None
    """Baseline model of the savings."""
    baseline_provider: str | None = None
    key: str | None = None
    """None: only this machine has access."""
    content: bool = False
    """Whether texts of prompts and answers are shown."""
    refresh_s: float = 10.0
    """Refresh interval of an open page."""
    today: Callable[[], dt.date] = lambda: dt.datetime.now(dt.UTC).date()


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Month, dimension and filters of a page; unknown keys and values are ignored."""

    month: str | None
    by: str
    where: tuple[tuple[str, str], ...]

    def link(self, path: str = "", **changes: Any) -> str:
        """A link to the same query with one change: `by`, `month`, `add` a filter, or `without` one."""
        where = [pair for pair in self.where if pair != changes.get("without")]
        where += [changes["add"]] if "add" in changes and changes["add"] not in where else []
        month = changes.get("month", self.month)
        known = [("month", month)] if month else []
        return f"{path}?{urlencode([*known, ('by', changes.get('by', self.by)), *where])}"


def query_of(request: Request) -> Query:
    """The query of a request; invalid values are ignored."""
    given = request.query_params
    month = given.get("month") or None
    if month is not None and month != "all":
        try:
            dt.date.fromisoformat(f"{month}-01")
        except ValueError:
            month = None
    by = given.get("by", "feature")
    # `month` is the period, not a filter.
    where = [(key, value) for key, value in given.multi_items() if _is_dimension(key) and key != "month"]
    return Query(month=month, by=by if _is_dimension(by) else "feature", where=tuple(where))


def _is_dimension(name: str) -> bool:
    return name in DIMENSIONS or name.startswith(TAG)


def costs(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    summary = ledger.summary(query.month, [query.by], query.where)
    days = ledger.summary(query.month, ["day", query.by], query.where) if query.by != "day" else None
    months = ledger.rows("select distinct strftime(day, '%Y-%m') as month from cells order by 1 desc", [])
    current: tuple[Alert, ...] = ()
    broken: str | None = None
    try:
        current = current_alerts(ledger, deps)[0].alerts
    except FastTierError as error:
        # Costs are shown even if a decision file is broken.
        broken = str(error)
    listed = [row["month"] for row in months]
    return {"summary": summary, "days": days, "months": listed, "alerts": current, "broken": broken}


def alerts(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    summary, checked_at = current_alerts(ledger, deps)
    return {"summary": summary, "at": f"{checked_at:%H:%M}"}


def current_alerts(ledger: Ledger, deps: Deps) -> tuple[AlertsSummary, dt.datetime]:
    """The summary of `fasttier alerts`, cached for `ALERTS_S`, and its time."""

    def work(books: Books) -> AlertsSummary:
        return alert_tests.run(books, deps.alerts, home=deps.home, prices=deps.prices, today=deps.today())

    return ledger.cached("alerts", ALERTS_S, work)


def savings(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    if deps.baseline is None:
        return {"ledger": None}
    model, provider = deps.baseline, deps.baseline_provider
    ledger_ = ledger.read("all", lambda b: savings_ledger.run(b, baseline=model, provider=provider, prices=deps.prices))
    return {"ledger": ledger_, "parts": savings_ledger.PARTS}


class _Waste(msgspec.Struct, frozen=True):
    kind: str
    call_site: str
    requests: int
    spend_usd: float
    remedy: str = ""
    in_total: bool = False


class _Profile(msgspec.Struct, frozen=True):
    """The slice of profile.json that the page shows."""

    created_at: str
    waste: tuple[_Waste, ...] = ()
    waste_total_usd: float = 0.0
    waste_total_requests: int = 0
    undocumented_call_sites: tuple[str, ...] = ()


def waste(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    try:
        profile = msgspec.json.decode((deps.home.root / PROFILE / "profile.json").read_bytes(), type=_Profile)
    except (OSError, msgspec.DecodeError):
        profile = None
    # Store health: lines read, accepted and rejected by ingest, and the last record.
    sources = [source for commit in store.commits(deps.home) for source in commit.sources]
    health = {
        "read": sum(s.read for s in sources), "accepted": sum(s.accepted for s in sources),
        "rejected": sum(s.rejected for s in sources), "duplicates": sum(s.duplicates for s in sources),
        "files": len(sources),
        "last": ledger.rows("select max(day)::varchar as last from cells", [])[0]["last"],
    }  # fmt: skip
    return {"profile": profile, "health": health}


_ESCALATION = """
    select coalesce(call_site, '(none)') as call_site, sum(requests) filter (where tier = 1)::bigint as first,
           coalesce(sum(attempts) filter (where purpose = 'escalation'), 0)::bigint as escalated,
           coalesce(sum(attempts) filter (where purpose = 'shadow'), 0)::bigint as shadows,
           coalesce(sum(fast) filter (where tier = 1), 0)::bigint as fast
    from spent group by 1 having first > 0 order by 2 desc, 1 limit 30
"""


def deployments(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    table = deployment_table.load_or_empty(deps.home.deployments)
    today = deps.today().isoformat()
    decisions = []
    for artifact in artifacts.listed(deps.home, artifacts.DECISION):
        expires, verdict = str(artifact.head.expires)[:10], artifact.head.verdict
        decisions.append({"name": artifact.name, "verdict": verdict, "expires": expires, "over": expires < today})
    thresholds = [
        config.load(artifact.path / "calibration.yaml", calibrations.Calibration)
        for artifact in artifacts.listed(deps.home, artifacts.CALIBRATION)
    ]
    tiers = ledger.rows(_ESCALATION, [])
    return {"table": table, "decisions": decisions, "calibrations": thresholds, "tiers": tiers}


def playbook(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    return {"tests": ledger.read(None, lambda b: playbook_tests.run(b, home=deps.home, today=deps.today()))}


def requests(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    filters = [(name, value) for name, value in query.where if name in _RAW or name.startswith(TAG)]
    if query.month and query.month != "all":
        filters.append(("month", query.month))
    conditions = " and ".join([f"{_RAW.get(name) or tag_sql(name)} = ?" for name, _ in filters] or ["true"])
    values = [value for _, value in filters]
    # Expressions come from `_RAW`, values are bound.
    statement = f"select {_COLUMNS} from records r where {conditions} order by ts desc limit {MAX_REQUESTS}"  # noqa: S608
    rows = ledger.rows(statement, values, query.month)
    shapes = deps.home.root / PROFILE / "shapes.parquet"
    return {"rows": rows, "shapes": _shapes(ledger, shapes, conditions, values, query.month)}


def _shapes(ledger: Ledger, file: Path, conditions: str, values: list[str], month: str | None) -> list[dict[str, Any]]:
    """Request shapes of the profile; empty without a profile."""
    if not file.is_file():
        return []
    path = str(file).replace("'", "''")
    statement = f"""
        select s.shape, count(*) as attempts, sum(try_cast(r.cost_usd as {MONEY}))::double as usd
        from records r join read_parquet('{path}') s using (id)
        where {conditions} group by 1 order by 3 desc nulls last limit 30
    """  # noqa: S608
    return ledger.rows(statement, values, month)


def request(ledger: Ledger, deps: Deps, query: Query, request: Request) -> Values:
    identity = request.query_params.get("id", "")
    texts = ", messages, output.text as answer" if deps.content else ""
    statement = f"""
        select {_COLUMNS}, attempt, provider, endpoint, rule, escalated, error, confidence, price_source, template
               {texts}
        from records where request_id = ? order by attempt, ts limit {MAX_REQUESTS}
    """  # noqa: S608
    rows = ledger.rows(statement, [identity])
    return {"identity": identity, "rows": rows, "content": deps.content}
