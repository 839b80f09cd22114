"""Charts of a calibration: quality against cost at every threshold, and the reliability diagram."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pipeline import charts, statistics

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


def curve_spec(points: Sequence[Point], marks: dict[str, float], *, title: str, quality: str) -> dict[str, Any]:
    """Quality against cost or escalation rate as a Vega-Lite specification.

    `marks`: escalation rates to label, by name. The dashed line is random escalation.
    """
    import altair as alt

    priced = all(point.usd_per_1k is not None for point in points)
    x = (
        alt.X("usd_per_1k:Q", title="USD per 1,000 requests", axis=alt.Axis(format="$.3~g", tickCount=6))
        if priced
        else alt.X("escalation:Q", title="share of requests that escalate to Tier 2", axis=alt.Axis(format="%"))
    )
    y = alt.Y("quality:Q", title=quality, axis=alt.Axis(format=".1%")).scale(zero=False)
    series = [msgspec.to_builtins(point) | {"line": "least confident first"} for point in points]
    series += [msgspec.to_builtins(point) | {"line": "at random"} for point in (points[0], points[-1])]
    dash = alt.StrokeDash("line:N", title="escalates").scale(
        domain=["least confident first", "at random"], range=[[1, 0], [5, 4]]
    )
    tips = [alt.Tooltip("escalation:Q", format=".1%"), alt.Tooltip("quality:Q", format=".2%"), "threshold:Q"]
    layers: list[Any] = [
        charts.of_rows(series)
        .mark_line(strokeWidth=2.5)
        .encode(x=x, y=y, strokeDash=dash, order="escalation:Q", tooltip=tips)
    ]
    for index, (name, rate) in enumerate(marks.items()):
        nearest = min(points, key=lambda point: abs(point.escalation - rate))
        text = f"{name}: {nearest.escalation:.0%} escalate, {nearest.kept_quality:.1%} of the kept right"
        mark = charts.of_rows([msgspec.to_builtins(nearest) | {"text": text}]).encode(x=x, y=y)
        layers.append(mark.mark_point(size=110, filled=True, color="black"))
        layers.append(mark.mark_text(align="left", dx=8, dy=14 + 15 * index, color="black").encode(text="text:N"))
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(width=620, height=360, title=title, background="white").to_dict()
    )
    return spec


def reliability_spec(bins: Sequence[Bin], *, title: str) -> dict[str, Any]:
    """Predicted against observed accuracy, with intervals, as a Vega-Lite specification."""
    import altair as alt

    low = min([bin_.low for bin_ in bins] + [bin_.predicted for bin_ in bins], default=0.0)
    scale = alt.Scale(domain=[max(0.0, low - 0.02), 1.0])
    x = alt.X("predicted:Q", title="predicted accuracy", scale=scale, axis=alt.Axis(format=".0%"))
    y = alt.Y("observed:Q", title="observed accuracy", scale=scale, axis=alt.Axis(format=".0%"))
    diagonal = charts.of_rows({"predicted": v, "observed": v} for v in scale["domain"]).mark_line(
        color="#999", strokeDash=[5, 4]
    )
    base = charts.of_rows(map(msgspec.to_builtins, bins))
    layers = [
        diagonal.encode(x=x, y=y),
        base.mark_rule(strokeWidth=1.5).encode(x=x, y=alt.Y("low:Q", scale=scale, title=""), y2="high:Q"),
        base.mark_point(filled=True, size=70).encode(x=x, y=y, tooltip=["predicted:Q", "observed:Q", "n:Q"]),
    ]
    spec: dict[str, Any] = (
        alt.layer(*layers).properties(width=420, height=420, title=title, background="white").to_dict()
    )
    return spec
