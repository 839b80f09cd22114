"""The run: formats, counts that add up, and a second time that changes nothing."""

import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import ingest, store
from pipeline.ingest.content import SMALL_BYTES
from tests.fakes.logs import (
    Attempt,
    attempts,
    broken_lines,
    litellm_line,
    litellm_lines,
    native_line,
    native_lines,
    pair_line,
    pair_lines,
    write_log,
)
from traffic.artifacts import Home
from traffic.errors import ConfigError, NotFound, UnknownFormat

pytestmark = pytest.mark.slow

WRITERS = {"litellm": litellm_line, "openai_pairs": pair_line, "native": native_line}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def counts(summary: ingest.IngestSummary) -> tuple[int, int, int, int]:
    assert summary.read == summary.accepted + summary.rejected + summary.duplicates
    return summary.read, summary.accepted, summary.rejected, summary.duplicates


@pytest.mark.parametrize("name", WRITERS)
def test_a_log_of_any_format_is_recognised_and_linked(home: Home, tmp_path: Path, name: str) -> None:
    made: list[Attempt] = attempts(150, 2, retries=0.15)
    log = write_log(tmp_path / "log", [WRITERS[name](a) for a in made])
    assert counts(ingest.run([log], home=home)) == (len(made), len(made), 0, 0)
    connection = store.connect(home)
    rows = connection.execute("select id, purpose = 'retry', attempt, call_site from records").fetchall()
    assert sorted(rows) == sorted((a.id, a.retry_of is not None, a.attempt, a.call_site) for a in made)
    linked = connection.execute("select count(distinct request_id) from records").fetchall()[0][0]
    assert linked == sum(a.retry_of is None for a in made)


def test_a_second_ingest_changes_nothing_also_after_rotation_and_compression(home: Home, tmp_path: Path) -> None:
    lines = litellm_lines(80, 1)
    ingest.run([write_log(tmp_path / "log.jsonl", lines)], home=home)
    before = {path: path.read_bytes() for path in home.root.rglob("*.parquet")}
    for name in ("log.jsonl", "log.1.jsonl", "log.1.jsonl.gz"):
        summary = ingest.run([write_log(tmp_path / name, lines)], home=home)
        assert (counts(summary), summary.files, summary.skipped_files) == ((0, 0, 0, 0), 0, 1)
    assert {path: path.read_bytes() for path in home.root.rglob("*.parquet")} == before


def test_the_same_content_twice_in_one_run_is_read_once(home: Home, tmp_path: Path) -> None:
    lines = litellm_lines(30, 1)
    paths = [write_log(tmp_path / name, lines) for name in ("a.jsonl", "b.jsonl.gz")]
    summary = ingest.run(paths, home=home)
    assert (counts(summary), summary.skipped_files) == ((len(lines), len(lines), 0, 0), 1)
    assert ingest.run(paths, home=home).skipped_files == 2


@pytest.mark.parametrize("is_document", [False, True])
def test_a_long_file_is_known_again_plain_and_compressed(home: Home, tmp_path: Path, is_document: bool) -> None:
    lines = [litellm_line(replace(a, extra={"padding": "x" * 20_000})) for a in attempts(60, 1)]
    if is_document:
        lines = [b"[" + b",\n".join(lines) + b"]"]
    log = write_log(tmp_path / "log.json", lines)
    assert log.stat().st_size > SMALL_BYTES
    first = ingest.run([log, write_log(tmp_path / "copy.json", lines)], home=home)
    assert (first.files, first.skipped_files, first.duplicates) == (1, 1, 0)
    for name in ("log.json", "moved.json", "moved.json.gz"):
        summary = ingest.run([write_log(tmp_path / name, lines)], home=home)
        assert (summary.read, summary.skipped_files) == (0, 1)


def test_a_log_that_grew_adds_only_what_is_new(home: Home, tmp_path: Path) -> None:
    lines = litellm_lines(60, 1, retries=0)
    ingest.run([write_log(tmp_path / "log.jsonl", lines[:40])], home=home)
    assert counts(ingest.run([write_log(tmp_path / "log.jsonl", lines)], home=home)) == (60, 20, 0, 40)


def test_a_later_export_brings_the_thumbs_that_were_given_since(home: Home, tmp_path: Path) -> None:
    row = json.loads(litellm_lines(1, 1, retries=0, thumbs=0, faults=0)[0])
    ingest.run([write_log(tmp_path / "first.jsonl", [json.dumps(row).encode()])], home=home)
    row["metadata"]["requester_metadata"]["feedback"] = {"thumb": "down"}
    summary = ingest.run([write_log(tmp_path / "second.jsonl", [json.dumps(row).encode()])], home=home)
    assert counts(summary) == (1, 0, 0, 1)
    assert store.connect(home).execute("select id, thumb from feedback").fetchall() == [(row["id"], "down")]


