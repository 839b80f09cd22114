"""Server-sent events with any chunk boundaries and line ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.wire.sse import StreamReader, event, named_event

LINE = st.text(st.characters(exclude_characters="\r\n\ufeff", exclude_categories=["Cs"]), min_size=1, max_size=12)
DATA = LINE.filter(lambda line: line.strip() == line)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
CUTS = st.lists(st.integers(1, 9), max_size=60)


def read(wire: bytes, cuts: list[int], *, closed: bool = False) -> list[tuple[bytes, bytes]]:
    reader, seen, at = StreamReader(), [], 0
    for cut in [*cuts, len(wire)]:
        seen += reader.events(wire[at : at + cut])
        at += cut
    if closed:
        seen += reader.close()
    return [(event.name, event.data) for event in seen if event.data]


@given(st.lists(st.tuples(st.sampled_from(["", "ping", "error"]), DATA), max_size=6), CUTS, ENDS, st.booleans())
def test_events_do_not_depend_on_chunk_boundaries(
    events: list[tuple[str, str]], cuts: list[int], end: bytes, bom: bool
) -> None:
    wire = b"\xef\xbb\xbf" if bom else b""
    for name, data in events:
        wire += b": comment" + end * 2
        wire += (b"event: " + name.encode() + end if name else b"") + b"data: " + data.encode() + end * 2
    # A CR at the end of a read may be half of a line end: more has to come.
    assert read(wire + b":" + end, cuts) == [(name.encode(), data.encode()) for name, data in events]


@given(DATA, CUTS, ENDS)
def test_the_end_of_the_body_ends_the_last_event(data: str, cuts: list[int], end: bytes) -> None:
    whole = b"data: one" + end * 2 + b"data: " + data.encode()
    for missing in (b"", end):
        assert read(whole + missing, cuts, closed=True) == [(b"", b"one"), (b"", data.encode())]


@pytest.mark.parametrize(
    "wire, expected",
    [
        (b"data: a\ndata: b\n\n", [(b"", b"a\nb")]),
        (b"data:a\n\n", [(b"", b"a")]),
        (b"data: [DONE] \r\n\r\n", [(b"", b"[DONE]")]),
        (b"data:\n\ndata: a\n\n", [(b"", b"a")]),
        (b"data\n\ndata: a\n\n", [(b"", b"a")]),
        (b"event: ping\n\ndata: a\n\n", [(b"", b"a")]),
        (b"id: 7\nretry: 10\nunknown: x\ndata: a\n\n", [(b"", b"a")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [(b"error", b"a"), (b"", b"b")]),
        (b"\n\n\ndata: a\n\n\n\n", [(b"", b"a")]),
        # Some servers leave out the blank line between events: no JSON goes on with these bytes.
        (b'data: {"a":1}\ndata: {"b":2}\ndata: [DONE]\n\n', [(b"", b'{"a":1}'), (b"", b'{"b":2}'), (b"", b"[DONE]")]),
        (b'data: {"a":\ndata: {}}\n\n', [(b"", b'{"a":\n{}}')]),
    ],
)
def test_unusual_events_are_parsed(wire: bytes, expected: list[tuple[bytes, bytes]]) -> None:
    assert read(wire, []) == expected
    assert read(wire, [1] * len(wire)) == expected


def test_comments_are_events_without_data() -> None:
    assert [event.data for event in StreamReader().events(b": processing\n\ndata: x\n\n")] == [b"", b"x"]


@given(st.lists(st.binary(max_size=8).map(lambda b: b.replace(b"\r", b"")), max_size=4).map(b"\n".join))
def test_written_events_are_parsed_back(data: bytes) -> None:
    expected = [data.strip()] if data.strip() else []
    assert [parsed for _, parsed in read(event(data), [])] == expected
    assert [parsed for _, parsed in read(named_event("x", data), [])] == expected
