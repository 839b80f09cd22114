"""The playbook's "done" tests, measured on this log."""

from collections.abc import Sequence

import duckdb
import msgspec

from pipeline.profile.config import ProfileConfig
from pipeline.profile.proposed_registry import Profiled
from pipeline.profile.waste import WasteReport
from traffic.callsites import Registry


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the playbook and whether it is done."""

    step: str
    test: str
    holds: bool | None
    """None: unknown from this log."""
    value: str
    since: str | None = None
    """First day of the current period in which it holds, if known."""


def steps(
    connection: duckdb.DuckDBPyConnection,
    profiled: Sequence[Profiled],
    waste: WasteReport,
    registry: Registry,
    undocumented: Sequence[str],
    total_sites: int,
) -> list[Step]:
    """The seven steps in order."""
    routed, tier_1, p95, escalated = connection.execute("""
        select count(*) filter (where purpose = 'serve' and tier is not null),
               count(*) filter (where purpose = 'serve' and tier = 1),
               quantile_cont(latency_ms, 0.95) filter (where tier = 1 and status between 200 and 399),
               count(*) filter (where purpose = 'escalation')
        from records where purpose in ('serve', 'escalation')
    """).fetchall()[0]
    # Of Tiers 2 and 3, or of all requests if the log has no tiers; the gateway's own cache asks no provider.
    cached, tokens, capped, requests = connection.execute("""
        select coalesce(sum(cached_tokens) filter (where coalesce(r.tier, 2) > 1), 0),
               coalesce(sum(prompt_tokens) filter (where coalesce(r.tier, 2) > 1), 0),
               count(*) filter (where max_tokens is not null), count(*)
        from priced p join records r using (id)
        where p.purpose in ('serve', 'escalation') and p.ok and not p.cache_hit
    """).fetchall()[0]
    share = sum(p.requests for p in profiled if p.proposal.tier == 1) / max(1, sum(p.requests for p in profiled))
    documented = total_sites - len(undocumented)
    largest = sorted((line for line in waste.lines if line.in_total), key=lambda line: -line.spend_usd)[:2]
    sources = "".join(f", {line.kind} at {line.call_site} {line.spend_usd:,.2f} USD" for line in largest)
    tracked = connection.execute(
        "select count(*) filter (where call_site <> '(none)'), count(*) filter (where plan <> '(unknown)'), count(*) "
        "from priced"
    ).fetchall()[0]
    fast = [site for site in registry.call_sites if site.tier == 1]
    hit = cached / tokens if tokens else 0.0
    rate = escalated / tier_1 if tier_1 else None
    return [
        Step(step="profile", test="histogram, request types and top shapes are known", holds=bool(profiled),
             value=f"{len(profiled)} shapes"),
        Step(step="kill waste", test="every call site has a reason; the largest waste is named with its cost",
             holds=total_sites > 0 and not undocumented,
             value=f"{documented}/{total_sites} documented; {waste.total_usd:,.2f} USD wasted{sources}"),
        Step(step="route by rules", test="at least 50% on Tier 1, its p95 under 1 s",
             holds=None if not routed else tier_1 / routed >= 0.5 and (p95 or 1e9) < 1000,
             value=(f"{tier_1 / routed:.1%} on Tier 1, p95 {p95 or 0:,.0f} ms" if routed
                    else f"nothing is routed yet; {share:.1%} are proposed for Tier 1")),
        Step(step="escalate on low confidence", test="10-20% of Tier 1 escalate",
             holds=None if rate is None else 0.1 <= rate <= 0.2,
             value="no Tier 1 in this log" if rate is None else f"{rate:.1%} escalate"),
        Step(step="shape the request", test="prompt-cache hit rate above 60% on Tiers 2 and 3",
             holds=None if not tokens else hit > 0.6,
             value=f"{hit:.1%} of input tokens cached; {tokens / max(1, requests):,.0f} input tokens a call; "
                   f"{capped / max(1, requests):.0%} of calls have max_tokens"),
        Step(step="meter cost", test="every request has a call site and a plan",
             holds=tracked[0] == tracked[2] and tracked[1] >= 0.95 * tracked[2],
             value=f"{tracked[0] / max(1, tracked[2]):.1%} have a site, {tracked[1] / max(1, tracked[2]):.1%} a plan"),
        Step(step="fine-tune and self-host", test="a registry with an owner and a decision for each Tier 1 call site",
             holds=all(site.owner for site in fast) if fast else None,
             value=f"{sum(site.owner is not None for site in fast)} of {len(fast)} Tier 1 call sites of the registry "
                   "have an owner" if registry.call_sites else "no registry of call sites before this run"),
    ]  # fmt: skip


def worth_it(requests: int, days: float, config: ProfileConfig) -> tuple[bool, float]:
    """Whether there are enough calls per day to be worth the effort, and their number."""
    daily = requests / max(days, 1.0)
    return daily >= config.worth_calls_per_day, daily
