from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import duckdb
import msgspec
import pytest

from pipeline.extract.rows import read, scan
from tests.fakes.call_site_rows import START, record
from traffic.errors import NotFound
from traffic.record import ArrowRow, Output, Record, to_table


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as opened:
        opened.execute("set TimeZone = 'UTC'")
        opened.execute("create table feedback (id varchar, thumb varchar, corrected varchar, ts timestamptz)")
        opened.execute("create table labels (id varchar, label varchar, source varchar, ts timestamptz)")
        yield opened


def fill(
    connection: duckdb.DuckDBPyConnection, records: Iterable[Record], feedback: Iterable[tuple[Any, ...]] = ()
) -> None:
    rows = (ArrowRow(r, request_hash=str(bytes(r.messages)), system_hash=None, input_chars=0) for r in records)
    connection.register("records", to_table(rows))
    for item in feedback:
        connection.execute("insert into feedback values (?, ?, ?, ?)", item)


def removed(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    return {name: count for name, count in scan(connection, "shop.topic").removed.items() if count}


def test_rows_are_in_time_order_with_all_columns(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, [record(2), record(1), record(3, call_site="other")])
    rows = read(connection, "shop.topic")
    assert [r.id for r in rows] == ["r00001", "r00002"]
    first = rows[0]
    assert (first.answer, first.label_source, first.ts) == ("delivery", "teacher", START + timedelta(minutes=1))
    assert first.messages[1] == {"role": "user", "content": "Question: where is parcel 1 that I ordered"}
    assert (first.input_tokens, first.output_tokens, first.cost_usd) == (90, 2, 0.0001)
    assert first.cohort == {"plan": "free"}
    assert first.params.max_tokens == 16


@pytest.mark.parametrize(
    "name, changes",
    [
        ("errors", {"status": 500, "output": Output()}),
        ("errors", {"status": 200, "error": "connection cut", "output": Output()}),
        ("errors", {"status": 0, "output": Output()}),
        ("cache_hits", {"cache_hit": True}),
        ("own_model", {"adapter": "shop.topic@0123abcd"}),
        ("tool_calls", {"output": Output(tool_calls=[{"id": "c"}], finish_reason="tool_calls")}),
        ("no_answer", {"output": Output(text="  ", finish_reason="stop")}),
        ("truncated", {"output": Output(text="gea", finish_reason="length")}),
        ("other_purpose", {"purpose": "shadow", "request_id": "r00001"}),
        ("retries", {"purpose": "retry", "request_id": "r00001"}),
    ],
)
def test_unusable_records_are_counted_by_reason(
    connection: duckdb.DuckDBPyConnection, name: str, changes: dict[str, Any]
) -> None:
    fill(connection, [record(1), record(2, **changes)])
    assert removed(connection) == {name: 1}
    assert [r.id for r in read(connection, "shop.topic")] == ["r00001"]


def test_an_answered_retry_replaces_a_failed_first_attempt(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    failed = record(1, status=429, output=Output())
    fill(connection, [failed, record(2, request_id="r00001", purpose="retry", attempt=2)])
    assert removed(connection) == {"retries": 1}
    assert [r.id for r in read(connection, "shop.topic")] == ["r00002"]


def test_an_escalated_answer_replaces_the_rejected_one(connection: duckdb.DuckDBPyConnection) -> None:
    own = record(1, adapter="shop.topic@0123abcd", tier=1)
    fill(connection, [own, record(2, request_id="r00001", purpose="escalation", parent_id="r00001", tier=2)])
    assert [(r.id, r.label_source) for r in read(connection, "shop.topic")] == [("r00002", "escalated")]


def test_a_thumbs_down_removes_the_row_and_a_correction_replaces_the_label(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    truncated = record(3, output=Output(text="gea", finish_reason="length"))
    fill(
        connection,
        [record(1), record(2), truncated],
        [("r00001", "down", None, START), ("r00002", "down", "refund", START), ("r00003", None, "gears", START)],
    )
    assert removed(connection) == {"thumbs_down": 1}
    assert [(r.answer, r.label_source, r.logged_text) for r in read(connection, "shop.topic")] == [
        ("refund", "corrected", "gears"),
        ("gears", "corrected", "gea"),
    ]


def test_the_latest_correction_counts_despite_later_feedback(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    later, latest = START + timedelta(hours=1), START + timedelta(hours=2)
    messages = [
        ("r00001", "down", "brakes", later),
        ("r00001", "down", "refund", START),
        ("r00001", "up", None, latest),
    ]
    fill(connection, [record(1)], messages)
    assert [r.answer for r in read(connection, "shop.topic")] == ["brakes"]


def test_text_parts_are_joined_and_repeated_texts_are_shared(connection: duckdb.DuckDBPyConnection) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    raw = msgspec.Raw(msgspec.json.encode([{"role": "user", "content": parts}]))
    fill(connection, [record(1, messages=raw), record(2), record(3)])
    rows = read(connection, "shop.topic")
    assert rows[0].messages == [{"role": "user", "content": "one\ntwo"}]
    assert rows[1].messages[0]["content"] is rows[2].messages[0]["content"]


def test_an_unknown_call_site_is_an_error_that_names_the_nearest(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, [record(1), record(2, call_site="mail.spam")])
    with pytest.raises(NotFound, match=r"did you mean `shop\.topic`"):
        scan(connection, "shop.topics")
    with pytest.raises(NotFound, match=r"there are: mail\.spam, shop\.topic"):
        scan(connection, "xyz")


def test_a_store_without_call_sites_says_where_tags_are_configured(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, [record(1, call_site=None)])
    with pytest.raises(NotFound, match="configs/log_tags"):
        scan(connection, "shop.topic")


def test_a_request_without_an_available_adapter_is_still_tier_1(connection: duckdb.DuckDBPyConnection) -> None:
    fill(connection, [record(1, tier=2, escalated="no_deployment"), record(2, tier=2)])
    assert [(r.id, r.tier) for r in read(connection, "shop.topic")] == [("r00001", 1), ("r00002", 2)]


def test_a_human_label_overrides_a_correction_and_a_failed_answer(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    cut = record(2, output=Output(text="bra", finish_reason="length"))
    fill(
        connection, [record(1), cut, record(3)], [("r00001", "down", "brakes", START), ("r00003", None, "gears", START)]
    )
    connection.execute(
        "INSERT INTO labels VALUES ('r00001', 'refund', 'human', $ts), ('r00002', 'wheels', 'human', $ts)",
        {"ts": START},
    )
    assert [(r.answer, r.label_source) for r in read(connection, "shop.topic")] == [
        ("refund", "human"),
        ("wheels", "human"),
        ("gears", "corrected"),
    ]
