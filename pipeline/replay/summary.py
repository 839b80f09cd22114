"""Result of a replay: tiers, spend, changes and call sites."""

import msgspec

from pipeline.replay.gold import GoldReport
from traffic.number_format import usd

_SHOWN_CALL_SITES = 20


class TierLine(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic and spend of one tier."""

    tier: int
    requests: int
    share: float
    logged_month_usd: float | None
    """Logged cost of these requests; None where no attempt has a cost."""
    model: str | None
    """Model of the tier's first endpoint; logged tokens are priced at its rate."""
    month_usd: float | None
    """Projected; None where the model has no price, 0 where it runs on an own machine (marginal cost; see `note`)."""
    note: str | None = None


class SiteLine(msgspec.Struct, frozen=True, kw_only=True):
    """Traffic of one call site."""

    call_site: str
    requests: int
    tier_1: int
    tier_2: int
    tier_3: int
    refused: int
    adapter: int
    """Tier 1 requests that the deployed adapter would answer first."""
    top_rule: str


class ReplaySummary(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules would do to the logged traffic."""

    requests: int
    days: float
    """Between the first and the last request."""
    call_site_entries: bool
    tiers: tuple[TierLine, ...]
    refused: int
    logged_month_usd: float | None
    uncosted: int
    """Attempts without a logged cost."""
    month_usd: float | None
    """Projected spend with Tier 1 on its own endpoint."""
    month_without_adapter_usd: float | None
    """Projected spend while Tier 1 has no endpoint and its requests go to Tier 2."""
    untokened: int
    """Attempts without logged tokens; not part of any projection."""
    rules: dict[str, int]
    against: str
    changed: dict[str, int]
    """`before->now`: requests whose tier differs from the log's or the other configuration's."""
    compared: int
    """Requests that have a tier to compare with."""
    call_sites: tuple[SiteLine, ...]
    gold: GoldReport | None
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Tiers, spend, changes, errors against gold, call sites, next command."""
        entries = "with call-site entries" if self.call_site_entries else "features alone, no call-site entries"
        lines = [f"{self.requests:,} requests over {self.days:.1f} days, {entries}"]
        lines += [
            f"  tier {t.tier}: {t.requests:>8,} ({t.share:6.1%})  a month: logged {usd(t.logged_month_usd)}, "
            f"projected {usd(t.month_usd)}{f' on {t.model}' if t.model else ''}{' *' if t.note else ''}"
            for t in self.tiers
        ]
        if self.refused:
            lines.append(f"  refused: {self.refused:,} ({self.refused / self.requests:.1%})")
        lines += [f"  * tier {t.tier}: {t.note}" for t in self.tiers if t.note]
        lines.append(
            f"a month: logged {usd(self.logged_month_usd)}, projected {usd(self.month_usd)}, "
            f"without a Tier 1 endpoint {usd(self.month_without_adapter_usd)}"
        )
        lines += self.notes
        lines.append(self._changes())
        lines += self.gold.lines() if self.gold is not None else []
        lines += [
            f"  {'call site':32} {'requests':>9} {'tier 1':>7} {'tier 2':>7} {'tier 3':>7} {'adapter':>8}  rule",
            *(
                f"  {s.call_site[:32]:32} {s.requests:>9,} {s.tier_1:>7,} {s.tier_2:>7,} {s.tier_3:>7,} "
                f"{s.adapter:>8,}  {s.top_rule}"
                for s in self.call_sites[:_SHOWN_CALL_SITES]
            ),
        ]
        if len(self.call_sites) > _SHOWN_CALL_SITES:
            lines.append(f"  {len(self.call_sites) - _SHOWN_CALL_SITES} more call sites: --json")
        return [*lines, "next: fasttier route"]

    def _changes(self) -> str:
        if not self.compared:
            return f"changes against {self.against}: it has no tiers to compare with"
        moves = ", ".join(f"{move} {count:,}" for move, count in sorted(self.changed.items(), key=lambda c: -c[1]))
        moved = sum(self.changed.values())
        return (
            f"changes against {self.against}: {moved:,} of {self.compared:,} requests{f' ({moves})' if moved else ''}"
        )
