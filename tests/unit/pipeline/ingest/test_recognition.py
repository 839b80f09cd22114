"""Detection of a file's format from its first rows."""

import time
from pathlib import Path

from pipeline import ingest
from traffic.artifacts import Home


def test_many_blank_lines_are_searched_in_linear_time(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\n" * 50_000)
    began = time.process_time()
    ingest.run([tmp_path / "log"], home=Home(tmp_path / "home"))
    assert time.process_time() - began < 5
