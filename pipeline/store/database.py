"""DuckDB connections of the pipeline."""

import os
from pathlib import Path

import duckdb


def open_database(*, spill: Path | None = None, memory_limit: str | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory database with times in UTC.

    `spill`: folder for what does not fit in memory; `memory_limit` as DuckDB writes it, such as `512MB`.
    """
    options = {"temp_directory": None if spill is None else str(spill), "memory_limit": memory_limit}
    connection = duckdb.connect(config={name: value for name, value in options.items() if value is not None})
    connection.execute("set TimeZone = 'UTC'")
    # It is drawn on stdout for queries over two seconds and would corrupt a command's JSON.
    connection.execute("set enable_progress_bar = false")
    return connection


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    """Write the rows of a query; another process sees the old file or the new one."""
    aside = target.with_name(f".{target.name}.{os.getpid()}")
    path = str(aside).replace("'", "''")
    connection.execute(f"copy ({query}) to '{path}' (format parquet)")
    aside.replace(target)
