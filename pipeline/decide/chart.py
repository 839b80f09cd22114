"""Chart of a decision: cost per month by volume, a line per candidate, break-even points marked."""

import math
from typing import Any

from pipeline import charts
from pipeline.decide.record import Candidate, Decision

_POINTS = 160


def spec(decision: Decision) -> dict[str, Any]:
    """Log-log line chart as a Vega-Lite specification; unpriced candidates are left out."""
    import altair as alt

    priced = [candidate for candidate in decision.candidates if candidate.cost is not None]
    names = [candidate.label for candidate in priced]
    volumes = _volumes(decision)
    lines: list[dict[str, Any]] = [
        {
            "candidate": candidate.label,
            "side": candidate.side,
            "volume": volume,
            "cost": candidate.cost.monthly_usd(volume),
        }
        for candidate in priced
        if candidate.cost is not None
        for volume in volumes
    ]
    cost_axis, volume_axis = alt.Axis(format="$,~r", tickCount=8), alt.Axis(format="~s", tickCount=6)
    cost = alt.Y("cost:Q", title="USD per month", axis=cost_axis).scale(type="log")
    volume = alt.X("volume:Q", title="requests per month", axis=volume_axis).scale(type="log", nice=False)
    base = charts.of_rows(line for line in lines if line["cost"] > 0).mark_line(strokeWidth=2.5)
    dash = alt.StrokeDash("side:N", title="side").scale(domain=["build", "buy"], range=[[1, 0], [6, 4]])
    colour = alt.Color("candidate:N", title="candidate", sort=names)
    layers: list[Any] = [
        charts.of_rows(_stated(decision)).mark_rule(color="#bbb").encode(x="volume:Q"),
        charts.of_rows(_stated(decision))
        .mark_text(align="left", dx=4, y=8, color="#777")
        .encode(x="volume:Q", text="text:N"),
        base.encode(x=volume, y=cost, color=colour, strokeDash=dash),
    ]
    crossings = [point for candidate in priced for point in _break_even(candidate, volumes)]
    for index, crossing in enumerate(crossings):
        point = charts.of_rows([crossing]).encode(x="volume:Q", y="cost:Q")
        # Own models on one kind of machine break even close together: stack their labels.
        text = point.mark_text(align="left", dx=9, dy=13 + 14 * index, color="black").encode(text="text:N")
        layers += [point.mark_point(size=110, filled=True, color="black"), text]
    simulated = " (simulated)" if decision.simulated else ""
    title = f"{decision.task}: {decision.verdict}{simulated}, {decision.decided}"
    chart = alt.layer(*layers).properties(width=640, height=380, title=title, background="white")
    vega: dict[str, Any] = chart.to_dict()
    return vega


def _volumes(decision: Decision) -> list[float]:
    """Evenly spaced on the logarithmic axis, a decade beyond the stated volumes on both sides."""
    stated = [scale.requests_per_month for scale in decision.scales]
    low, high = min(stated) / 10, max(stated) * 10
    step = (math.log10(high) - math.log10(low)) / (_POINTS - 1)
    return [10 ** (math.log10(low) + index * step) for index in range(_POINTS)]


def _stated(decision: Decision) -> list[dict[str, Any]]:
    return [
        {"volume": scale.requests_per_month, "text": f"{scale.scale:g}x: {scale.verdict}"} for scale in decision.scales
    ]


def _break_even(candidate: Candidate, volumes: list[float]) -> list[dict[str, Any]]:
    point = candidate.break_even
    if candidate.cost is None or point is None or point.requests_per_month is None or candidate.state == "inadequate":
        return []
    volume = point.requests_per_month
    if not volumes[0] <= volume <= volumes[-1]:
        return []
    return [
        {"volume": volume, "cost": candidate.cost.monthly_usd(volume), "text": f"{candidate.label} from {volume:,.0f}"}
    ]
