"""pipeline/store/database.py"""

from pathlib import Path

from pipeline.store.database import open_database


def test_nothing_but_results_is_written_to_stdout_and_times_are_utc(tmp_path: Path) -> None:
    with open_database(spill=tmp_path, memory_limit="512MB") as connection:
        settings = dict(connection.cursor().sql("select name, value from duckdb_settings()").fetchall())
    assert settings["enable_progress_bar"] == "false"
    assert settings["TimeZone"] in ("UTC", "Etc/UTC")
    assert settings["temp_directory"] == str(tmp_path)
    assert settings["memory_limit"] == "488.2 MiB"
