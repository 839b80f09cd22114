"""Shared by benchmarks: options with the docstring as help, output as text or JSON, tables."""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def parser(usage: str | None) -> argparse.ArgumentParser:
    """A parser with `--json`, an option of every benchmark."""
    options = argparse.ArgumentParser(description=usage, formatter_class=argparse.RawDescriptionHelpFormatter)
    text = "write the figures to FILE, or print only them, as one line"
    options.add_argument("--json", nargs="?", const="-", metavar="FILE", help=text)
    return options


def show(figures: Any, json_option: str | None, lines: Iterable[str]) -> None:
    """Print `lines`, or the figures as one line of JSON; write the figures to a file if one is named."""
    if json_option == "-":
        print(json.dumps(figures))
        return
    if json_option:
        Path(json_option).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for line in lines:
        print(line)


def progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    cells = [[str("" if cell is None else cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[n]) for row in cells) for n in range(len(head))]
    return [
        "  ".join(
            cell.ljust(width) if n in (0, 2) and not cell[:1].isdigit() else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
