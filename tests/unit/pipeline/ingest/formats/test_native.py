"""The router's log: a record is taken as it is."""

import json
from typing import Any

import pytest

from pipeline.ingest.formats import FORMATS, Unreadable
from pipeline.ingest.mapping import TagMapping
from tests.fakes.logs import attempts, native_line
from traffic import config
from traffic.record import decode_record

NATIVE = config.load(config.CONFIGS / "log_tags" / "native.yaml", TagMapping)
READ = FORMATS["native"].reader(NATIVE)
ROW: dict[str, Any] = json.loads(native_line(attempts(1, 3)[0]))


def test_a_record_survives_unchanged_but_for_the_feature() -> None:
    for attempt in attempts(100, 2):
        line = native_line(attempt)
        before, after = decode_record(line), READ(line).record
        assert after.feature == before.call_site
        for name in set(before.__struct_fields__) - {"feature"}:
            assert getattr(after, name) == getattr(before, name)


def test_what_a_record_leaves_out_is_filled_from_the_mapping() -> None:
    mapping = TagMapping(customer_id=("tenant",), cohort={"region": ("where",), "plan": ("where",)})
    row = {key: value for key, value in ROW.items() if key != "customer_id"}
    line = json.dumps(row | {"tenant": "t1", "where": "eu", "cohort": {"plan": "pro"}}).encode()
    record = FORMATS["native"].reader(mapping)(line).record
    assert (record.customer_id, record.cohort) == ("t1", {"region": "eu", "plan": "pro"})


def test_feedback_that_was_joined_to_the_log_is_read() -> None:
    reading = READ(json.dumps(ROW | {"feedback": {"thumb": "down"}, "consumed_at": "2026-03-03T00:00:00Z"}).encode())
    assert reading.feedback is not None
    assert reading.feedback.thumb == "down"
    assert reading.consumed_at


def test_a_newer_schema_is_refused_by_name() -> None:
    with pytest.raises(Unreadable, match="schema_version 99") as error:
        READ(json.dumps(ROW | {"schema_version": 99}).encode())
    assert error.value.reason == "newer_schema"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(Unreadable, match="zone"):
        READ(json.dumps(ROW | {"ts": "2026-03-02T10:00:00"}).encode())
