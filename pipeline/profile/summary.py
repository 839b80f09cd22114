"""Result of `fasttier profile`: what goes into profile.json and onto the terminal."""

import msgspec

from pipeline.pages import aligned
from pipeline.profile.behaviour import Behaviour
from pipeline.profile.playbook import Step
from pipeline.profile.projection import Projection
from pipeline.profile.readiness import Readiness
from pipeline.profile.spend import Bin, Line
from pipeline.profile.waste import Storm, Waste
from traffic.number_format import count


class Period(msgspec.Struct, frozen=True):
    """Times of the first and the last request, UTC."""

    start: str
    end: str
    days: float


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Requests and money of one value."""

    name: str
    requests: int
    share: float
    spend_usd: float


class SiteLine(msgspec.Struct, frozen=True, kw_only=True):
    """One call site, or one shape where the log has no tag."""

    call_site: str
    requests: int
    spend_usd: float
    share: float
    request_type: str
    tier: int
    confidence: float
    shapes: int
    owner: str | None
    reason: str | None
    totals: Line


class ShapeLine(msgspec.Struct, frozen=True, kw_only=True):
    """One request shape with what was measured of it."""

    name: str
    call_site: str | None
    templates: tuple[str, ...]
    requests: int
    spend_usd: float
    request_type: str
    tier: int
    confidence: float
    unsure: bool
    evidence: tuple[str, ...]
    visibility: str
    output_tokens_p999: int | None
    behaviour: Behaviour


class ProfileSummary(msgspec.Struct, frozen=True, kw_only=True):
    """`<home>/profile/profile.json`."""

    schema_version: int = 1
    created_at: str
    requests: int
    attempts: int
    spend_usd: float
    """Logged plus estimated."""
    logged_usd: float
    estimated_usd: float
    """Of attempts whose cost the log does not say, from their lengths."""
    uncosted: int
    period: Period
    calls_per_day: float
    worth_it: bool
    worth_calls_per_day: int
    """Of the configuration: `worth_it` from here on."""
    tiers: tuple[Share, ...]
    request_types: tuple[Share, ...]
    input_tokens_histogram: tuple[Bin, ...]
    totals: Line
    by_call_site: tuple[SiteLine, ...]
    by_feature: tuple[Line, ...]
    by_plan: tuple[Line, ...]
    by_model: tuple[Line, ...]
    by_day: tuple[Line, ...]
    input_cost_share: float | None
    """Share of the bill that input tokens make, by the prices of the models; None without prices."""
    cached_share: float
    shapes: tuple[ShapeLine, ...]
    unsure: tuple[str, ...]
    waste: tuple[Waste, ...]
    waste_total_usd: float
    waste_total_requests: int
    waste_unknown: tuple[str, ...]
    storms: tuple[Storm, ...]
    top_shapes: tuple[str, ...]
    undocumented_call_sites: tuple[str, ...]
    readiness: tuple[Readiness, ...]
    projection: Projection
    playbook: tuple[Step, ...]
    changes: tuple[str, ...] = ()
    """Against an older registry: shapes that changed, appeared or vanished."""
    accepted: str | None = None
    notes: tuple[str, ...] = ()
    paths: dict[str, str] = {}

    def lines(self) -> list[str]:
        p, projection = self.period, self.projection
        output = [f"{count(self.requests, 'request')}, {self.spend_usd:,.2f} USD in {p.days:.1f} days"]
        output[0] += f" ({self.calls_per_day:,.0f} a day)"
        if self.estimated_usd:
            output.append(
                f"  {self.logged_usd:,.2f} USD logged, {self.estimated_usd:,.2f} estimated where the log is silent"
            )
        if self.uncosted:
            output.append(f"  {self.uncosted:,} attempts have no price and are not in it")
        if not self.worth_it:
            output.append(
                f"  below {self.worth_calls_per_day:,} calls a day an own model saves less than the work it takes: "
                "cut the waste and stop there"
            )
        output += [f"  tier {t.name}: {t.requests:>9,} ({t.share:6.1%})  {t.spend_usd:>10,.2f} USD" for t in self.tiers]
        output.append("types: " + ", ".join(f"{t.name} {t.share:.0%}" for t in self.request_types[:8]))
        sites = [["call site", "requests", "USD", "type", "tier", "sure"]]
        sites += [
            [
                s.call_site[:40],
                f"{s.requests:,}",
                f"{s.spend_usd:,.2f}",
                s.request_type,
                str(s.tier),
                f"{s.confidence:.2f}",
            ]
            for s in self.by_call_site[:12]
        ]
        output += [f"  {line}" for line in aligned(sites)]
        if len(self.by_call_site) > 12:
            output.append(f"  {len(self.by_call_site) - 12} more: --json")
        output.append(
            f"waste: {self.waste_total_usd:,.2f} USD in {count(self.waste_total_requests, 'call')}, each counted once"
        )
        output += [
            f"  {w.kind:16} {w.call_site[:32]:32} {w.requests:>7,} {w.spend_usd:>9,.2f} USD  {w.remedy}"
            for w in [w for w in self.waste if w.in_total and w.spend_usd > 0][:6]
        ]
        output += [
            f"  retry storm {s.start}: {s.attempts} attempts of {s.requests} requests in {s.seconds:.0f} s"
            for s in self.storms[:4]
        ]
        if projection.month_usd is not None:
            then = projection.projected_month_usd
            projected = f"{then:,.2f} USD with three tiers" if then is not None else "no price for the tiers' models"
            output.append(f"a month: {projection.month_usd:,.2f} USD now, {projected} (assumptions in the report)")
        ready_shapes = [r for r in self.readiness if r.enough_rows][:3]
        if ready_shapes:
            output.append("ready for an own model: " + ", ".join(f"{r.shape} ({r.score:.2f})" for r in ready_shapes))
        if self.unsure:
            output.append(
                f"to decide: {count(len(self.unsure), 'unsure shape')} on Tier 2 ({', '.join(self.unsure[:4])})"
            )
        if self.undocumented_call_sites:
            output.append(
                f"without a documented reason (`reason` in the registry): "
                f"{count(len(self.undocumented_call_sites), 'call site')}"
            )
        output.append("the playbook's steps on this log:")
        output += [f"  {n}. {s.step:28}{_mark(s):16}{s.value}" for n, s in enumerate(self.playbook, 1)]
        output += [f"changed: {line}" for line in self.changes[:20]]
        output += [f"note: {note}" for note in self.notes]
        output += [f"{name}: {path}" for name, path in self.paths.items()]
        output.append("next: fasttier replay" if self.accepted else "next: fasttier profile --accept")
        return output


def _mark(step: Step) -> str:
    return "cannot be told" if step.holds is None else "done" if step.holds else "to do"
