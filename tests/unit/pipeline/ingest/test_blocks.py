"""One block of lines: every line becomes a record or a rejected line, and nothing is guessed on the way."""

import base64
import json
import tempfile
from collections.abc import Generator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest.blocks import Job, Report, read_block
from pipeline.ingest.content import BLANK, Piece
from pipeline.ingest.formats import FORMATS, LineReader, Reading
from pipeline.ingest.formats.format import StepReader, row_by_row
from pipeline.ingest.mapping import TagMapping
from tests.fakes.logs import attempts, broken_lines, litellm_line, native_line, pair_line
from traffic import config
from traffic.record import ARROW_SCHEMA

MODIFIED = datetime(2026, 3, 1, tzinfo=UTC)
WRITERS = {"litellm": litellm_line, "openai_pairs": pair_line, "native": native_line}
GOOD = {name: write(attempts(1, 3, retries=0)[0]) for name, write in WRITERS.items()}


@cache
def mapping(name: str) -> bytes:
    return msgspec.json.encode(config.load(config.CONFIGS / "log_tags" / f"{name}.yaml", TagMapping))


def read(folder: Path, lines: list[bytes], name: str = "litellm", first: int = 1) -> Report:
    data = b"".join(line + b"\n" for line in lines)
    piece = Piece("log.jsonl", first, MODIFIED, data)
    return read_block(0, (piece,), Job(name, mapping(name), str(folder)))


def totals(report: Report) -> tuple[int, int]:
    """Rows read and rejected."""
    return sum(piece.read for piece in report.pieces), sum(piece.rejected for piece in report.pieces)


def rejected(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for path in folder.glob("*.rejected.jsonl") for line in path.read_bytes().splitlines()]


def staged(folder: Path) -> pa.Table:
    return pa.concat_tables([pa.ipc.open_file(path.read_bytes()).read_all() for path in sorted(folder.glob("*.arrow"))])


@pytest.mark.parametrize("name", WRITERS)
def test_broken_lines_are_kept_with_number_reason_and_bytes(tmp_path: Path, name: str) -> None:
    broken = broken_lines(GOOD[name])
    report = read(tmp_path, [GOOD[name], *broken.values(), GOOD[name]], name, first=101)
    assert totals(report) == (2 + len(broken), len(broken))
    lines = rejected(tmp_path)
    assert {line["reason"]: line["line"] for line in lines} == dict(zip(broken, range(102, 110), strict=False))
    for line in lines:
        raw = base64.b64decode(str(line["raw_base64"])) if "raw_base64" in line else str(line["raw"]).encode()
        assert raw == broken[str(line["reason"])]


def test_records_are_staged_by_day_with_their_derived_columns(tmp_path: Path) -> None:
    records = attempts(60, 1)
    report = read(tmp_path, [litellm_line(a) for a in records])
    table = staged(tmp_path)
    assert table.schema == ARROW_SCHEMA
    assert report.days == sorted({str(a.ts.date()) for a in records})
    rows = {row["id"]: row for row in table.to_pylist()}
    copy = next(a for a in records if a.duplicate_of and a.duplicate_of in rows)
    assert rows[copy.id]["request_hash"] == rows[copy.duplicate_of or ""]["request_hash"]
    assert rows[copy.id]["input_chars"] == sum(len(m["content"]) for m in copy.messages)
    assert len({row["system_hash"] for row in rows.values()}) == len({a.call_site for a in records})


def test_the_same_block_gives_the_same_files(tmp_path: Path) -> None:
    lines = [litellm_line(a) for a in attempts(30, 1)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        read(tmp_path / name, lines)
    files = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("a", "b")]
    assert files[0] == files[1]


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    report = read(tmp_path, [b"\xef\xbb\xbf" + GOOD["litellm"] + b"\r", GOOD["litellm"] + b"\r"])
    assert totals(report) == (2, 0)


