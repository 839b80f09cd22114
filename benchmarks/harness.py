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


def rewrite_store(records: Path, columns: str, *, copies: int = 1, row_group: int = 100_000) -> None:
    """Replace `columns` of every record `r` in a store, and multiply the records: `n` is the number of a copy."""
    import duckdb

    for part in sorted(records.glob("date=*/*.parquet")):
        aside = part.with_suffix(".tmp")
        # The paths are our own, so SQL injection is not possible.
        duckdb.sql(f"""
            copy (select r.* replace ({columns})
                  from read_parquet('{part}', hive_partitioning = false) r, range({copies}) t(n))
            to '{aside}' (format parquet, compression zstd, row_group_size {row_group})
        """)  # noqa: S608
        aside.replace(part)


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
