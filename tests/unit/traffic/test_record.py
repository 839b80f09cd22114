"""The record's codecs, JSONL and Arrow, and its messages."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.arrow_rows import from_arrow_row
from traffic.record import (
    ARROW_SCHEMA,
    ArrowRow,
    Message,
    Output,
    Params,
    Record,
    Usage,
    decode_messages,
    decode_record,
    encode_record,
    to_table,
)

words = st.text(max_size=8)
small = st.integers(0, 2**40)
amounts = st.floats(0, 1e6, allow_nan=False).map(lambda x: round(x, 6))
trees = st.recursive(
    st.none() | st.booleans() | small | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3),
    max_leaves=4,
)
objects = st.dictionaries(words, trees, max_size=4)
messages = st.lists(st.fixed_dictionaries({"role": words, "content": words | st.none()}), max_size=3)
records = st.builds(
    Record,
    id=words,
    request_id=words,
    purpose=st.sampled_from(["serve", "retry", "escalation", "consistency", "shadow", "audit"]),
    attempt=st.integers(1, 99),
    parent_id=st.none() | words,
    ts=st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    call_site=st.none() | words,
    visibility=st.sampled_from(["human", "background", "unknown"]),
    cohort=st.dictionaries(words, words, max_size=3),
    messages=messages.map(lambda m: msgspec.Raw(msgspec.json.encode(m))),
    tools=st.none() | st.lists(objects, max_size=2),
    response_format=st.none() | objects,
    params=st.builds(Params, st.none() | small, st.none() | amounts, st.booleans(), objects),
    output=st.builds(Output, st.none() | words, st.none() | st.lists(objects, max_size=2), st.none() | words),
    usage=st.none() | st.builds(Usage, small, small, small, small, small),
    tier=st.none() | st.integers(1, 3),
    confidence=st.none() | st.floats(0, 1),
    cache_hit=st.booleans(),
    status=st.integers(0, 599),
    latency_ms=st.none() | amounts,
    cost_usd=st.none() | amounts,
    source_format=words,
)


def values(record: Record) -> dict[str, Any]:
    return msgspec.structs.asdict(record) | {"messages": bytes(record.messages)}


@settings(max_examples=50)
@given(records)
def test_a_record_is_the_same_after_jsonl(record: Record) -> None:
    line = encode_record(record)
    assert b"\n" not in line
    assert values(decode_record(line)) == values(record)


@settings(max_examples=50)
@given(st.lists(records, min_size=1, max_size=3))
def test_a_record_is_the_same_after_arrow(rows: list[Record]) -> None:
    table = to_table(ArrowRow(r, request_hash="0" * 16, system_hash=None, input_chars=3) for r in rows)
    assert table.schema == ARROW_SCHEMA
    assert [values(from_arrow_row(row)) for row in table.to_pylist()] == [values(record) for record in rows]


def test_every_field_of_the_record_has_a_column() -> None:
    derived = {"request_hash", "system_hash", "input_chars"}
    assert set(ARROW_SCHEMA.names) == set(Record.__struct_fields__) | derived


def test_an_empty_table_has_the_schema() -> None:
    assert to_table([]).schema == ARROW_SCHEMA


def test_times_of_other_zones_are_stored_as_utc() -> None:
    berlin = datetime(2026, 11, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    record = Record(id="1", request_id="1", ts=berlin, messages=msgspec.Raw(b"[]"), source_format="x")
    row = to_table([ArrowRow(record, request_hash="", system_hash=None, input_chars=0)]).to_pylist()[0]
    assert from_arrow_row(row).ts == berlin
    assert from_arrow_row(row).ts.tzinfo == UTC


def test_an_unpriced_record_stays_unpriced() -> None:
    record = Record(id="1", request_id="1", ts=datetime.now(UTC), messages=msgspec.Raw(b"[]"), source_format="x")
    assert decode_record(encode_record(record)).cost_usd is None
    assert b"cost_usd" not in encode_record(record)


def test_keys_of_a_later_version_do_not_break_reading() -> None:
    line = b'{"id":"1","request_id":"1","ts":"2026-11-01T00:00:00Z","messages":[],"source_format":"x","mood":"new"}'
    assert decode_record(line).id == "1"


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"[]",
        b'{"id":"1"}',
        b"\xff",
        b'{"id":1,"request_id":"1","ts":"now","messages":[],"source_format":"x"}',
    ],
)
def test_a_broken_line_raises_a_decode_error(line: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        decode_record(line)


def test_input_total_is_the_sum_of_the_three_disjoint_counts() -> None:
    assert Usage(input_uncached=10, cache_read=90, cache_write=5).input_total == 105


def test_the_text_of_a_message_leaves_images_out() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}]
    assert Message("user", parts).text == "a\nb"
    assert Message("assistant", None).text == ""


def test_messages_with_unknown_keys_decode() -> None:
    (message,) = decode_messages(b'[{"role":"user","content":"x","name":"ann","cache_control":{}}]')
    assert message == Message("user", "x")
    with pytest.raises(msgspec.ValidationError):
        decode_messages(b'{"role":"user"}')


def test_the_schema_is_what_parquet_gives_back() -> None:
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(to_table([]), sink)
    assert pq.read_schema(pa.BufferReader(sink.getvalue())).remove_metadata() == ARROW_SCHEMA
