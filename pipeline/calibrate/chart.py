"""Charts of a calibration: quality against cost at every threshold, and the reliability diagram."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pipeline import statistics

BINS = 10
LEAST_BIN = 20
"""Minimum number of answers per bin."""


class Point(msgspec.Struct, frozen=True):
    """The cascade at one threshold."""

    escalation: float
    """Share of the requests that escalate."""
    quality: float
    """Accuracy of both tiers together."""
    kept_quality: float
    """Accuracy of the kept answers."""
    usd_per_1k: float | None
    """None: a part is unpriced."""
    threshold: float


class Bin(msgspec.Struct, frozen=True):
    """Answers of similar predicted probability."""

    predicted: float
    """Mean predicted probability."""
    observed: float
    """Accuracy."""
    low: float
    high: float
    """95% interval of the accuracy."""
    n: int


def curve(
    probabilities: Sequence[float],
    own: Sequence[bool],
    other: Sequence[bool] | None,
    *,
    own_usd: float | None,
    other_usd: float | None,
    weights: Sequence[float] | None = None,
    points: int = 101,
) -> list[Point]:
    """The cascade at each escalation rate, from keeping everything usable to escalating everything.

    `own`, `other`: whether each tier's answer is right, per item; `other` None: Tier 2 was not evaluated and counts as
    right. `own_usd`, `other_usd`: mean cost of a request. `weights`: requests that each item stands for.
    """
    p, right = np.asarray(probabilities, dtype=float), np.asarray(own, dtype=bool)
    times = np.ones(len(p)) if weights is None else np.asarray(weights, dtype=float)
    total = float(times.sum())
    rescued = np.ones(len(p), dtype=bool) if other is None else np.asarray(other, dtype=bool)
    order = np.argsort(p, kind="stable")
    first = int((p < 0).sum())
    curve_points = []
    for index in np.unique(np.linspace(first, len(p), points).round().astype(int)):
        away, kept = order[:index], order[index:]
        escalation, good = float(times[away].sum()) / total, float((right * times)[kept].sum())
        curve_points.append(
            Point(
                escalation=escalation,
                quality=(good + float((rescued * times)[away].sum())) / total,
                kept_quality=good / float(times[kept].sum()) if len(kept) else 1.0,
                usd_per_1k=None if own_usd is None or other_usd is None else 1000 * (own_usd + escalation * other_usd),
                threshold=float(p[kept[0]]) if len(kept) else 1.0,
            )
        )
    return curve_points


def reliability(probabilities: Sequence[float], correct: Sequence[bool]) -> list[Bin]:
    """Equally filled bins of the usable answers; empty without any."""
    p = np.asarray(probabilities, dtype=float)
    right = np.asarray(correct, dtype=bool)[p >= 0]
    p = p[p >= 0]
    if not len(p):
        return []
    order = np.argsort(p, kind="stable")
    bins = []
    for members in np.array_split(order, max(1, min(BINS, len(p) // LEAST_BIN))):
        good = int(right[members].sum())
        interval = statistics.proportion_interval(good, len(members))
        bins.append(Bin(float(p[members].mean()), good / len(members), interval.low, interval.high, len(members)))
    return bins


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error: mean |predicted - observed|, weighted by answers; 0 without bins."""
    total = sum(bin_.n for bin_ in bins)
    return sum(bin_.n * abs(bin_.predicted - bin_.observed) for bin_ in bins) / total if total else 0.0


def curve_svg(points: Sequence[Point], marks: dict[str, float], *, title: str, tier_2: str, quality: str) -> str:
    """Line chart of quality against cost or escalation rate, rendered offline.

    `marks`: escalation rates to label, by name. The dashed line is random escalation.
    """
    return _svg(curve_spec(points, marks, title=title, tier_2=tier_2, quality=quality))


def reliability_svg(bins: Sequence[Bin], *, title: str) -> str:
    """Reliability diagram: predicted vs observed accuracy, with intervals."""
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
    series = [msgspec.to_builtins(point) | {"line": "least confident first"} for point in points]
    series += [msgspec.to_builtins(point) | {"line": "at random"} for point in (points[0], points[-1])]
    dash = alt.StrokeDash("line:N", title="escalates").scale(
        domain=["least confident first", "at random"], range=[[1, 0], [5, 4]]
    )
    tips = [alt.Tooltip("escalation:Q", format=".1%"), alt.Tooltip("quality:Q", format=".2%"), "threshold:Q"]
    layers: list[Any] = [
        alt.Chart(data(values=series))
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, strokeDash=dash, order="escalation:Q", tooltip=tips)
    ]
    for index, (name, rate) in enumerate(marks.items()):
        nearest = min(points, key=lambda point: abs(point.escalation - rate))
        text = f"{name}: {nearest.escalation:.0%} escalate, {nearest.kept_quality:.1%} of the kept right"
        mark = alt.Chart(data(values=[msgspec.to_builtins(nearest) | {"text": text}])).encode(x=x, y=y)
        layers.append(mark.mark_point(size=110, filled=True, color="black"))
        layers.append(mark.mark_text(align="left", dx=8, dy=14 + 15 * index, color="black").encode(text="text:N"))
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(width=620, height=360, title=title, background="white").to_dict()
    )
    return spec


def reliability_spec(bins: Sequence[Bin], *, title: str) -> dict[str, Any]:
    """The reliability diagram as a Vega-Lite specification."""
    import altair as alt

    data: Any = alt.Data
    low = min([bin_.low for bin_ in bins] + [bin_.predicted for bin_ in bins], default=0.0)
    scale = alt.Scale(domain=[max(0.0, low - 0.02), 1.0])
    rows = data(values=[msgspec.to_builtins(bin_) for bin_ in bins])
    x = alt.X("predicted:Q", title="predicted accuracy", scale=scale, axis=alt.Axis(format=".0%"))
    y = alt.Y("observed:Q", title="observed accuracy", scale=scale, axis=alt.Axis(format=".0%"))
    diagonal = alt.Chart(data(values=[{"predicted": v, "observed": v} for v in scale["domain"]])).mark_line(
        color="#999", strokeDash=[5, 4]
    )
    base = alt.Chart(rows)
    layers = [
        diagonal.encode(x=x, y=y),
        base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q", scale=scale, title=""), y2="high:Q"),
        base.mark_point(filled=True, size=70).encode(x=x, y=y, tooltip=["predicted:Q", "observed:Q", "n:Q"]),
    ]
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(width=420, height=420, title=title, background="white").to_dict()
    )
    return spec


def _svg(spec: dict[str, Any]) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(vl_spec=spec))
