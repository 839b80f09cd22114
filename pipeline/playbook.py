"""The playbook's seven "done" tests: current value, result, and the day since which it holds.

    fasttier status --playbook

Measured on the last days of the log (the daily totals of `fasttier costs`), the home's registry, profile and decisions.
"Since" is the first day of the unbroken run of days, up to the last one, on which a test holds.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from pipeline.costs import Books
from pipeline.profile import FOLDER as PROFILE
from pipeline.profile.playbook import Step
from traffic import artifacts, callsites, deployments
from traffic.artifacts import Home
from traffic.number_format import count, percent, usd

DAYS = 7
"""Number of days at the end of the log that the tests cover."""


class Playbook(msgspec.Struct, frozen=True, kw_only=True):
    """Result of `fasttier status --playbook`."""

    schema_version: int = 1
    until: str
    steps: tuple[Step, ...]

    def lines(self) -> list[str]:
        lines = [f"playbook, measured on the {DAYS} days up to {self.until}:"]
        for step in self.steps:
            mark = "?" if step.holds is None else "done" if step.holds else "open"
            since = f" (since {step.since})" if step.since else ""
            lines.append(f"  {mark:4} {step.step}: {step.value}{since}; target: {step.test}")
        return lines


class _Profile(msgspec.Struct, frozen=True):
    """Fields of profile.json that the tests need."""

    created_at: str = ""
    shapes: tuple[dict[str, Any], ...] = ()
    waste_total_usd: float | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one day."""

    day: dt.date
    requests: int
    tiered: int
    tier_1: int
    tier_1_answers: int
    """Answered attempts at Tier 1."""
    fast: int
    """Of them, within a second."""
    escalations: int
    cached: int
    """Input tokens of Tiers 2 and 3, or of all requests if the log has no tiers."""
    tokens: int
    with_feature: int
    unpriced: int
    usd: float


def run(books: Books, *, home: Home, today: dt.date) -> Playbook:
    """The seven steps in order. Raises: ConfigError for a broken registry, deployment table or decision."""
    days = _days(books)
    last = days[-DAYS:]
    profile = _profile(home)
    registry = callsites.load_or_empty(home.root / callsites.FILE)
    logged = {row[0] for row in books.connection.execute("select distinct call_site from cells").fetchall()} - {None}
    reasons = {site.name for site in registry.call_sites if site.reason}
    deployed = sorted({entry.call_site for entry in deployments.load_or_empty(home.deployments).entries})
    decided, lasting = _decisions(home, today)
    return Playbook(
        until=str(last[-1].day),
        steps=(
            Step(
                step="profile", test="histogram, request types and top shapes are known",
                holds=profile is not None and bool(profile.shapes),
                value=f"{len(profile.shapes)} shapes" if profile else "no profile yet: fasttier profile",
                since=profile.created_at[:10] if profile else None,
            ),
            Step(
                step="kill waste", test="every call site has a reason; the largest waste is named with its cost",
                holds=bool(logged) and logged <= reasons and profile is not None,
                value=f"{len(logged & reasons)} of {len(logged)} call sites have a reason; "
                + (f"{usd(profile.waste_total_usd)} wasted when profiled" if profile else "waste not looked for"),
            ),
            _measured(
                "route by rules", "at least 50% on Tier 1, 95% of it within 1 s", days, _routed,
                lambda d: f"{percent(_ratio(d, 'tier_1', 'requests'))} of {count(_sum(d, 'requests'), 'request')} "
                f"on Tier 1, {percent(_ratio(d, 'fast', 'tier_1_answers'))} of its answers within 1 s",
                "no request of this log has a tier",
            ),
            _measured(
                "escalate on low confidence", "10-20% of Tier 1 escalate", days,
                lambda d: None if not _sum(d, "tier_1") else 0.1 <= _ratio(d, "escalations", "tier_1") <= 0.2,
                lambda d: f"{percent(_ratio(d, 'escalations', 'tier_1'))} escalate", "no Tier 1 in this log",
            ),
            _measured(
                "shape the request", "prompt-cache hit rate above 60% on Tiers 2 and 3", days,
                lambda d: None if not _sum(d, "tokens") else _ratio(d, "cached", "tokens") > 0.6,
                lambda d: f"{percent(_ratio(d, 'cached', 'tokens'))} of input tokens from the provider's cache",
                "no tokens in this log",
            ),
            _measured(
                "meter cost", "cost per paying customer known; every request has a feature and a price", days,
                lambda d: books.customers is not None and _metered(d), lambda d: _cost(books, d), "nothing is metered",
            ),
            Step(
                step="fine-tune and self-host", test="a decision that has not expired for each deployed call site",
                holds=None if not decided else lasting == decided,
                value=f"{count(decided, 'decision')}, {lasting} not expired; "
                f"{count(len(deployed), 'call site')} deployed at Tier 1",
            ),
        ),
    )  # fmt: skip


