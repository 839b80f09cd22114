"""Charts of the dashboard, as SVG text."""

from collections.abc import Sequence
from typing import Any

from pipeline.charts import COLOURS, of_rows, svg
from pipeline.costs import CostsSummary
from pipeline.costs.report import Line

_TOP = 6
OTHER = "others"


def over_time(summary: CostsSummary) -> str:
    """USD by day, stacked by the second dimension's largest values."""
    import altair as alt

    totals: dict[str, float] = {}
    for line in summary.rows:
        totals[line.key[1]] = totals.get(line.key[1], 0.0) + (line.usd or 0.0)
    largest = sorted(totals, key=lambda name: -totals[name])[:_TOP]
    amounts: dict[tuple[str, str], float] = {}
    for line in summary.rows:
        key = (line.key[0], line.key[1] if line.key[1] in largest else OTHER)
        amounts[key] = amounts.get(key, 0.0) + (line.usd or 0.0)
    names = [*largest, *([OTHER] if any(name == OTHER for _, name in amounts) else [])]
    rows = [
        {"day": day[5:], "name": name[:32], "usd": round(usd, 6), "rank": names.index(name)}
        for (day, name), usd in amounts.items()
    ]
    return svg(_stacked(alt, rows, [name[:32] for name in names])) if rows else ""


def by_day(lines: Sequence[Line]) -> str:
    """USD by day."""
    import altair as alt

    rows = [{"day": line.key[0][5:], "name": "USD", "usd": round(line.usd or 0.0, 6), "rank": 0} for line in lines]
    return svg(_stacked(alt, rows, ["USD"])) if rows else ""


def _stacked(alt: Any, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> Any:
    scale = alt.Scale(domain=list(names), range=list(COLOURS[: len(names)]))
    legend = None if len(names) == 1 else alt.Legend(title=None, columns=3, labelLimit=180, columnPadding=28)
    return (
        of_rows(rows)
        .mark_bar()
        .encode(
            x=alt.X("day:O", title=None, axis=alt.Axis(labelAngle=-60)),
            y=alt.Y("sum(usd):Q", title="USD", axis=alt.Axis(tickCount=5)),
            color=alt.Color("name:N", scale=scale, sort=list(names), legend=legend),
            order=alt.Order("rank:Q"),
        )
        .properties(width=640, height=220)
    )
