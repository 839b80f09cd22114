"""Charts of the profile report as SVG text: no script, no network, readable on light and dark pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.charts import of_rows, svg
from pipeline.profile.summary import ProfileSummary

_TIERS = {"1": "#2a9d8f", "2": "#e9a23b", "3": "#d1495b"}
_BARS = "#4c86c6"
_TOP = 15


def all_charts(result: ProfileSummary) -> dict[str, str]:
    """SVG by name; a chart without data is left out."""
    types = [{"name": t.name, "value": t.requests, "tier": ""} for t in result.request_types]
    charts: dict[str, Any] = {
        "spend_by_call_site": _sites(result),
        "input_tokens": _histogram(result),
        "request_types": _bars(types, "requests"),
        "days": _days(result),
        "waste": _waste(result),
    }
    return {name: svg(chart) for name, chart in charts.items() if chart is not None}


def _bars(rows: Sequence[Mapping[str, Any]], title: str, *, tiers: bool = False) -> Any:
    if not rows:
        return None
    import altair as alt

    colour: Any = alt.value(_BARS)
    if tiers:
        scale = alt.Scale(domain=list(_TIERS), range=list(_TIERS.values()))
        colour = alt.Color("tier:N", title="proposed tier", scale=scale)
    return (
        of_rows(rows)
        .mark_bar()
        .encode(
            x=alt.X("value:Q", title=title, axis=alt.Axis(format="$,~r" if title == "USD" else "~s", tickCount=5)),
            y=alt.Y("name:N", title=None, sort="-x"),
            color=colour,
        )
        .properties(width=420, height=alt.Step(20))
    )


def _sites(result: ProfileSummary) -> Any:
    rows = [
        {"name": s.call_site[:40], "value": round(s.spend_usd, 4), "tier": str(s.tier)}
        for s in result.by_call_site[:_TOP]
    ]
    return _bars(rows, "USD", tiers=True)


def _waste(result: ProfileSummary) -> Any:
    by_kind: dict[str, float] = {}
    for line in result.waste:
        if line.in_total:
            by_kind[line.kind] = by_kind.get(line.kind, 0.0) + line.spend_usd
    return _bars([{"name": k, "value": round(v, 4), "tier": ""} for k, v in by_kind.items()], "USD")


def _histogram(result: ProfileSummary) -> Any:
    bins = result.input_tokens_histogram
    if not bins:
        return None
    import altair as alt

    names = [f"{b.tokens:,}+" for b in bins]
    rows = [{"name": name, "value": b.requests} for name, b in zip(names, bins, strict=True)]
    return (
        of_rows(rows)
        .mark_bar(color=_BARS)
        .encode(
            x=alt.X("name:N", title="input tokens", sort=names, axis=alt.Axis(labelAngle=-40)),
            y=alt.Y("value:Q", title="requests", axis=alt.Axis(format="~s", tickCount=5)),
        )
        .properties(width=480, height=220)
    )


def _days(result: ProfileSummary) -> Any:
    if len(result.by_day) < 2:
        return None
    import altair as alt

    rows = [{"day": line.name, "value": round(line.spend_usd, 4)} for line in result.by_day]
    return (
        of_rows(rows)
        .mark_bar(color=_BARS)
        .encode(
            x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("value:Q", title="USD", axis=alt.Axis(tickCount=5)),
        )
        .properties(width=480, height=200)
    )
