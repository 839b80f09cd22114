"""Ranks candidates by state and cost, and names adapters that a cheaper classifier makes unnecessary."""

from collections.abc import Mapping, Sequence

from pipeline.decide.evidence import Evaluated, Evidence
from pipeline.decide.pricing import CLASSIFIERS, Market
from pipeline.decide.quality import judge
from pipeline.decide.record import Candidate
from traffic import number_format
from traffic.number_format import usd

_ORDER = {"adequate": 0, "unsettled": 1, "inadequate": 2}


def ranked(candidates: Sequence[Candidate], scale: int) -> list[Candidate]:
    """Adequate candidates, then unsettled, then inadequate ones; each group by cost."""

    def key(candidate: Candidate) -> tuple[int, bool, float]:
        cost = candidate.at[scale].cost_per_month_usd
        return _ORDER[candidate.state], cost is None, cost or 0.0

    return sorted(candidates, key=key)


def without_case(candidates: Sequence[Candidate], evidence: Evidence, market: Market) -> dict[str, str]:
    """Adapter to reason, where a classifier is as good (not worse by the margin, on the same items) and no dearer."""
    by_name = {evaluated.name: evaluated for evaluated in evidence.evaluated}
    index = list(market.config.volume_scales).index(market.config.decide_at)
    reasons = {}
    for adapter in candidates:
        if adapter.kind == "adapter" and adapter.name in by_name:
            reason = _rival(adapter, candidates, by_name, index, market)
            if reason is not None:
                reasons[adapter.name] = reason
    return reasons


def _rival(
    adapter: Candidate, candidates: Sequence[Candidate], by_name: Mapping[str, Evaluated], index: int, market: Market
) -> str | None:
    config = market.config
    cost = adapter.at[index].cost_per_month_usd
    for rival in ranked(candidates, index):
        mine = rival.at[index].cost_per_month_usd
        if rival.kind not in CLASSIFIERS or rival.name not in by_name or mine is None or (cost or mine) < mine:
            continue
        quality = judge(by_name[rival.name], by_name[adapter.name], config.margin, config.alpha)
        if quality.verdict == "pass":
            gap = number_format.points(quality.difference, quality.difference_low, quality.difference_high)
            return f"{rival.label} is as good ({gap} points) and costs {usd(mine)} a month against {usd(cost)}"
    return None
