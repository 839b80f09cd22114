"""Files and blocks: every line once, whatever the compression and the size of a block."""

import csv
import gzip
import hashlib
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest import sources
from pipeline.ingest.content import Content
from pipeline.ingest.recognition import recognise_content
from traffic.errors import InputError, NotFound

LINES = st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" ")), min_size=1, max_size=30)


def only(path: Path) -> sources.LogFile:
    return sources.find([path])[0]


def lines_of(path: Path, size: int) -> list[tuple[int, bytes]]:
    numbered = []
    for piece, _ in Content(only(path)).pieces(hashlib.sha256(), size):
        numbered += enumerate(piece.read().removesuffix(b"\n").split(b"\n"), start=piece.first_line)
    return numbered


@given(LINES, st.integers(1, 64), st.booleans(), st.booleans())
def test_blocks_hold_every_line_once_with_its_number(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, compress: bool, ends: bool
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "log"
    # A line end at the end of the file does not begin another line; an empty last line would be none.
    data = b"\n".join(lines) + (b"\n" if ends or not lines[-1] else b"")
    path.write_bytes(gzip.compress(data) if compress else b"x" + data)
    expected = lines if compress else [b"x" + lines[0], *lines[1:]]
    if compress or only(path).encoding == "utf-8":
        assert lines_of(path, size) == list(enumerate(expected, start=1))


def test_the_digest_is_that_of_the_content_not_of_the_file(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(b"one\ntwo\n")
    packed.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    digests = []
    for path in (plain, packed):
        digest = hashlib.sha256()
        list(Content(only(path)).pieces(digest, 3))
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1] == Content(only(plain)).stored_sha256()


def test_a_name_that_is_not_utf_8_is_escaped_and_the_file_read(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    path.write_bytes(b"one\ntwo\n")
    assert only(path).path == f"{tmp_path}/caf\\xe9.jsonl"
    assert lines_of(path, 3) == [(1, b"one"), (2, b"two")]


def test_compression_is_seen_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "zst.txt").write_bytes(pa.compress(b"a\nb\n", "zstd", asbytes=True))
    (tmp_path / "plain.gz").write_bytes(b"a\nb\n")
    assert lines_of(tmp_path / "zst.txt", 100) == [(1, b"a"), (2, b"b")]
    assert lines_of(tmp_path / "plain.gz", 100) == [(1, b"a"), (2, b"b")]


def test_a_damaged_gzip_gives_what_stands_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    rng = random.Random(1)
    data = b"".join(rng.randbytes(20).hex().encode() + b"\n" for _ in range(10_000))
    path.write_bytes(gzip.compress(data)[:-5000])
    content = Content(only(path))
    salvaged = b"".join(piece.read() for piece, _ in content.pieces(hashlib.sha256()))
    assert data.startswith(salvaged)
    assert len(salvaged) > len(data) * 0.9
    assert salvaged.endswith(b"\n")
    assert content.damage is not None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "log").write_bytes('{"a": "ü"}\n{"a": 2}\n'.encode(encoding))
    assert lines_of(tmp_path / "log", 7) == [(1, '{"a": "ü"}'.encode()), (2, b'{"a": 2}')]


def test_folders_are_searched_below_and_each_file_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.jsonl", "deep/b.json", "deep/er/c.jsonl.gz", "deep/readme.md"):
        (tmp_path / name).write_bytes(b"{}\n")
    files = sources.find([tmp_path, tmp_path / "a.jsonl"])
    assert [Path(file.path).name for file in files] == ["a.jsonl", "b.json", "c.jsonl.gz", "readme.md"]


def test_globs_are_expanded(tmp_path: Path) -> None:
    for name in ("a.log", "b.log", "c.txt"):
        (tmp_path / name).write_bytes(b"{}\n")
    assert [Path(file.path).name for file in sources.find([str(tmp_path / "*.log")])] == ["a.log", "b.log"]


@pytest.mark.parametrize("name", ["gone.jsonl", "empty"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=name):
        sources.find([tmp_path / name])


def test_no_source_at_all_says_what_to_type() -> None:
    with pytest.raises(InputError, match="fasttier ingest"):
        sources.find([])


ROW = {"request_created_at": "2026-03-02T10:00:00Z", "request_body": {}, "response_body": {}}


def rows_of(path: Path) -> tuple[str, list[bytes] | None]:
    recognised = recognise_content(Content(only(path)))
    assert not isinstance(recognised, str), recognised
    return recognised.format.name, None if recognised.rows is None else list(recognised.rows())


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("wrap", [(), ("data",), ("hits", "hits"), ("result", "items")])
def test_rows_of_a_document_are_found_wherever_their_list_stands(
    tmp_path: Path, indent: int | None, wrap: tuple[str, ...]
) -> None:
    tree: object = [ROW | {"n": n} for n in range(5)]
    for key in reversed(wrap):
        tree = {key: tree, "total": 5}
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tree, indent=indent))
    name, rows = rows_of(path)
    assert name == "helicone"
    assert [json.loads(row)["n"] for row in rows or []] == list(range(5))


def test_one_object_over_several_lines_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(ROW, indent=2))
    assert len(rows_of(path)[1] or []) == 1


def test_lines_are_no_document(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(json.dumps(ROW) + "\n" + json.dumps(ROW) + "\n")
    assert rows_of(path) == ("helicone", None)


def test_csv_and_parquet_rows_are_objects(tmp_path: Path) -> None:
    rows = [{"request_created_at": "2026-03-02", "request_body": '{"a": "x, y"}', "n": n} for n in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    for name in ("log.parquet", "log.csv"):
        objects = rows_of(tmp_path / name)[1] or []
        assert [(str(json.loads(row)["n"]), json.loads(row)["request_body"]) for row in objects] == [
            (str(n), '{"a": "x, y"}') for n in range(3)
        ]


@pytest.mark.parametrize("start", [b"PK\x03\x04....", b"SQLite format 3\0"])
def test_archives_and_databases_are_named(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "log").write_bytes(start)
    assert "unpack" in str(recognise_content(Content(only(tmp_path / "log"))))


def test_a_small_file_is_opened_once(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_bytes(b'{"a": 1}\n')
    content = Content(only(path))
    digest = content.stored_sha256()
    path.unlink()
    assert content.head() == b"".join(content.chunks()) == b'{"a": 1}\n'
    assert digest == hashlib.sha256(b'{"a": 1}\n').hexdigest()
