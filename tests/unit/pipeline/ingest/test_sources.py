"""Files and blocks: every line once, whatever the compression and the size of a block."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest import sources
from traffic.errors import InputError, NotFound

LINES = st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b" ")), min_size=1, max_size=30)


def only(path: Path) -> sources.LogFile:
    return sources.find([path])[0]


def lines_of(path: Path, size: int) -> list[tuple[int, bytes]]:
    found = []
    for block in sources.blocks(only(path), hashlib.sha256(), size):
        data = block.read()
        found += enumerate(data.removesuffix(b"\n").split(b"\n"), start=block.first_line)
    return found


@given(LINES, st.integers(1, 64), st.booleans(), st.booleans())
def test_blocks_hold_every_line_once_with_its_number(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, compress: bool, ends: bool
) -> None:
    path = tmp_path_factory.mktemp("blocks") / "log"
    # A line end at the end of the file does not begin another line; an empty last line would be none.
    data = b"\n".join(lines) + (b"\n" if ends or not lines[-1] else b"")
    path.write_bytes(gzip.compress(data) if compress else b"x" + data)
    expected = lines if compress else [b"x" + lines[0], *lines[1:]]
    if compress or not data.startswith((b"\x8b", b"\xb5")):
        assert lines_of(path, size) == list(enumerate(expected, start=1))


def test_the_digest_is_that_of_the_content_not_of_the_file(tmp_path: Path) -> None:
    plain, packed = tmp_path / "a", tmp_path / "b"
    plain.write_bytes(b"one\ntwo\n")
    packed.write_bytes(gzip.compress(b"one\n") + gzip.compress(b"two\n"))
    digests = []
    for path in (plain, packed):
        digest = hashlib.sha256()
        list(sources.blocks(only(path), digest, 3))
        digests.append(digest.hexdigest())
    assert digests[0] == digests[1] == sources.stored_sha256(only(plain))


def test_compression_is_seen_by_content_not_by_name(tmp_path: Path) -> None:
    (tmp_path / "zst.txt").write_bytes(pa.compress(b"a\nb\n", "zstd", asbytes=True))
    (tmp_path / "plain.gz").write_bytes(b"a\nb\n")
    assert lines_of(tmp_path / "zst.txt", 100) == [(1, b"a"), (2, b"b")]
    assert lines_of(tmp_path / "plain.gz", 100) == [(1, b"a"), (2, b"b")]


def test_a_damaged_gzip_names_its_file(tmp_path: Path) -> None:
    path = tmp_path / "log.gz"
    path.write_bytes(gzip.compress(b"line\n" * 10_000)[:-20])
    with pytest.raises(InputError, match=r"log\.gz: damaged gzip"):
        lines_of(path, 1 << 20)


def test_folders_are_searched_below_and_each_file_is_taken_once(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.jsonl", "deep/b.json", "deep/er/c.jsonl.gz", "deep/readme.md"):
        (tmp_path / name).write_bytes(b"{}\n")
    found = sources.find([tmp_path, tmp_path / "a.jsonl"])
    assert [file.path.name for file in found] == ["a.jsonl", "b.json", "c.jsonl.gz"]
    assert [file.named for file in found] == [True, False, False]


@pytest.mark.parametrize("name", ["gone.jsonl", "empty"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=name):
        sources.find([tmp_path / name])


def test_no_source_at_all_says_what_to_type() -> None:
    with pytest.raises(InputError, match="fasttier ingest"):
        sources.find([])


@pytest.mark.parametrize("indent", [None, 2])
def test_a_json_list_is_read_row_by_row(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "export.json"
    path.write_text(json.dumps([{"a": n} for n in range(5)], indent=indent))
    rows = sources.document(only(path))
    assert rows is not None
    blocks = list(sources.document_blocks(rows, hashlib.sha256(), 100))
    assert b"".join(block.read() for block in blocks).splitlines() == [b'{"a":%d}' % n for n in range(5)]


def test_one_object_over_several_lines_is_one_row_and_wrapped_rows_are_unwrapped(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps({"id": 1, "b": [2]}, indent=2))
    assert len(sources.document(only(path)) or []) == 1
    path.write_text(json.dumps({"data": [{"id": 1}, {"id": 2}]}, indent=2))
    assert len(sources.document(only(path)) or []) == 2


def test_lines_are_no_document(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": 2}\n')
    assert sources.document(only(path)) is None
    assert sources.first_trees(only(path)) == [{"a": 1}, {"a": 2}]
