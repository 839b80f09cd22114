"""The records store: views, links between attempts, and commits that happen whole or not at all."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline import ingest, store
from pipeline.store import attempts, manifest
from pipeline.store.database import open_database
from tests.fakes.arrow_rows import from_arrow_row
from traffic.artifacts import Home
from traffic.errors import InputError, NotFound
from traffic.record import ARROW_SCHEMA, Output, Record, Usage, encode_record

pytestmark = pytest.mark.slow

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def record(identity: str, *, seconds: float = 0, text: str = "hi", **fields: Any) -> Record:
    defaults: dict[str, Any] = {"request_id": identity, "session_id": "s", "call_site": "c", "latency_ms": 500.0}
    messages = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": text}]))
    ts = NOON + timedelta(seconds=seconds)
    return Record(id=identity, ts=ts, messages=messages, source_format="test", **(defaults | fields))


def stored(home: Home, records: Sequence[Record]) -> dict[str, tuple[Any, ...]]:
    """id -> (request_id, purpose, attempt, parent_id)."""
    store.append(home, records, source="test")
    rows = store.connect(home).execute("select id, request_id, purpose, attempt, parent_id from records").fetchall()
    return {row[0]: row[1:] for row in rows}


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_an_empty_store_says_how_to_fill_it(home: Home) -> None:
    with pytest.raises(NotFound, match="fasttier ingest LOG"):
        store.connect(home)


def test_records_come_back_as_they_went_in(home: Home) -> None:
    sent = record("a", cohort={"plan": "pro"}, tools=[{"type": "function"}], text="größer 🙂", cost_usd=0.25, tier=2)
    store.append(home, [sent], source="test")
    row = store.connect(home).sql("select * from records").to_arrow_table().to_pylist()[0]
    assert from_arrow_row(row) == sent


def test_the_first_and_the_last_day_there_is_are_days(home: Home) -> None:
    days = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)]
    assert stored(home, [msgspec.structs.replace(record(f"r{n}"), ts=day) for n, day in enumerate(days)]).keys() == {
        "r0",
        "r1",
    }


def _as_written_before_one_hour_caches(part: Path) -> None:
    table = pq.read_table(part)
    usage = table["usage"].combine_chunks()
    older = [
        field
        for field in usage.type
        if field.name in ("input_uncached", "cache_read", "cache_write", "output", "reasoning")
    ]
    column = pa.StructArray.from_arrays(
        [usage.field(field.name) for field in older], fields=older, mask=usage.is_null()
    )
    pq.write_table(table.set_column(table.schema.get_field_index("usage"), "usage", column), part)


def test_usage_of_records_stored_before_some_of_its_fields_is_read(home: Home) -> None:
    usage = Usage(input_uncached=5, cache_write=4, output=1)
    store.append(home, [record("a", usage=usage), record("b")], source="test")
    (part,) = home.records.glob("date=*/part-*.parquet")
    _as_written_before_one_hour_caches(part)
    alone = store.connect(home).sql("select usage.cache_write_1h, usage.output from records order by id").fetchall()
    assert alone == [(None, 1), (None, None)]
    later = msgspec.structs.replace(usage, cache_write_1h=3, web_searches=2, estimated=True)
    store.append(home, [record("c", usage=later)], source="test")
    rows = store.connect(home).sql("select * from records order by id").to_arrow_table().to_pylist()
    assert [from_arrow_row(row).usage for row in rows] == [usage, None, later]


def test_the_view_has_the_schemas_columns_and_the_day(home: Home) -> None:
    stored(home, [record("a"), record("b", seconds=1, status=500), record("c", seconds=2)])
    relation = store.connect(home).sql("select * from records")
    assert relation.columns == [*ARROW_SCHEMA.names, "date"]
    assert dict(zip(relation.columns, relation.types, strict=True))["date"] == "DATE"


def test_views_of_signals_are_there_and_empty_without_signals(home: Home) -> None:
    store.append(home, [record("a")], source="test")
    connection = store.connect(home)
    for view, columns in {
        "feedback": ["id", "thumb", "corrected", "ts"],
        "consumed": ["id", "consumed_at"],
        "labels": ["id", "label", "source", "ts"],
    }.items():
        relation = connection.sql(f"select * from {view}")  # noqa: S608 - names of this test
        assert (relation.columns, len(relation)) == (columns, 0)


def test_appending_the_same_again_changes_nothing(home: Home) -> None:
    first = store.append(home, [record("a")], source="test")
    again = store.append(home, [record("a")], source="test")
    assert (first.accepted, again.accepted, again.duplicates) == (1, 0, 1)
    assert len(store.commits(home)) == 1


def test_the_same_record_is_in_the_store_once(home: Home) -> None:
    store.append(home, [record("a"), record("b")], source="test")
    second = store.append(home, [record("b"), record("c"), record("c"), record("d")], source="test")
    assert (second.accepted, second.duplicates) == (2, 2)


@pytest.mark.parametrize("other", [{"text": "ho"}, {"seconds": 90.0}, {"output": Output(text="another")}])
def test_a_reused_id_with_another_content_is_another_record(home: Home, other: dict[str, Any]) -> None:
    thumbs = [{"id": "a", "thumb": "up", "corrected": None, "ts": NOON}]
    store.append(home, [record("a")], source="test", signals={"feedback": thumbs})
    for _ in range(2):
        # The second time it is known, under the key that it got the first time.
        store.append(home, [record("a", **other), record("b")], source="test")
        store.append(home, [record("c"), record("a", **other)], source="test")
    rows = store.connect(home).execute("select id, request_id from records order by id").fetchall()
    assert [row[0].split("~")[0] for row in rows] == ["a", "a", "b", "c"]
    assert all(row[0] == row[1] for row in rows)
    assert store.connect(home).execute("select id from feedback").fetchall() == [("a",)]


def test_reused_ids_within_one_commit_stay_apart(home: Home) -> None:
    made = [record("x", text=text) for text in ("one", "two", "six", "one")]
    first = store.append(home, made, source="test")
    assert (first.accepted, first.duplicates) == (3, 1)
    again = store.append(home, [*made, record("y")], source="test")
    assert (again.accepted, again.duplicates) == (1, 4)


def test_the_same_record_read_with_another_call_site_is_known(home: Home) -> None:
    store.append(home, [record("a")], source="test")
    assert store.append(home, [record("a", call_site="renamed")], source="test").accepted == 0


@pytest.mark.parametrize("name", ["tier=1", "date=2020-01-01", "status=500", "a[1]*?"])
def test_the_name_of_the_homes_folder_changes_no_record(tmp_path: Path, name: str) -> None:
    home = Home(tmp_path / name / "home")
    made = [record("a", status=500), record("b", seconds=2)]
    assert stored(home, made) == {"a": ("a", "serve", 1, None), "b": ("a", "retry", 2, "a")}
    rows = store.connect(home).execute("select tier, status, date::varchar from records order by id").fetchall()
    assert rows == [(None, 500, "2026-03-02"), (None, 200, "2026-03-02")]


def test_attempts_that_the_log_links_are_one_request_and_only_whole_requests_are_retried(home: Home) -> None:
    first: dict[str, Any] = {"request_id": "q1"}
    again: dict[str, Any] = {"request_id": "q2"}
    rows = stored(
        home,
        [
            record("a1", status=500, **first),
            record("a2", seconds=1, status=502, purpose="retry", attempt=2, parent_id="a1", **first),
            record("b1", seconds=4, **again),
            record("b2", seconds=5, purpose="escalation", attempt=2, parent_id="b1", **again),
        ],
    )
    assert rows == {
        "a1": ("q1", "serve", 1, None),
        "a2": ("q1", "retry", 2, "a1"),
        "b1": ("q1", "retry", 3, "a2"),
        "b2": ("q1", "escalation", 4, "b1"),
    }


@pytest.mark.parametrize("step", ["ready", "linked", "renamed records", "renamed attempts"])
def test_a_kill_at_any_step_leaves_the_store_as_it_was(home: Home, step: str) -> None:
    stored(home, [record("a", status=500)])

    class Killed(BaseException):
        pass

    def kill(done: str) -> None:
        if done == step:
            raise Killed

    log = home.root.parent / "log.jsonl"
    log.write_bytes(b"".join(encode_record(r) + b"\n" for r in [record("b", seconds=3), record("c", seconds=400)]))
    with pytest.raises(Killed):
        ingest.run([log], home=home, on_step=kill)
    rows = store.connect(home).execute("select id, request_id, purpose from records").fetchall()
    assert rows == [("a", "a", "serve")]
    ingest.run([log], home=home)
    rows = store.connect(home).execute("select id, request_id, purpose from records order by id").fetchall()
    assert rows == [("a", "a", "serve"), ("b", "a", "retry"), ("c", "c", "serve")]


@pytest.mark.parametrize(
    "scores,verdicts",
    [
        (["0", "1"], {"0": "down", "1": "up"}),
        (["-1", "0", "1"], {"-1": "down", "0": None, "1": "up"}),
        (["1", "2", "3", "4", "5"], {"1": "down", "2": "down", "3": None, "4": "up", "5": "up"}),
        (["up", "down"], {"up": "up", "down": "down"}),
    ],
)
def test_numbers_mean_what_their_range_says(home: Home, scores: list[str], verdicts: dict[str, str | None]) -> None:
    given = [{"id": score, "thumb": score, "corrected": None, "ts": NOON} for score in scores]
    store.append(home, [record("a")], source="test", signals={"feedback": given})
    assert dict(store.connect(home).execute("select id, thumb from feedback").fetchall()) == verdicts


def test_signals_join_by_id_and_are_kept_once(home: Home) -> None:
    thumb = {"id": "a", "thumb": "up", "corrected": None, "ts": NOON}
    unread, read = {"id": "a", "consumed_at": None}, {"id": "a", "consumed_at": NOON}
    store.append(home, [record("a")], source="test", signals={"feedback": [thumb], "consumed": [unread]})
    store.append(home, [record("b")], source="test", signals={"feedback": [thumb], "consumed": [read]})
    connection = store.connect(home)
    assert connection.execute("select id, thumb, corrected from feedback").fetchall() == [("a", "up", None)]
    assert connection.execute("select id, consumed_at is not null from consumed").fetchall() == [("a", True)]
    assert len(list((home.signals / "feedback").glob("*.parquet"))) == 1


def test_a_request_again_after_a_failure_is_a_retry(home: Home) -> None:
    rows = stored(home, [record("a", status=429), record("b", seconds=2, status=500), record("c", seconds=5)])
    assert rows == {
        "a": ("a", "serve", 1, None),
        "b": ("a", "retry", 2, "a"),
        "c": ("a", "retry", 3, "b"),
    }


def test_a_request_again_after_a_success_is_a_new_request(home: Home) -> None:
    rows = stored(home, [record("a"), record("b", seconds=2)])
    assert rows["b"] == ("b", "serve", 1, None)


def test_a_failure_starts_a_new_request_after_a_success(home: Home) -> None:
    rows = stored(home, [record("a"), record("b", seconds=2, status=503), record("c", seconds=4)])
    assert (rows["b"][:3], rows["c"]) == (("b", "serve", 1), ("b", "retry", 2, "b"))


@pytest.mark.parametrize(
    "other",
    [
        {"session_id": "t"},
        {"call_site": "d"},
        {"text": "ho"},
        {"tools": [{"type": "function"}]},
        {"seconds": 301 + 0.5},
        {"seconds": 0.2},
    ],
    ids=["session", "call site", "messages", "tools", "too late", "while the first still ran"],
)
def test_what_differs_from_the_failed_attempt_is_no_retry_of_it(home: Home, other: dict[str, Any]) -> None:
    rows = stored(home, [record("a", status=500), record("b", **({"seconds": 3.0} | other))])
    assert rows["b"][1:] == ("serve", 1, None)


def test_without_any_caller_nothing_is_linked(home: Home) -> None:
    nobody: dict[str, Any] = {"session_id": None}
    assert stored(home, [record("a", status=500, **nobody), record("b", seconds=3, **nobody)])["b"][1] == "serve"


def test_attempts_of_a_user_in_traces_of_their_own_are_linked(home: Home) -> None:
    user: dict[str, Any] = {"session_id": None, "user_id": "u"}
    rows = stored(home, [record("a", status=500, trace_id="1", **user), record("b", seconds=3, trace_id="2", **user)])
    assert rows["b"][:2] == ("a", "retry")


def test_the_user_and_then_the_trace_stand_in_for_a_missing_session(home: Home) -> None:
    for key in ("trace_id", "user_id"):
        caller: dict[str, Any] = {"session_id": None, key: key, "text": key}
        rows = stored(home, [record(f"{key}1", status=500, **caller), record(f"{key}2", seconds=3, **caller)])
        assert rows[f"{key}2"][0] == f"{key}1"


def test_retries_are_found_across_commits_and_midnight(home: Home) -> None:
    twelve_hours = 12 * 3600.0
    stored(home, [record("b", seconds=twelve_hours + 1)])
    rows = stored(home, [record("a", seconds=twelve_hours - 1, status=500)])
    assert rows == {"a": ("a", "serve", 1, None), "b": ("a", "retry", 2, "a")}


def test_the_links_of_days_are_the_same_however_many_are_looked_at_at_once(home: Home, tmp_path: Path) -> None:
    day = 24 * 3600.0
    failed = [record(f"a{n}", seconds=day * (n + 0.5) - 1, status=500) for n in range(4)]
    store.append(home, failed + [record(f"b{n}", seconds=day * (n + 0.5) + 1) for n in range(4)], source="test")
    parts = sorted(home.records.glob("date=*/*.parquet"))
    links = []
    for rows in (1, 4, 100):
        attempts.link(open_database(), parts, parts, tmp_path / f"{rows}", "c", rows_at_once=rows)
        links.append([pq.read_table(path).to_pylist() for path in sorted((tmp_path / f"{rows}").iterdir())])
    assert links[0] == links[1] == links[2]
    assert [[row["id"] for row in of_day] for of_day in links[0]] == [[], ["b0"], ["b1"], ["b2"], ["b3"]]


def test_a_part_that_is_gone_is_named(home: Home) -> None:
    store.append(home, [record("a")], source="test")
    part = next(home.records.glob("date=*/*.parquet"))
    part.unlink()
    with pytest.raises(NotFound, match=part.name):
        store.connect(home)


def test_a_damaged_manifest_is_named(home: Home) -> None:
    store.append(home, [record("a")], source="test")
    path = next(manifest.folder(home).glob("*.json"))
    path.write_text("{")
    with pytest.raises(InputError, match=path.name):
        store.connect(home)


def test_two_writers_do_not_mix(home: Home) -> None:
    with store.writing(home), pytest.raises(InputError, match="another ingest"):
        store.append(home, [record("a")], source="test")


def test_a_missing_file_of_signals_is_one_clear_error(tmp_path: Path) -> None:
    home = Home(tmp_path)
    feedback = [{"id": "a", "thumb": "up", "corrected": None, "ts": NOON}]
    store.append(home, [record("a")], source="test", signals={"feedback": feedback})
    (part,) = home.signals.rglob("*.parquet")
    part.unlink()
    with pytest.raises(NotFound, match=f"{part.name} of the store is gone"):
        store.connect(home)


def bare(identity: str, **fields: Any) -> Record:
    """A record whose prompt was not logged."""
    return msgspec.structs.replace(record(identity, **fields), messages=msgspec.Raw(b"[]"))


def test_a_prompt_that_becomes_known_later_completes_its_record(home: Home) -> None:
    output = {"output": Output(text="billing"), "usage": Usage(input_uncached=9, output=1), "cost_usd": 0.1}
    store.append(home, [bare("a", **output), bare("b", **output), record("c", **output)], source="first")
    done = store.append(home, [record("a", **output), record("b", seconds=7, **output)], source="second")
    # Another second: `b` is another request under the same id.
    assert (done.read, done.accepted, done.duplicates) == (2, 1, 1)
    rows = store.connect(home).execute("select left(id, 2), messages <> '[]' from records order by 1").fetchall()
    assert rows == [("a", True), ("b", False), ("b~", True), ("c", True)]
    again = store.append(home, [bare("a", **output), record("a", **output)], source="third")
    assert again.duplicates == 2
    links = store.connect(home).execute("select count(*), count(distinct id), sum(cost_usd) from records").fetchall()
    assert links == [(4, 4, pytest.approx(0.4))]


def test_a_row_without_contents_is_the_whole_one_of_the_same_id_time_and_tokens(home: Home) -> None:
    """LiteLLM's table keeps neither prompt nor answer, its bucket both."""
    counts = {"usage": Usage(input_uncached=9, output=1), "cost_usd": 0.1}
    whole = [record(name, output=Output(text="billing"), **counts) for name in "abcd"]
    store.append(home, [bare("a", **counts), bare("b", usage=Usage(input_uncached=8, output=1))], source="table")
    store.append(home, [bare("c", **counts), whole[2]], source="both")
    assert store.append(home, whole, source="bucket").duplicates == 2
    table = [bare(name, **counts) for name in "abcd"]
    assert store.append(home, table, source="table again").duplicates == 4
    rows = store.connect(home).execute("select left(id, 2), output.text from records order by 1").fetchall()
    # Other token counts: another request under the same id.
    assert rows == [("a", "billing"), ("b", None), ("b~", "billing"), ("c", "billing"), ("d", "billing")]


