"""The read signal from the application's table, and lines that were rejected before."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import ingest, store
from pipeline.ingest import reads
from tests.fakes.logs import attempts, broken_lines, litellm_line, native_line, write_log
from traffic.artifacts import Home
from traffic.errors import InputError

pytestmark = pytest.mark.slow

MADE = [a for a in attempts(30, 9, retries=0.0, thumbs=0.0) if not a.tracked][:12]
SEEN = "2026-03-05T10:00:00Z"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    ingest.run([write_log(tmp_path / "log", [litellm_line(a) for a in MADE])], home=home)
    return home


def consumed(home: Home) -> dict[str, bool]:
    return dict(store.connect(home).execute("select id, consumed_at is not null from consumed").fetchall())


def test_csv_parquet_and_json_lines_give_the_same_signal(home: Home, tmp_path: Path) -> None:
    rows = [{"id": MADE[0].id, "consumed_at": SEEN}, {"id": MADE[1].id, "consumed_at": None}]
    (tmp_path / "reads.csv").write_text(
        "id,consumed_at\n" + "".join(f"{r['id']},{r['consumed_at'] or ''}\n" for r in rows)
    )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "reads.parquet")
    write_log(tmp_path / "reads.jsonl", [json.dumps(row).encode() for row in rows])
    for name in ("reads.csv", "reads.parquet", "reads.jsonl"):
        summary = reads.join(str(tmp_path / name), home)
        assert (summary.rows, summary.matched, summary.seen, summary.unmatched) == (2, 2, 1, 0)
        assert consumed(home) == {MADE[0].id: True, MADE[1].id: False}


def test_ids_and_times_that_cannot_be_used_are_counted(home: Home, tmp_path: Path) -> None:
    (tmp_path / "reads.csv").write_text(f"id,consumed_at\n{MADE[0].id},{SEEN}\nnobody,{SEEN}\n{MADE[1].id},soon\n")
    summary = reads.join(str(tmp_path / "reads.csv"), home)
    assert (summary.matched, summary.unmatched, summary.nulled) == (1, 1, {"consumed_at": 1})
    assert consumed(home) == {MADE[0].id: True}


@pytest.mark.parametrize("text", ["id;consumed_at\nx;2026-01-01\n", "user,clicks\na,1\n", "id,consumed_at\n"])
def test_a_table_that_matches_nothing_is_refused(home: Home, tmp_path: Path, text: str) -> None:
    (tmp_path / "reads.csv").write_text(text)
    with pytest.raises(InputError):
        reads.join(str(tmp_path / "reads.csv"), home)


def test_the_request_id_of_a_linked_log_stands_for_its_first_attempt(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    ingest.run([write_log(tmp_path / "log", [native_line(MADE[0])])], home=home)
    (tmp_path / "reads.csv").write_text(f"request_id,consumed_at\nreq-{MADE[0].id},{SEEN}\n")
    reads.join(str(tmp_path / "reads.csv"), home)
    assert consumed(home) == {MADE[0].id: True}


def test_rejected_lines_are_read_again_and_only_those(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    good = [litellm_line(a) for a in MADE[:5]]
    odd = json.loads(good[0]) | {"id": "odd", "metadata": {"app": {"site": "x.y"}}, "call_type": "aembedding"}
    lines = [*good, json.dumps(odd).encode(), *broken_lines(good[0]).values()]
    first = ingest.run([write_log(tmp_path / "log.jsonl", lines)], home=home)
    assert (first.accepted, first.rejected) == (5, 6)
    again = ingest.retry_rejected(home=home)
    assert (again.read, again.accepted, again.rejected, again.reasons) == (6, 0, 6, first.reasons)
    # A fix: what was rejected can be read now.
    part = next((home.records / "_rejected").glob(f"*{store.commits(home)[-1].id}*"))
    part.write_bytes(part.read_bytes().replace(b"aembedding", b"acompletion"))
    fixed = ingest.retry_rejected(home=home)
    assert (fixed.read, fixed.accepted, fixed.rejected) == (6, 1, 5)
    assert ingest.retry_rejected(home=home).accepted == 0
    rejected = [
        json.loads(line) for path in (home.records / "_rejected").glob("*") for line in path.read_text().splitlines()
    ]
    assert {Path(line["source"]).name for line in rejected} == {"log.jsonl"}
    assert {line["line"] for line in rejected} == set(range(6, 12))


def test_the_period_can_be_limited(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", [litellm_line(a) for a in MADE])
    middle = sorted(MADE, key=lambda a: a.ts)[5].ts.isoformat()
    late = ingest.run([log], home=Home(tmp_path / "late"), since=middle)
    early = ingest.run([log], home=Home(tmp_path / "early"), until=middle)
    assert (late.accepted, early.accepted) == (7, 5)
    assert early.passed_over == {"outside --since and --until": 7}
