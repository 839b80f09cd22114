"""The pictures of a calibration: quality against cost at every threshold, and said against seen probabilities."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pipeline import statistics

BINS = 10
LEAST_BIN = 20
"""Answers in a bin of the reliability diagram."""


class Point(msgspec.Struct, frozen=True):
    """The cascade at one threshold."""

    escalation: float
    """Share of the items that escalates."""
    quality: float
    """Share of right answers, of both tiers together."""
    kept_quality: float
    """Share of right answers among the kept ones."""
    usd_per_1k: float | None
    """None: a part is unpriced."""
    threshold: float


class Bin(msgspec.Struct, frozen=True):
    """Answers with about the same probability."""

    said: float
    """Mean probability."""
    seen: float
    """Share of right ones."""
    low: float
    high: float
    """95% interval of the share."""
    n: int


def curve(
    probabilities: Sequence[float],
    own: Sequence[bool],
    other: Sequence[bool] | None,
    *,
    own_usd: Sequence[float | None],
    other_usd: Sequence[float | None],
    points: int = 101,
) -> list[Point]:
    """The cascade at each escalation rate, from keeping all that can be kept to escalating everything.

    One entry per item each; `other`: Tier 2's answers, None where it was not evaluated (it then counts as right).
    """
    p, right = np.asarray(probabilities, dtype=float), np.asarray(own, dtype=bool)
    rescued = np.ones(len(p), dtype=bool) if other is None else np.asarray(other, dtype=bool)
    order = np.argsort(p, kind="stable")
    first = int((p < 0).sum())
    costs = _priced(own_usd, other_usd)
    found = []
    for place in np.unique(np.linspace(first, len(p), points).round().astype(int)):
        away, kept = order[:place], order[place:]
        good = int(right[kept].sum())
        usd = None if costs is None else 1000 * float(costs[0].mean() + costs[1][away].sum() / len(p))
        found.append(
            Point(
                escalation=len(away) / len(p),
                quality=(good + int(rescued[away].sum())) / len(p),
                kept_quality=good / len(kept) if len(kept) else 1.0,
                usd_per_1k=usd,
                threshold=float(p[kept[0]]) if len(kept) else 1.0,
            )
        )
    return found


def reliability(probabilities: Sequence[float], correct: Sequence[bool]) -> list[Bin]:
    """Equally filled bins of the answers that can be kept; empty without any."""
    p = np.asarray(probabilities, dtype=float)
    right = np.asarray(correct, dtype=bool)[p >= 0]
    p = p[p >= 0]
    if not len(p):
        return []
    order = np.argsort(p, kind="stable")
    bins = []
    for places in np.array_split(order, max(1, min(BINS, len(p) // LEAST_BIN))):
        good = int(right[places].sum())
        interval = statistics.proportion_interval(good, len(places))
        bins.append(Bin(float(p[places].mean()), good / len(places), interval.low, interval.high, len(places)))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """Mean distance of said and seen, weighted by answers; 0 without bins."""
    total = sum(each.n for each in bins)
    return sum(each.n * abs(each.said - each.seen) for each in bins) / total if total else 0.0


def curve_svg(points: Sequence[Point], marks: dict[str, float], *, title: str, tier_2: str, quality: str) -> str:
    """Line chart of quality against escalation rate or cost, rendered without a network.

    `marks`: names of escalation rates that are pointed out. The dashed line is random escalation.
    """
    return _svg(curve_spec(points, marks, title=title, tier_2=tier_2, quality=quality))


def reliability_svg(bins: Sequence[Bin], *, title: str) -> str:
    """Said against seen probability with intervals; on the diagonal a probability means what it says."""
    return _svg(reliability_spec(bins, title=title))


def curve_spec(
    points: Sequence[Point], marks: dict[str, float], *, title: str, tier_2: str, quality: str
) -> dict[str, Any]:
    """The cost-quality curve as a Vega-Lite specification."""
    import altair as alt

    data: Any = alt.Data
    priced = all(point.usd_per_1k is not None for point in points)
    x = (
        alt.X("usd_per_1k:Q", title="USD per 1,000 requests", axis=alt.Axis(format="$.3~g", tickCount=6))
        if priced
        else alt.X("escalation:Q", title=f"share of requests that escalate to {tier_2}", axis=alt.Axis(format="%"))
    )
    y = alt.Y("quality:Q", title=quality, axis=alt.Axis(format=".1%")).scale(zero=False)
    series = [msgspec.to_builtins(point) | {"line": "least sure first"} for point in points]
    series += [msgspec.to_builtins(point) | {"line": "at random"} for point in (points[0], points[-1])]
    dash = alt.StrokeDash("line:N", title="escalates").scale(
        domain=["least sure first", "at random"], range=[[1, 0], [5, 4]]
    )
    tips = [alt.Tooltip("escalation:Q", format=".1%"), alt.Tooltip("quality:Q", format=".2%"), "threshold:Q"]
    layers: list[Any] = [
        alt.Chart(data(values=series))
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, strokeDash=dash, order="escalation:Q", tooltip=tips)
    ]
    for place, (name, rate) in enumerate(marks.items()):
        nearest = min(points, key=lambda point: abs(point.escalation - rate))
        text = f"{name}: {nearest.escalation:.0%} escalate, {nearest.kept_quality:.1%} of the kept right"
        mark = alt.Chart(data(values=[msgspec.to_builtins(nearest) | {"text": text}])).encode(x=x, y=y)
        layers.append(mark.mark_point(size=110, filled=True, color="black"))
        layers.append(mark.mark_text(align="left", dx=8, dy=14 + 15 * place, color="black").encode(text="text:N"))
    found: dict[str, Any] = (
        alt.layer(*layers).properties(width=620, height=360, title=title, background="white").to_dict()
    )
    return found


def reliability_spec(bins: Sequence[Bin], *, title: str) -> dict[str, Any]:
    """The reliability diagram as a Vega-Lite specification."""
    import altair as alt

    data: Any = alt.Data
    low = min([each.low for each in bins] + [each.said for each in bins], default=0.0)
    scale = alt.Scale(domain=[max(0.0, low - 0.02), 1.0])
    rows = data(values=[msgspec.to_builtins(each) for each in bins])
    x = alt.X("said:Q", title="probability that calibration gives", scale=scale, axis=alt.Axis(format=".0%"))
    y = alt.Y("seen:Q", title="share of right answers", scale=scale, axis=alt.Axis(format=".0%"))
    diagonal = alt.Chart(data(values=[{"said": v, "seen": v} for v in scale["domain"]])).mark_line(
        color="#999", strokeDash=[5, 4]
    )
    base = alt.Chart(rows)
    layers = [
        diagonal.encode(x=x, y=y),
        base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q", scale=scale, title=""), y2="high:Q"),
        base.mark_point(filled=True, size=70).encode(x=x, y=y, tooltip=["said:Q", "seen:Q", "n:Q"]),
    ]
    found: dict[str, Any] = (
        alt.layer(*layers).properties(width=420, height=420, title=title, background="white").to_dict()
    )
    return found


def _priced(own: Sequence[float | None], other: Sequence[float | None]) -> tuple[Any, Any] | None:
    if any(value is None for value in (*own, *other)):
        return None
    return np.asarray(own, dtype=float), np.asarray(other, dtype=float)


def _svg(spec: dict[str, Any]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(vl_spec=spec))