def test_of_a_request_in_one_ingest_with_and_without_its_prompt_the_whole_one_stays(home: Home) -> None:
    output = {"output": Output(text="billing")}
    done = store.append(home, [bare("a", **output), record("a", **output)], source="first")
    assert (done.accepted, done.duplicates) == (1, 1)
    assert store.connect(home).execute("select messages <> '[]' from records").fetchall() == [(True,)]


def test_a_span_and_the_log_record_of_its_request_are_one(home: Home) -> None:
    output = {"output": Output(text="billing"), "trace_id": "t1"}
    span, log = (msgspec.structs.replace(record("a", seconds=s, **output), source_format="otel") for s in (0, 3))
    store.append(home, [span], source="spans")
    assert store.append(home, [log], source="logs").duplicates == 1
    other = msgspec.structs.replace(log, trace_id="t2")
    assert store.append(home, [other], source="more").accepted == 1


def test_a_part_that_was_written_again_is_gone_with_the_next_ingest(home: Home) -> None:
    output = {"output": Output(text="billing")}
    store.append(home, [bare("a", **output), record("b")], source="first")
    old = list(home.records.glob("date=*/part-*"))
    store.append(home, [record("a", **output)], source="second")
    store.append(home, [record("d", seconds=60)], source="third")
    assert not any(part.exists() for part in old)
    assert sorted(store.connect(home).execute("select id from records").fetchall()) == [("a",), ("b",), ("d",)]
