"""What a user may get wrong about `fasttier ingest`: one line that says so, and nothing read by accident."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.logs import litellm_lines, write_log

ROOT = Path(__file__).resolve().parents[2]
LINES = litellm_lines(20, 1, retries=0)
Arguments = Callable[[Path], list[str | Path]]


def fasttier(*arguments: str | Path, home: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "cli", *map(str, arguments), "--home", str(home)]
    return subprocess.run(command, capture_output=True, timeout=300, cwd=ROOT, input=stdin)


def written(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return write_log(folder / "log.jsonl", LINES)


def a_period_that_ends_before_it_begins(folder: Path) -> list[str | Path]:
    return [written(folder), "--since", "2026-11-02", "--until", "2026-11-01"]


def an_empty_folder(folder: Path) -> list[str | Path]:
    return [folder]


def a_mapping_that_is_a_folder(folder: Path) -> list[str | Path]:
    return [written(folder), "--config", folder]


def a_mapping_of_other_words(folder: Path) -> list[str | Path]:
    (folder / "mapping.yaml").write_text("schema_version: 1\ncallsite: [a]\n")
    return [written(folder), "--config", folder / "mapping.yaml"]


def a_read_signal_without_its_columns(folder: Path) -> list[str | Path]:
    (folder / "reads.csv").write_text("message;seen\n1;2\n")
    return [written(folder), "--reads", folder / "reads.csv"]


def a_link_to_nothing(folder: Path) -> list[str | Path]:
    (folder / "log.jsonl").symlink_to(folder / "gone.jsonl")
    return [folder / "log.jsonl"]


def an_object_store_that_nobody_knows(folder: Path) -> list[str | Path]:
    return ["s4://bucket/logs"]


@pytest.mark.parametrize(
    "arguments",
    [
        a_period_that_ends_before_it_begins,
        an_empty_folder,
        a_mapping_that_is_a_folder,
        a_mapping_of_other_words,
        a_read_signal_without_its_columns,
        a_link_to_nothing,
        an_object_store_that_nobody_knows,
    ],
    ids=lambda make: make.__name__,
)
def test_a_user_error_is_one_line_and_exit_status_2(arguments: Arguments, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    done = fasttier("ingest", *arguments(folder), home=tmp_path / "home")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_home_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    done = fasttier("ingest", written(tmp_path / "logs"), home=tmp_path / "home")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr.decode()
    assert str(tmp_path / "home").encode() in done.stderr


def test_pipes_and_broken_links_in_a_folder_are_skipped(tmp_path: Path) -> None:
    log = written(tmp_path / "logs")
    os.mkfifo(log.parent / "pipe.jsonl")
    (log.parent / "current.jsonl").symlink_to(log.parent / "rotated-away.jsonl")
    done = fasttier("ingest", log.parent, "--json", home=tmp_path / "home")
    assert json.loads(done.stdout.splitlines()[-1])["accepted"] == len(LINES)


def test_a_folder_that_contains_the_home_gives_only_its_logs(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", [*LINES, b'{"id": 1'])
    first = json.loads(fasttier("ingest", tmp_path, "--json", home=tmp_path / "data").stdout.splitlines()[-1])
    assert (first["accepted"], first["rejected"]) == (len(LINES), 1)
    write_log(log, [*LINES, b'{"id": 1', *litellm_lines(5, 2, retries=0)])
    later = json.loads(fasttier("ingest", tmp_path, "--json", home=tmp_path / "data").stdout.splitlines()[-1])
    assert (later["files"], later["accepted"], later["unknown_files"]) == (1, 5, [])


def test_standard_input_is_refused(tmp_path: Path) -> None:
    done = fasttier("ingest", "-", "--json", home=tmp_path / "home", stdin=b"\n".join(LINES) + b"\n")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr.decode()
    assert not (tmp_path / "home" / "records").exists()