def test_signals_equal_what_the_log_says(home: Home, tmp_path: Path) -> None:
    records = attempts(300, 7, thumbs=0.2)
    ingest.run([write_log(tmp_path / "log.jsonl", [litellm_line(a) for a in records])], home=home)
    connection = store.connect(home)
    thumbs = connection.execute("select id, thumb, corrected from feedback").fetchall()
    assert sorted(thumbs, key=str) == sorted([(a.id, a.thumb, a.corrected) for a in records if a.thumb], key=str)
    consumed = connection.execute("select count(*), count(consumed_at) from consumed").fetchall()
    assert consumed == [(sum(a.tracked for a in records), sum(a.consumed_at is not None for a in records if a.tracked))]


def test_costs_equal_the_logged_ones_and_missing_tokens_are_estimated_and_marked(home: Home, tmp_path: Path) -> None:
    records = attempts(400, 7, usage_missing=0.5)
    summary = ingest.run([write_log(tmp_path / "log.jsonl", [litellm_line(a) for a in records])], home=home)
    free = [a for a in records if a.cache_hit or a.status in (429, 500, 503)]
    unknown = sum(a.cost_usd == 0 for a in records) - len(free)
    logged, estimated, null = (
        store.connect(home)
        .execute(
            "select sum(cost_usd) filter (price_source = 'logged'), count(*) filter (price_source like '%estimated%'), "
            "count(*) filter (cost_usd is null) from records"
        )
        .fetchall()[0]
    )
    assert logged == pytest.approx(sum(a.cost_usd for a in records))
    assert (estimated + null, sum(summary.unpriced.values())) == (unknown, null)
    assert estimated


def test_rejected_lines_are_counted_kept_and_said(home: Home, tmp_path: Path) -> None:
    lines = litellm_lines(10, 1, retries=0)
    broken = broken_lines(lines[0])
    summary = ingest.run([write_log(tmp_path / "log.jsonl", [*lines, *broken.values()])], home=home)
    assert counts(summary) == (15, 10, 5, 0)
    assert summary.reasons == dict.fromkeys(broken, 1)
    kept = [
        json.loads(line) for path in Path(summary.rejected_path).glob("*") for line in path.read_text().splitlines()
    ]
    assert {(Path(line["source"]).name, line["line"]) for line in kept} == {("log.jsonl", n) for n in range(11, 16)}
    assert summary.rejected_path in "\n".join(summary.lines())


