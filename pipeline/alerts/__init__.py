"""Alerts: changes in the log with start and likely cause; unpriced models, budgets, expiries, deprecations.

    fasttier alerts [--send] [--all]

Cost, tokens, cache hits, errors, escalations and tier shares of every call site are monitored with a sequential test at
a stated rate of false alarms; one alert per cause. Exit status 1: there are alerts.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal

import duckdb
import msgspec

from pipeline.alerts import causes, series
from pipeline.alerts.config import AlertsConfig
from pipeline.alerts.series import WATCHED, Batch
from pipeline.costs import Books
from traffic import artifacts
from traffic.artifacts import Home
from traffic.number_format import count, some, usd
from traffic.prices import PriceTable
from traffic.sequential import Cusum, threshold

__all__ = ["Alert", "AlertsConfig", "AlertsSummary", "run"]

_CLOSE_S = 36 * 3600.0
"""Changes of one cause whose starts are at most this far apart are one alert."""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One cause."""

    kind: Literal["change", "unpriced", "budget", "expiring", "deprecation"]
    cause: str
    """Alerts with the same cause are the same alert."""
    title: str
    detail: tuple[str, ...]
    call_sites: tuple[str, ...] = ()
    since: str | None = None
    """When it began, UTC."""


class AlertsSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier alerts`."""

    schema_version: int = 1
    until: str
    """Last record of the log."""
    series: int
    observations: int
    expected_false_alarms: float
    """Over the lookback period, at the stated rate."""
    alerts: tuple[Alert, ...]
    sent: bool = False

    @property
    def exit_status(self) -> int:
        return int(bool(self.alerts))

    def lines(self) -> list[str]:
        watched = f"{count(self.series, 'series', 'series')}, {count(self.observations, 'observation')}"
        lines = [f"{watched} up to {self.until}; {self.expected_false_alarms:.1f} false alarms are expected in them"]
        for alert in self.alerts:
            since = f" since {alert.since}" if alert.since else ""
            lines.append(f"ALERT {alert.kind}: {alert.title}{since}")
            lines += [f"  {line}" for line in alert.detail]
        if not self.alerts:
            lines.append("no alerts")
        return [*lines, *(["sent to the webhook"] if self.sent else [])]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One series that changed."""

    call_site: str
    series: str
    began: float
    before: Batch
    after: Batch


def run(
    books: Books, settings: AlertsConfig, *, home: Home, prices: PriceTable, today: dt.date, everything: bool = False
) -> AlertsSummary:
    """Alerts of the last `lookback_days` of the log.

    `books`: of the current month, for budgets. `everything`: report all changes of the lookback, not only fresh ones.
    Raises: ConfigError for a broken decision.
    """
    last = books.connection.execute("select max(day) from cells").fetchall()[0][0]
    watched = watch(books.connection, settings, last)
    fresh = [c for c in watched.changes if everything or c.began >= watched.newest - settings.fresh_days * 86400]
    return AlertsSummary(
        until=str(last), series=watched.series, observations=watched.observations,
        expected_false_alarms=watched.days / settings.false_alarm_days,
        alerts=(
            *merged(fresh, prices), *_unpriced(books, last), *_budgets(books, settings.budgets),
            *_expiring(home, today, settings.expiry_days),
            *_deprecated(books, prices, today, settings.deprecation_days),
        ),
    )  # fmt: skip


class Watched(msgspec.Struct, frozen=True, kw_only=True):
    """The monitored series and their changes."""

    series: int
    observations: int
    days: float
    newest: float
    """End of the last batch, seconds since 1970."""
    changes: tuple[Change, ...]


def watch(connection: duckdb.DuckDBPyConnection, settings: AlertsConfig, last: dt.date) -> Watched:
    """Run the sequential test at the stated rate over the lookback that ends on the day `last`."""
    by_site = series.batches(connection, last - dt.timedelta(settings.lookback_days - 1), settings.batch_requests)
    watched = [(site, name) for site in by_site for name in WATCHED if any(WATCHED[name][2](b) for b in by_site[site])]
    total = sum(len(by_site[site]) for site, _ in watched)
    newest = max((b[-1].end for b in by_site.values()), default=0.0)
    days = max(1.0, (newest - min((b[0].start for b in by_site.values()), default=0.0)) / 86400)
    height = threshold(settings.false_alarm_days * total / days)
    changed = changes(by_site, watched, height, settings.batch_requests)
    large = (c for c in changed if series.size_of(c.series, c.before, c.after) >= settings.min_change)
    return Watched(series=len(watched), observations=total, days=days, newest=newest, changes=tuple(large))


def changes(
    by_site: Mapping[str, Sequence[Batch]], watched: Sequence[tuple[str, str]], height: float, size: int
) -> list[Change]:
    """All changes that the sequential test detects with the threshold `height`, in batches of `size` requests."""
    changed = []
    for site, name in watched:
        _, value, defined = WATCHED[name]
        listed = [b for b in by_site[site] if defined(b)]
        cusum, start = Cusum(height, series.floor_of(name, size)), 0
        for n, batch in enumerate(listed):
            began = cusum.add(value(batch))
            if began is not None and 0 < began <= n:
                before, after = series.summed(listed[start:began] or listed[:1]), series.summed(listed[began : n + 1])
                changed.append(
                    Change(call_site=site, series=name, began=listed[began].start, before=before, after=after)
                )
            if began is not None:
                start = max(began, 0)
    return sorted(changed, key=lambda c: c.began)


class _Group(msgspec.Struct, kw_only=True):
    """Changes with one cause."""

    name: str
    sentence: str
    changes: list[Change]
    parts: dict[tuple[str, str], str]
    """Decomposition as text, by call site and series."""


def merged(changes_: Sequence[Change], prices: PriceTable) -> list[Alert]:
    """One alert per cause: merges series of a site that changed together, and sites with the same cause."""
    by_site: list[list[Change]] = []
    for change in changes_:
        for listed in by_site:
            if listed[0].call_site == change.call_site and _close(listed, [change]):
                listed.append(change)
                break
        else:
            by_site.append([change])
    groups: list[_Group] = []
    for group in (_explained(listed, prices) for listed in by_site):
        for other in groups:
            if other.name == group.name != causes.UNKNOWN and _close(other.changes, group.changes):
                other.changes += group.changes
                other.parts |= group.parts
                break
        else:
            groups.append(group)
    return [_alert(group) for group in groups]


def _close(ours: Sequence[Change], others: Sequence[Change]) -> bool:
    return any(abs(change.began - other.began) <= _CLOSE_S for change in ours for other in others)


def _explained(listed: list[Change], prices: PriceTable) -> _Group:
    """Changes of one call site that began together, with their largest cause."""
    ranked = sorted(listed, key=lambda c: list(WATCHED).index(c.series))
    pairs = [(change, causes.likely(change.series, change.before, change.after, prices)) for change in ranked]
    explained = [(change, cause) for change, cause in pairs if cause.name != causes.UNKNOWN]
    # Causes from the decomposed cost, and series that are themselves a cause, before those from tokens.
    preferred = [cause for change, cause in explained if change.series == "cost_per_request" or not cause.parts]
    cause = max(preferred or [cause for _, cause in explained[:1]] or [pairs[0][1]], key=lambda cause: cause.size)
    parts = {
        (change.call_site, change.series): causes.parts_text(cause.parts, series.value_of(change.series, change.before))
        for change, cause in pairs
        if change.series == "cost_per_request"
    }
    return _Group(name=cause.name, sentence=cause.sentence, changes=listed, parts=parts)


def _alert(group: _Group) -> Alert:
    listed = group.changes
    sites = tuple(dict.fromkeys(c.call_site for c in listed))
    labels = tuple(dict.fromkeys(WATCHED[c.series][0] for c in listed))
    detail = [f"likely cause: {group.sentence}"]
    for c in listed[:6]:
        parts = group.parts.get((c.call_site, c.series))
        of = f" ({parts})" if parts else ""
        detail.append(f"{c.call_site}: {WATCHED[c.series][0]} {causes.describe(c.series, c.before, c.after)}{of}")
    return Alert(
        kind="change", cause=f"{group.name}: {', '.join(sites)}", title=f"{some(labels)} of {some(sites)}",
        detail=tuple(detail), call_sites=sites,
        since=dt.datetime.fromtimestamp(min(c.began for c in listed), dt.UTC).isoformat(timespec="minutes"),
    )  # fmt: skip


def _unpriced(books: Books, last: dt.date) -> list[Alert]:
    rows = books.connection.execute(
        "select coalesce(provider, '?') || '/' || coalesce(model, '?'), sum(attempts)::bigint from spent "
        "where usd is null and state in ('unpriced', 'own') and day >= ? group by 1 order by 2 desc",
        [last - dt.timedelta(1)],
    ).fetchall()
    return [
        Alert(
            kind="unpriced", cause=f"unpriced {name}", title=f"{name} has no price",
            detail=(f"{count(n, 'attempt')} in two days without a cost; configs/prices.yaml, configs/costs.yaml",),
        )
        for name, n in rows
    ]  # fmt: skip


def _budgets(books: Books, budgets: Mapping[str, float]) -> list[Alert]:
    spent: dict[str, float] = dict(
        books.connection.execute(
            "select feature, coalesce(sum(usd), 0)::double from spent where feature is not null group by 1"
        ).fetchall()
    )
    total = books.connection.execute("select coalesce(sum(usd), 0)::double, max(day) from spent").fetchall()[0]
    period = books.period
    passed = (total[1] - period.since).days + 1
    alerts = []
    for name, budget in budgets.items():
        so_far = total[0] if name == "total" else spent.get(name, 0.0)
        projected = so_far / passed * period.days
        if projected > budget:
            over = "is over" if so_far > budget else "will be over"
            alerts.append(
                Alert(
                    kind="budget", cause=f"budget {name}", title=f"{name} {over} its budget of {usd(budget)}",
                    detail=(f"{usd(so_far)} in {passed} of {period.days} days; {usd(projected)} at this rate",),
                )
            )  # fmt: skip
    return alerts


def _expiring(home: Home, today: dt.date, days: int) -> list[Alert]:
    alerts, tasks = [], set()
    for artifact in artifacts.listed(home, artifacts.DECISION):
        if artifact.head.task in tasks:
            continue
        tasks.add(artifact.head.task)
        try:
            expires = dt.date.fromisoformat(str(artifact.head.expires)[:10])
        except ValueError:
            continue
        if expires <= today + dt.timedelta(days):
            title = f"the decision for {artifact.head.task} expire{'d' if expires < today else 's'} on {expires}"
            detail = (f"verdict {artifact.head.verdict}; prices change: run fasttier decide again",)
            alerts.append(Alert(kind="expiring", cause=f"decision {artifact.name}", title=title, detail=detail))
    return alerts


def _deprecated(books: Books, prices: PriceTable, today: dt.date, days: int) -> list[Alert]:
    rows = books.connection.execute(
        "select provider, model, max(day), sum(attempts)::bigint, list(distinct feature)[:5] from spent "
        "where model is not null and attempts > 0 group by 1, 2"
    ).fetchall()
    alerts = []
    for provider, model, day, n, features in rows:
        try:
            price = prices.price(model, provider, day)
        except LookupError:
            continue
        ends = price.deprecated_on
        if ends is not None and ends <= today + dt.timedelta(days):
            used = some([name or "(none)" for name in features], 5)
            alerts.append(
                Alert(
                    kind="deprecation", cause=f"deprecation {model}", title=f"{model} is retired on {ends}",
                    detail=(f"{count(n, 'attempt')} in this time, by {used}",),
                )
            )  # fmt: skip
    return alerts