def test_a_missing_cost_comes_from_the_price_table_and_names_its_source(tmp_path: Path) -> None:
    made = attempts(1, 3, call_sites=["helpdesk.topic"], retries=0, cache_hits=0)[0]
    read(tmp_path, [pair_line(made)], "openai_pairs")
    row = staged(tmp_path).to_pylist()[0]
    assert row["cost_usd"] == pytest.approx(made.cost_usd)
    assert row["price_source"] not in (None, "logged")


def test_an_unknown_price_stays_null_and_is_counted(tmp_path: Path) -> None:
    line = GOOD["openai_pairs"].replace(b'"gpt-4o"', b'"nobody-sells-this"')
    report = read(tmp_path, [line, line], "openai_pairs")
    assert report.counts["unpriced"] == {"nobody-sells-this": 2}
    assert staged(tmp_path)["cost_usd"].to_pylist() == [None, None]


@pytest.mark.parametrize("status,cost", [(429, 0.0), (500, 0.0), (408, None)])
def test_an_error_answer_costs_nothing_but_a_timeout_is_unknown(
    tmp_path: Path, status: int, cost: float | None
) -> None:
    row = json.loads(GOOD["openai_pairs"]) | {"status": status, "response": None}
    read(tmp_path, [json.dumps(row).encode()], "openai_pairs")
    assert staged(tmp_path)["cost_usd"].to_pylist() == [cost]