def test_files_of_different_formats_are_read_in_one_run(home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    write_log(folder / "a.jsonl", litellm_lines(10, 1, retries=0))
    write_log(folder / "b.jsonl.gz", pair_lines(10, 2, retries=0))
    write_log(folder / "c.jsonl", native_lines(10, 3, retries=0))
    write_log(folder / "d.json", [b'{"some": "settings"}'])
    summary = ingest.run([folder], home=home)
    assert counts(summary) == (30, 30, 0, 0)
    assert [Path(path).name for path in summary.unknown_files] == ["d.json"]
    formats = store.connect(home).execute("select distinct source_format from records order by 1").fetchall()
    assert formats == [("litellm",), ("native",), ("openai_pairs",)]


def test_a_json_list_of_rows_is_read(home: Home, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in litellm_lines(10, 1, retries=0)]
    (tmp_path / "export.json").write_text(json.dumps(rows, indent=1))
    assert counts(ingest.run([tmp_path / "export.json"], home=home)) == (10, 10, 0, 0)


def test_an_own_mapping_says_where_the_tags_are(home: Home, tmp_path: Path) -> None:
    mapping = tmp_path / "mine.yaml"
    mapping.write_text("call_site: [team]\ncohort: {region: ['x-region']}\n")
    row = json.loads(litellm_lines(1, 1, retries=0)[0]) | {"team": "search", "x-region": "eu"}
    log = write_log(tmp_path / "log.jsonl", [json.dumps(row).encode()])
    summary = ingest.run([log], home=home, mapping=mapping)
    assert summary.call_sites == {"search": 1}
    assert store.connect(home).execute("select cohort['region'] from records").fetchall() == [("eu",)]
    again = ingest.run([log], home=home)
    assert again.other_mapping == 1
    assert "another mapping" in "\n".join(again.lines())


def test_an_unknown_file_is_named_with_what_was_tried(home: Home, tmp_path: Path) -> None:
    log = write_log(tmp_path / "app.log", [b'{"level": "info", "message": "started"}'])
    with pytest.raises(UnknownFormat, match=r"app\.log.*litellm, .*native.*level, message.*--format"):
        ingest.run([log], home=home)
    with pytest.raises(UnknownFormat, match="--format"):
        ingest.run([write_log(tmp_path / "text.log", [b"INFO started"])], home=home)


@pytest.mark.parametrize(
    "content, named",
    [
        ('[{"title": "t", "create_time": 1.0, "mapping": {"r": {"message": null, "parent": null}}}]', "ChatGPT"),
        ('{"uuid": "u", "name": "n", "chat_messages": [{"uuid": "m", "text": "q", "sender": "human"}]}', "Claude"),
        ('{"title": "t", "conversationId": "c", "messages": [{"text": "q", "sender": "User"}]}', "LibreChat"),
        ("-- dump\nSET x = 0;\nINSERT INTO logs (id, t) VALUES (1, '{\"messages\": []}');\n", "INSERT"),
        ("CREATE TABLE `l` (\n  `id` int\n);\nINSERT INTO `l` VALUES (1,'a,b'),(2,'c');\n", "INSERT"),
    ],
)
def test_a_chat_export_or_a_dump_is_refused_by_name(content: str, named: str, home: Home, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match=named):
        ingest.run([write_log(tmp_path / "log", [content.encode()])], home=home)


def test_archives_inside_gzip_and_spreadsheets_are_refused_by_name(home: Home, tmp_path: Path) -> None:
    write_log(tmp_path / "log.jsonl", pair_lines(3))
    with tarfile.open(tmp_path / "logs.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "log.jsonl")
    with pytest.raises(UnknownFormat, match="tar"):
        ingest.run([tmp_path / "logs.tar.gz"], home=home)
    (tmp_path / "book").write_bytes(b"PK\x03\x04\x14\x00\x06\x00[Content_Types].xml" + bytes(80))
    with pytest.raises(UnknownFormat, match="CSV"):
        ingest.run([tmp_path / "book"], home=home)


def test_an_unknown_table_may_begin_with_an_empty_row(home: Home, tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat):
        ingest.run([write_log(tmp_path / "t.csv", [b"level,note", b",", b"1,x"])], home=home)


def test_a_format_that_is_named_is_not_questioned(home: Home, tmp_path: Path) -> None:
    log = write_log(tmp_path / "app.log", [b'{"level": "info"}'] * 3)
    summary = ingest.run([log], home=home, format="litellm")
    assert (counts(summary), summary.reasons) == ((3, 0, 3, 0), {"missing_field": 3})


def test_a_format_that_does_not_exist_is_refused_with_those_that_do(home: Home, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"auto, .*litellm, .*native"):
        ingest.run([tmp_path], home=home, format="csv")


def test_a_missing_file_is_named(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing\.jsonl"):
        ingest.run([tmp_path / "nothing.jsonl"], home=home)


def test_an_empty_file_is_read_and_gives_nothing(home: Home, tmp_path: Path) -> None:
    assert counts(ingest.run([write_log(tmp_path / "log.jsonl", [])], home=home)) == (0, 0, 0, 0)


def test_a_damaged_file_gives_its_whole_lines_and_is_named(home: Home, tmp_path: Path) -> None:
    lines = litellm_lines(200, 1, retries=0)
    log = write_log(tmp_path / "log.jsonl.gz", lines)
    whole = log.read_bytes()
    log.write_bytes(whole[: len(whole) // 2])
    write_log(tmp_path / "other.jsonl", litellm_lines(5, 2, retries=0))
    summary = ingest.run([log, tmp_path / "other.jsonl"], home=home)
    assert 5 < summary.accepted < 205
    assert summary.rejected == 0
    assert [Path(path).name for path in summary.damaged_files] == ["log.jsonl.gz"]
    log.write_bytes(whole)
    again = ingest.run([log], home=home)
    assert (again.read, again.already_known) == (200, summary.accepted - 5)


def test_a_file_of_which_nothing_can_be_read_is_an_error(home: Home, tmp_path: Path) -> None:
    (tmp_path / "log.gz").write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(UnknownFormat, match="damaged"):
        ingest.run([tmp_path / "log.gz"], home=home)


def test_the_summary_names_the_next_command(home: Home, tmp_path: Path) -> None:
    summary = ingest.run([write_log(tmp_path / "log.jsonl", litellm_lines(40, 1))], home=home)
    assert summary.lines()[-1].startswith("next: fasttier profile")
    assert summary.exit_status == 0


def test_a_log_of_which_every_row_is_rejected_is_an_error_with_an_example(home: Home, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("q,a,at\nhello,hi,02/11/2026\nhello,hi,30/11/2026\n")
    (tmp_path / "mapping.yaml").write_text("record: {prompt: [q], answer: [a], time: [at]}")
    summary = ingest.run([tmp_path / "log.csv"], home=home, mapping=tmp_path / "mapping.yaml")
    assert (summary.accepted, summary.rejected, summary.exit_status) == (0, 2, 2)
    assert "02/11/2026" in summary.examples["wrong_types"]
    (tmp_path / "mapping.yaml").write_text("record: {prompt: [q], answer: [a], time: [at], time_format: '%d/%m/%Y'}")
    retried = ingest.retry_rejected(home=home, mapping=tmp_path / "mapping.yaml")
    assert (retried.accepted, retried.exit_status) == (2, 0)


def test_a_mapping_whose_time_no_row_has_is_a_warning(home: Home, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("q,a,at\nhello,hi,2026-11-02\nbye,hi,2026-11-30\n")
    (tmp_path / "mapping.yaml").write_text("record: {prompt: [q], answer: [a], time: [att]}")
    summary = ingest.run([tmp_path / "log.csv"], home=home, mapping=tmp_path / "mapping.yaml")
    assert any(line.startswith("warning: no row has a time") for line in summary.lines())
