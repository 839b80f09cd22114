"""Ingest as it is used: through the command, over a process pool, killed at every step, and with flat memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import ingest, store
from pipeline.store import manifest
from tests.fakes.logs import attempts, litellm_line, litellm_lines, write_log
from traffic.artifacts import Home

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def fasttier(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT)


def test_reading_a_log_twice_is_reported_differently(home: Home, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl.gz", [*litellm_lines(100, 1, retries=0), b"{"])
    first = fasttier("ingest", log, "--home", home.root)
    assert first.returncode == 0, first.stderr
    assert "100 accepted, 1 rejected" in first.stdout
    assert "next: fasttier profile" in first.stdout
    again = fasttier("ingest", log, "--home", home.root, "--json")
    summary = json.loads(again.stdout)
    assert (summary["read"], summary["skipped_files"]) == (0, 1)


def test_ingest_imports_no_unnecessary_large_library(home: Home, tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", litellm_lines(100, 1))
    script = (
        "import pathlib, sys; from pipeline import ingest; from traffic.artifacts import Home; "
        "ingest.run(sys.argv[1:2], home=Home(pathlib.Path(sys.argv[2]))); print(*sys.modules)"
    )
    command = [sys.executable, "-c", script, str(log), str(home.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=True)
    assert not {"pandas", "pyarrow.compute", "rich", "torch", "mlflow"} & set(done.stdout.split())


def test_a_user_error_is_one_line_and_exit_status_2(home: Home, tmp_path: Path) -> None:
    log = write_log(tmp_path / "app.log", [b'{"level": "info"}'])
    for arguments in ([log], [tmp_path / "gone"], [log, "--format", "csv"]):
        failed = fasttier("ingest", *arguments, "--home", home.root)
        assert (failed.returncode, len(failed.stderr.splitlines())) == (2, 1)
        assert "Traceback" not in failed.stderr


def test_a_pool_of_processes_gives_the_same_store_as_one(tmp_path: Path) -> None:
    lines = [*litellm_lines(6000, 1), b"{", *litellm_lines(6000, 2), b"nothing"]
    seen = []
    for processes, name in ((1, "log.jsonl"), (2, "log.jsonl"), (2, "log.jsonl.gz")):
        home = Home(tmp_path / f"home{len(seen)}")
        log = write_log(tmp_path / name, lines)
        summary = ingest.run([log], home=home, processes=processes)
        assert (summary.read, summary.rejected) == (len(lines), 2)
        assert summary.read == summary.accepted + summary.rejected
        rejected = sorted(
            (json.loads(line)["line"], json.loads(line)["raw"])
            for path in Path(summary.rejected_path).glob("*")
            for line in path.read_text().splitlines()
        )
        table = store.connect(home).sql("select * from records order by id").to_arrow_table()
        seen.append((rejected, table))
    assert seen[0][1].num_rows == len(lines) - 2
    for rejected, table in seen[1:]:
        assert rejected == seen[0][0]
        assert table.equals(seen[0][1])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    lines = [b"%b\n" % line for line in litellm_lines(3000, 1)]
    peaks = {}
    for copies in (4, 32):
        log = tmp_path / f"log{copies}.jsonl"
        with log.open("wb") as out:
            for copy in range(copies):
                out.writelines(line.replace(b"chatcmpl-", b"chatcmpl-%d-" % copy) for line in lines)
        peaks[copies] = _peak_mib(log, Home(tmp_path / f"home{copies}"))
    assert peaks[32] < peaks[4] * 1.35, peaks


def _peak_mib(log: Path, home: Home) -> float:
    """Largest resident memory of one process that reads the whole log."""
    code = (
        "import resource, sys; from pathlib import Path; from pipeline import ingest; "
        "from traffic.artifacts import Home;"
        "ingest.run([Path(sys.argv[1])], home=Home(Path(sys.argv[2])), processes=1);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, str(log), str(home.root)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, cwd=ROOT).stdout)


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline import ingest
from traffic.artifacts import Home

wanted, left = sys.argv[3], int(sys.argv[4])

def on_step(step):
    global left
    if step == wanted:
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

ingest.run([Path(sys.argv[2])], home=Home(Path(sys.argv[1])), processes=1, on_step=on_step)
"""


@pytest.mark.parametrize(
    "step,count",
    [("ready", 1), ("renamed rejected", 1), ("renamed records", 1), ("renamed records", 9), ("renamed feedback", 1),
     ("linked", 1), ("committed", 1)],
)  # fmt: skip
def test_a_killed_ingest_leaves_a_store_that_the_next_one_completes(
    home: Home, tmp_path: Path, step: str, count: int
) -> None:
    made = attempts(120, 4, retries=0.2)
    lines = [litellm_line(a) for a in made]
    before = write_log(tmp_path / "before.jsonl", lines[:40])
    log = write_log(tmp_path / "log.jsonl", [*lines, b"not json"])
    ingest.run([before], home=home, processes=1)
    command = [sys.executable, "-c", KILLED, str(home.root), str(log), step, str(count)]
    assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == -9

    visible = store.connect(home).execute("select count(*) from records").fetchall()[0][0]
    assert visible == (len(made) if step == "committed" else 40)

    again = ingest.run([log], home=home, processes=1)
    assert again.read == again.accepted + again.rejected + again.duplicates
    assert again.skipped_files == (1 if step == "committed" else 0)
    connection = store.connect(home)
    assert connection.execute("select count(*), count(distinct id) from records").fetchall() == [(len(made), len(made))]
    retries = connection.execute("select count(*) from records where purpose = 'retry'").fetchall()[0][0]
    assert retries == sum(a.retry_of is not None for a in made)
    listed = {home.root / part for c in store.commits(home) for parts in c.parts.values() for part in parts}
    assert set(home.root.glob("**/part-*")) == listed
    assert not manifest.staging_folder(home).exists()