Test = Callable[[Sequence[Day]], bool | None]


def _measured(
    step: str, test: str, days: Sequence[Day], holds: Test, value: Callable[[Sequence[Day]], str], unknown: str
) -> Step:
    """A test on the last days, with the first day of the unbroken run on which it holds."""
    last = days[-DAYS:]
    result = holds(last)
    since = None
    if result:
        for day in reversed(days):
            held = holds([day])
            if held is False:
                break
            if held:
                since = str(day.day)
    return Step(step=step, test=test, holds=result, value=unknown if result is None else value(last), since=since)


def _sum(days: Sequence[Day], field: str) -> int:
    return sum(int(getattr(day, field)) for day in days)


def _ratio(days: Sequence[Day], part: str, denominator: str) -> float:
    total = _sum(days, denominator)
    return _sum(days, part) / total if total else 0.0


def _routed(days: Sequence[Day]) -> bool | None:
    if not _sum(days, "tiered"):
        return None
    # Requests without a tier passed no router: they are traffic, and not on Tier 1.
    return _ratio(days, "tier_1", "requests") >= 0.5 and _ratio(days, "fast", "tier_1_answers") >= 0.95


def _metered(days: Sequence[Day]) -> bool:
    return _sum(days, "with_feature") == _sum(days, "requests") and not _sum(days, "unpriced")


def _cost(books: Books, days: Sequence[Day]) -> str:
    coverage = f"{percent(_ratio(days, 'with_feature', 'requests'))} of requests have a feature, "
    coverage += f"{_sum(days, 'unpriced'):,} attempts are unpriced"
    if books.customers is None:
        return f"{coverage}; no customers.csv says who pays"
    paying = books.customers.paying(books.period.since, books.period.until)[""]
    total = books.connection.execute("select sum(usd)::double from spent").fetchall()[0][0] or 0.0
    per_customer = f"{usd(total / paying)} per paying customer" if paying else "nobody pays"
    return f"{per_customer} in {books.period.since} to {books.period.until}; {coverage}"


def _days(books: Books) -> list[Day]:
    relation = books.connection.execute("""
        with tiers as (select count(tier) > 0 as known from cells)
        select c.day, sum(c.requests)::bigint as requests,
               coalesce(sum(c.requests) filter (where tier is not null), 0)::bigint as tiered,
               coalesce(sum(c.requests) filter (where tier = 1), 0)::bigint as tier_1,
               coalesce(sum(c.attempts - c.errors) filter (where tier = 1), 0)::bigint as tier_1_answers,
               coalesce(sum(c.fast) filter (where tier = 1), 0)::bigint as fast,
               coalesce(sum(c.attempts) filter (where purpose = 'escalation'), 0)::bigint as escalations,
               coalesce(sum(c.cache_read) filter (where not t.known or tier > 1), 0)::bigint as cached,
               coalesce(sum(c.input_uncached + c.cache_read + c.cache_write) filter (where not t.known or tier > 1), 0)
                   ::bigint as tokens,
               coalesce(sum(c.requests) filter (where feature is not null), 0)::bigint as with_feature,
               coalesce(sum(c.attempts) filter (where state in ('unpriced', 'no_usage')), 0)::bigint as unpriced,
               coalesce(sum(c.cost_usd), 0)::double as usd
        from cells c, tiers t group by 1 order by 1
    """)
    names = [column[0] for column in relation.description or ()]
    return [Day(**dict(zip(names, row, strict=True))) for row in relation.fetchall()]


def _profile(home: Home) -> _Profile | None:
    try:
        return msgspec.json.decode((home.root / PROFILE / "profile.json").read_bytes(), type=_Profile)
    except (OSError, msgspec.DecodeError):
        return None


def _decisions(home: Home, today: dt.date) -> tuple[int, int]:
    """Tasks with a decision, and those whose newest one has not expired."""
    newest: dict[str | None, str] = {}
    for artifact in artifacts.listed(home, artifacts.DECISION):
        newest.setdefault(artifact.head.task, str(artifact.head.expires)[:10])
    return len(newest), sum(expires >= today.isoformat() for expires in newest.values())
