"""Charts of pages as SVG text: no script, no network, readable on light and dark pages."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

INK = "currentColor"
_GRID = "#88888840"
COLOURS = ("#4c86c6", "#2a9d8f", "#e9a23b", "#d1495b", "#8e6bbf", "#6b8e3d", "#9aa4b5")
"""Of groups, the largest first; the last is for the rest."""
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def of_rows(rows: Iterable[Mapping[str, Any]]) -> Any:
    """A chart of these rows, without marks yet."""
    import altair as alt

    data: Any = alt.Data
    return alt.Chart(data(values=list(rows)))


def rendered(spec: dict[str, Any]) -> str:
    """A Vega-Lite specification as SVG. Characters that XML does not have are replaced by U+FFFD."""
    import vl_convert

    return str(vl_convert.vegalite_to_svg(vl_spec=_in_xml(spec)))


def _in_xml(value: Any) -> Any:
    # The renderer aborts the whole process on them, and names in a log are any text.
    if isinstance(value, str):
        return _NOT_XML.sub("\ufffd", value)
    if isinstance(value, list | tuple):
        return [_in_xml(item) for item in value]
    return {_in_xml(key): _in_xml(item) for key, item in value.items()} if isinstance(value, dict) else value


def svg(chart: Any) -> str:
    """A chart as SVG that scales with its container."""
    text = rendered(chart.properties(background="transparent").configure(**_config()).to_dict())
    head, _, rest = text.partition(">")
    return head.replace(' width="', ' data-width="').replace(' height="', ' data-height="') + ">" + rest


def _config() -> dict[str, Any]:
    label = {"labelColor": INK, "titleColor": INK, "domainColor": _GRID, "tickColor": _GRID, "gridColor": _GRID}
    return {
        "font": "sans-serif",
        # Widths are measured with another font than the reader's browser has.
        "padding": {"left": 28, "right": 12, "top": 4, "bottom": 4},
        "axis": label | {"labelFontSize": 12, "titleFontSize": 12, "labelLimit": 220},
        "legend": {"labelColor": INK, "titleColor": INK, "orient": "top"},
        "view": {"stroke": None},
    }
