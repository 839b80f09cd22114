"""Pages and reports as text: Jinja2 templates in `pipeline/templates/`, and tables for Markdown and the terminal."""

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from traffic import formats

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Fill a template of `pipeline/templates/`; HTML templates escape what is filled in."""
    return _environment().get_template(template).render(**values)


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first row is the heading."""
    heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heading, ["---"] * len(heading), *body])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a plain-text table with aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=select_autoescape(("html", "html.j2")),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"markdown_table": markdown_table, "money": formats.usd, "percent": formats.percent}
    environment.filters |= {
        "usd": lambda v: "unknown" if v is None else f"${v:,.2f}" if abs(v) < 1000 else f"${v:,.0f}",
        "count": lambda v: f"{v:,.0f}",
        "pct": lambda v: "unknown" if v is None else f"{v:.1%}",
        "ms": lambda v: "-" if v is None else f"{v:,.0f}",
    }
    return environment
