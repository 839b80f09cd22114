"""Charts of the dataset card as SVG. Offline, and deterministic for the same card."""

from typing import Any

from pipeline import charts
from pipeline.dataset import SPLITS, TaskDataset

_MAX_LABEL_BARS = 30
"""Maximum bars in the chart of labels; the remaining labels form one bar."""
_MAX_COHORT_VALUES = 8
_NOT_COHORTS = ("call_site", "label")


def svgs(card: TaskDataset) -> dict[str, bytes]:
    """Charts by file name; charts without data are omitted."""
    specs = {
        "filters.svg": filters(card),
        "days.svg": days(card),
        "labels.svg": labels(card),
        "cohorts.svg": cohorts(card),
        "tokens.svg": tokens(card),
    }
    return {name: charts.rendered(spec).encode() for name, spec in specs.items() if spec is not None}


def filters(card: TaskDataset) -> dict[str, Any]:
    """Waterfall from the attempts in the store to the rows of the dataset."""
    import altair as alt

    remaining = card.rows_considered
    bars = [{"step": "in the store", "start": 0, "end": remaining, "rows": remaining, "kind": "rows"}]
    for entry in card.filters:
        if entry.removed:
            bars.append(
                {
                    "step": entry.name,
                    "start": remaining - entry.removed,
                    "end": remaining,
                    "rows": entry.removed,
                    "kind": "removed",
                }
            )
            remaining -= entry.removed
    bars.append({"step": "in the set", "start": 0, "end": remaining, "rows": remaining, "kind": "rows"})
    order = [str(bar["step"]) for bar in bars]
    base = charts.of_rows(bars).encode(y=alt.Y("step:N", sort=order, title=None))
    colour = alt.Color("kind:N", legend=None).scale(domain=["rows", "removed"], range=["#4c78a8", "#e45756"])
    bar = base.mark_bar().encode(x=alt.X("start:Q", title="rows"), x2="end:Q", color=colour)
    text = base.mark_text(align="left", dx=4).encode(x="end:Q", text=alt.Text("rows:Q", format=","))
    return _spec(alt.layer(bar, text).properties(width=560, title="What the filters removed"))


def days(card: TaskDataset) -> dict[str, Any] | None:
    """Rows per day, coloured by split."""
    import altair as alt

    values = [
        {"day": day, "split": split, "rows": rows, "order": SPLITS.index(split)}
        for day, splits in card.days.items()
        for split, rows in splits.items()
    ]
    if not values:
        return None
    chart = charts.of_rows(values).mark_bar()
    encoded = chart.encode(
        x=alt.X("day:O", title="day (UTC)"),
        y=alt.Y("rows:Q", title="rows"),
        color=_split_colour(),
        order="order:Q",
    )
    return _spec(encoded.properties(width=560, height=220, title="Rows per day and split"))


def labels(card: TaskDataset) -> dict[str, Any] | None:
    """Rows per label, the most frequent first."""
    import altair as alt

    if not card.labels:
        return None
    values = [{"label": label, "rows": rows} for label, rows in list(card.labels.items())[:_MAX_LABEL_BARS]]
    hidden = list(card.labels.values())[_MAX_LABEL_BARS:]
    if hidden:
        values.append({"label": f"{len(hidden)} more", "rows": sum(hidden)})
    order = [str(value["label"]) for value in values]
    chart = charts.of_rows(values).mark_bar()
    encoded = chart.encode(y=alt.Y("label:N", sort=order, title=None), x=alt.X("rows:Q", title="rows"))
    return _spec(encoded.properties(width=480, title="Rows per label"))


def cohorts(card: TaskDataset) -> dict[str, Any] | None:
    """Share of each cohort's values in each split."""
    import altair as alt

    parts = []
    for key in card.cohorts:
        by_value = card.strata.get(key, {})
        if key in _NOT_COHORTS or not by_value:
            continue
        # Rare values are combined to keep the legend readable.
        common = sorted(by_value, key=lambda value: (-sum(by_value[value].values()), value))[:_MAX_COHORT_VALUES]
        values = [
            {"split": split, "value": value if value in common else "other", "rows": rows}
            for value, splits in by_value.items()
            for split, rows in splits.items()
        ]
        chart = charts.of_rows(values).mark_bar()
        parts.append(
            chart.encode(
                y=alt.Y("split:N", sort=list(SPLITS), title=None),
                x=alt.X("sum(rows):Q", stack="normalize", title="share of rows"),
                color=alt.Color("value:N", title=key),
            ).properties(width=420, title=f"{key} by split")
        )
    return _spec(alt.vconcat(*parts).resolve_scale(color="independent")) if parts else None


def tokens(card: TaskDataset) -> dict[str, Any]:
    """Mean length of a prompt before and after pruning."""
    import altair as alt

    values: list[dict[str, Any]] = []
    if card.prompt_tokens_logged is not None:
        values.append({"prompt": "as sent, billed", "tokens": card.prompt_tokens_logged})
    values.append({"prompt": "as sent, characters / 4", "tokens": -(-card.prompt_chars_original // 4)})
    values.append({"prompt": "pruned, characters / 4", "tokens": -(-card.prompt_chars_pruned // 4)})
    order = [value["prompt"] for value in values]
    base = charts.of_rows(values).encode(
        y=alt.Y("prompt:N", sort=order, title=None), x=alt.X("tokens:Q", title="tokens")
    )
    text = base.mark_text(align="left", dx=4).encode(text=alt.Text("tokens:Q", format=","))
    return _spec(alt.layer(base.mark_bar(), text).properties(width=480, title="Mean prompt"))


def _split_colour() -> Any:
    import altair as alt

    palette = ["#4c78a8", "#72b7b2", "#eeca3b", "#f58518", "#e45756"]
    return alt.Color("split:N", title="split", sort=list(SPLITS)).scale(domain=list(SPLITS), range=palette)


def _spec(chart: Any) -> dict[str, Any]:
    # Altair numbers views by creation order within the process, which would make the bytes depend on other charts.
    spec: dict[str, Any] = _unnamed(chart.configure(background="white").to_dict())
    return spec


def _unnamed(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: _unnamed(value)
            for key, value in tree.items()
            if key != "name" or not (isinstance(value, str) and value.startswith("view_"))
        }
    return [_unnamed(value) for value in tree] if isinstance(tree, list) else tree
