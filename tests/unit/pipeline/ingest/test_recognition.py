"""Detection of a file's format from its first rows."""

from collections.abc import Callable
from pathlib import Path

from pipeline import ingest
from tests.fakes.growth import assert_linear
from traffic.artifacts import Home


def test_many_blank_lines_are_searched_in_linear_time(tmp_path: Path) -> None:
    def searching(lines: int) -> Callable[[], object]:
        log = tmp_path / str(lines)
        log.write_bytes(b"\n" * lines)
        return lambda: ingest.run([log], home=Home(tmp_path / "home"))

    assert_linear(searching, 50_000, times=8)
