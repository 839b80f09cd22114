"""Times and amounts in every spelling."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.values import Notes, dollars, elapsed_ms, milliseconds, opened, opened_payload, parse_time


@given(st.integers(631_152_000, 4_102_444_800), st.integers(0, 999_999), st.integers(-14 * 60, 14 * 60))
def test_an_iso_time_is_the_same_moment_in_utc(seconds: int, micros: int, offset: int) -> None:
    moment = datetime.fromtimestamp(seconds, timezone(timedelta(minutes=offset))) + timedelta(microseconds=micros)
    parsed = parse_time(moment.isoformat())
    assert parsed == moment
    assert parsed.utcoffset() == timedelta(0)


@given(st.integers(946_684_800, 4_102_444_800))
def test_epochs_in_seconds_and_milliseconds_are_told_apart(seconds: int) -> None:
    assert parse_time(seconds) == parse_time(seconds * 1000) == datetime.fromtimestamp(seconds, UTC)


@pytest.mark.parametrize(
    "written",
    [
        "01/Sep/2026:10:00:00 +0200", "Sep 1, 2026 @ 08:00:00.000", "01.09.2026 08:00", "01.09.2026 08:00:00",
        [2026, 9, 1, 8, 0, 0], {"$date": "2026-09-01T08:00:00Z"}, {"$date": {"$numberLong": "1788249600000"}},
        {"_seconds": 1788249600, "_nanoseconds": 0}, {"seconds": "1788249600", "nanos": 0},
        "Tue, 01 Sep 2026 08:00:00 GMT", "2026-09-01 08:00:00 UTC", "2026-09-01 08:00:00,000",
        "Tue Sep  1 08:00:00 2026", "Tue Sep 01 08:00:00 UTC 2026",
        "Tue Sep 01 2026 10:00:00 GMT+0200 (Central European Summer Time)", "2026-09-01 01:00:00.000 -0700",
        "2026-09-01 10:00:00 +02:00", "2026-09-01 08:00:00 +0000 UTC", "2026-09-01 10:00:00.000000000 +0200 CEST",
    ],
)  # fmt: skip
def test_times_of_servers_kibana_spreadsheets_java_and_databases(written: object) -> None:
    assert parse_time(written) == datetime(2026, 9, 1, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Sep  1 08:00:00",
        "Tue Sep  1 08:00:00 CET 2026",
        True,
        None,
        [],
        {},
        {"$oid": "x"},
        {"seconds": None},
        1e300,
        float("inf"),
        float("nan"),
    ],
)
def test_what_is_no_time_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"time|Invalid|convert|isoformat|NaN"):
        parse_time(value)


def test_a_clock_that_went_backwards_gives_no_duration() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    assert milliseconds(start, start + timedelta(seconds=1.5)) == 1500
    assert milliseconds(start, start - timedelta(seconds=1)) is None


@pytest.mark.parametrize(
    "start,end,elapsed,nulled",
    [
        ("2026-09-01T08:00:00Z", 1788249600.25, 250.0, []),
        ("2026-09-01T08:00:00Z", None, None, []),
        (None, "2026-09-01T08:00:01Z", None, []),
        ("2026-09-01T08:00:00Z", "soon", None, ["end_time"]),
        ("soon", "2026-09-01T08:00:01Z", None, []),
    ],
)
def test_elapsed_time_needs_both_times_and_notes_an_unreadable_end(
    start: object, end: object, elapsed: float | None, nulled: list[str]
) -> None:
    notes = Notes()
    assert elapsed_ms(start, end, "end_time", notes) == elapsed
    assert notes.nulled == nulled


def test_a_payload_declared_as_base64_is_decoded_or_refused() -> None:
    assert opened_payload({"encoding": "base64", "data": "e30="}) == "{}"
    for body in ("e30", "/w==", "é"):
        with pytest.raises(ValueError, match="base64"):
            opened_payload({"encoding": "base64", "data": body})


def test_json_in_a_string_is_taken_out() -> None:
    assert bytes(opened(msgspec.Raw(b'"{\\"a\\":1}"'))) == b'{"a":1}'
    assert bytes(opened(msgspec.Raw(b'""'))) == b"null"
    assert bytes(opened(msgspec.Raw(b"[1]"))) == b"[1]"


@pytest.mark.parametrize(
    "written, cost",
    [
        ("$1.5", 1.5),
        ("US$1.5", 1.5),
        ("US $1.5", 1.5),
        ("1.5 USD", 1.5),
        ("USD 1.5", 1.5),
        (" 1.5 ", 1.5),
        ("€1.5", None),
    ],
)
def test_a_cost_may_name_dollars_and_no_other_currency(written: str, cost: float | None) -> None:
    notes = Notes()
    assert (dollars(written, "cost", notes), notes.nulled) == (cost, [] if cost else ["cost"])