def test_requests_whose_messages_were_not_logged_are_no_duplicates(tmp_path: Path) -> None:
    row = {
        "startTime": 1772445600.0,
        "messages": "{}",
        "response": "{}",
        "status": "success",
        "call_type": "acompletion",
    }
    read(tmp_path, [json.dumps(row | {"request_id": f"r{n}"}).encode() for n in range(2)])
    assert len(set(staged(tmp_path)["request_hash"].to_pylist())) == 2


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(name=st.sampled_from(sorted(WRITERS)), value=JSON, data=st.data())
def test_any_value_in_any_field_is_read_or_rejected_and_never_an_error(
    name: str, value: object, data: st.DataObject
) -> None:
    row = json.loads(GOOD[name])
    key = data.draw(st.sampled_from(sorted(row)))
    line = json.dumps(row | {key: value}, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass")
    with tempfile.TemporaryDirectory() as folder:
        assert read(Path(folder), [line], name).pieces[0].read == 1


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_read_or_rejected(lines: list[bytes]) -> None:
    lines = [line.replace(b"\n", b"") for line in lines] or [b"{}"]
    with tempfile.TemporaryDirectory() as folder:
        report = read(Path(folder), lines)
        # The brackets around a list with one row a line are no rows.
        rows = [line for line in lines if line.strip(BLANK) not in (b"[", b"]")]
        assert totals(report) == (len(rows), len(rejected(Path(folder))))


def test_a_number_that_no_column_holds_is_rejected_and_its_neighbours_are_kept(tmp_path: Path) -> None:
    huge = json.dumps(json.loads(GOOD["native"]) | {"status": 2**31}).encode()
    report = read(tmp_path, [GOOD["native"], huge, GOOD["native"].replace(b"chatcmpl-", b"other-")], "native")
    assert (*totals(report), report.counts["reasons"]) == (3, 1, {"wrong_types": 1})
    assert staged(tmp_path).num_rows == 2


def wrapped(folder: Path, lines: list[dict[str, object]]) -> Report:
    """The report of lines whose rows are expected under `detail`."""
    data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
    job = Job("openai_pairs", mapping("openai_pairs"), str(folder), ("detail",))
    return read_block(0, (Piece("log.jsonl", 1, MODIFIED, data),), job)


def test_rows_wrapped_otherwise_are_found_among_lines_of_other_programs(tmp_path: Path) -> None:
    pair = json.loads(GOOD["openai_pairs"])
    foreign: dict[str, object] = {"level": "info", "http": {"status": 200}, "message": "GET /"}
    lines = [*[foreign] * 50, {"detail": pair}, {**foreign, "event": pair}, {**foreign, "message": json.dumps(pair)}]
    report = wrapped(tmp_path, [*lines, pair])
    assert (totals(report), report.counts["reasons"]) == ((54, 50), {"missing_field": 50})


def test_lines_of_other_programs_are_not_searched_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs, seen = FORMATS["openai_pairs"], []
    monkeypatch.setitem(FORMATS, "openai_pairs", pairs._replace(recognises=lambda tree: bool(seen.append(tree))))
    foreign = [{"level": "info", "http": {"status": n}, "message": f"GET /{n}"} for n in range(200)]
    assert totals(wrapped(tmp_path, foreign)) == (200, 200)
    assert len(seen) < 3 * 50


def test_each_line_is_read_once_in_steps_also_a_rejected_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = FORMATS["litellm"]
    events: list[tuple[str, bytes]] = []

    def steps(mapping: TagMapping) -> StepReader:
        read = (litellm.steps or pytest.fail)(mapping)

        def counted(line: bytes) -> Generator[None, None, Reading]:
            events.append(("begin", line))
            reading = yield from read(line)
            events.append(("end", line))
            return reading

        return counted

    def reader(mapping: TagMapping) -> LineReader:
        return row_by_row(steps(mapping))

    monkeypatch.setitem(FORMATS, "litellm", litellm._replace(reader=reader, steps=steps))
    good = json.loads(GOOD["litellm"])
    lines = [json.dumps(row).encode() for row in (good, good | {"call_type": "aembedding"}, good | {"startTime": "?"})]
    data = b"".join(line + b"\n" for line in lines)
    # Other bytes of the same mapping: readers are cached by them.
    job = Job("litellm", mapping("litellm") + b" ", str(tmp_path))
    assert totals(read_block(0, (Piece("log.jsonl", 1, MODIFIED, data),), job)) == (3, 2)
    assert events == [*(("begin", line) for line in lines), ("end", lines[0])]


_ROWS = [json.loads(litellm_line(attempt)) for attempt in attempts(12, 4, retries=0.3)]
_ODD: list[object] = [
    *(None, "", 0, -1, True, 1.5, 2**60, "x", "None", [], {}, ["a:b"], {"a": 1}, '{"a": 1}', "[]", "failure", "12"),
    *("1772445600.5", "2026-03-02T10:00:00+02:00", 1772445600000, [{"role": "user", "content": "hi"}]),
]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(_ROWS), st.dictionaries(st.sampled_from(sorted(_ROWS[0])), st.sampled_from(_ODD))),
        min_size=2,
        max_size=6,
    ),
    st.sampled_from([b"", b"{", b'{"startTime": NaN}', b'{"id": "\xff"}', GOOD["litellm"]]),
)
def test_lines_of_a_block_are_read_as_each_would_be_alone(
    changed: list[tuple[dict[str, object], dict[str, object]]], other: bytes
) -> None:
    lines = [json.dumps(row | changes).encode() for row, changes in changed]
    lines.insert(1, other)
    with tempfile.TemporaryDirectory() as name:
        whole, alone = Path(name, "whole"), Path(name, "alone")
        whole.mkdir()
        together = read(whole, lines)
        apart = []
        for number, line in enumerate(lines, start=1):
            folder = alone / str(number)
            folder.mkdir(parents=True)
            apart.append((read(folder, [line], first=number), folder))
        assert totals(together) == tuple(map(sum, zip(*(totals(report) for report, _ in apart), strict=True)))
        assert rejected(whole) == [line for _, folder in apart for line in rejected(folder)]
        rows = [row for _, folder in apart if any(folder.glob("*.arrow")) for row in staged(folder).to_pylist()]
        found = staged(whole).to_pylist() if rows else []
        assert sorted(map(str, found)) == sorted(map(str, rows))
