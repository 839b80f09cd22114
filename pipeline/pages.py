"""Pages and reports as text: Jinja2 templates in `pipeline/templates/`, and tables for Markdown and the terminal."""

import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from traffic import number_format
from traffic.terminal import printable

_TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, **values: Any) -> str:
    """Fill a template of `pipeline/templates/`; HTML templates escape what is filled in."""
    return _environment().get_template(template).render(**values)


def markdown(template: str, **values: Any) -> str:
    """Fill a Markdown template; blank lines that empty blocks leave are merged."""
    return re.sub(r"\n{3,}", "\n\n", render(template, **values)).strip() + "\n"


def cell(value: Any) -> str:
    """One cell of a Markdown table; counts with separators, text of logs without markup."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def listed(counts: Mapping[str, int], limit: int = 40) -> str:
    """Names with their counts: `free 900, pro 160 and 3 more`."""
    entries = [f"{cell(name)} {n:,}" for name, n in list(counts.items())[:limit]]
    hidden = len(counts) - limit
    return ", ".join(entries) + (f" and {hidden} more" if hidden > 0 else "")


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first row is the heading."""
    heading, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in [heading, ["---"] * len(heading), *body])


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a plain-text table with aligned columns; a cell is one line, whatever is in it."""
    rows = [[printable(cell) for cell in row] for row in rows]
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
    environment.filters |= {
        "markdown_table": markdown_table,
        "cell": cell,
        "listed": listed,
        "usd": number_format.usd,
        "percent": number_format.percent,
        "number": number_format.number,
    }
    return environment
