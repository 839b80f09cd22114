"""pipeline/ingest/tables.py."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.ingest import sources, tables
from pipeline.ingest.content import Content


def rows_of(path: Path, text: str) -> list[Any]:
    path.write_bytes(text.encode())
    return [json.loads(row) for row in tables.csv_rows(Content(sources.find([path])[0]))]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_that_of_the_header(tmp_path: Path, separator: str) -> None:
    text = f'id{separator}text\n1{separator}"a{separator}b"\n'
    assert tables.csv_header(text.encode()) == ["id", "text"]
    assert rows_of(tmp_path / "log", text) == [{"id": "1", "text": f"a{separator}b"}]


def test_a_line_that_names_the_separator_is_no_row(tmp_path: Path) -> None:
    text = "sep=|\nid|text\n1|a\n"
    assert tables.csv_header(text.encode()) == ["id", "text"]
    assert rows_of(tmp_path / "log", text) == [{"id": "1", "text": "a"}]


def test_cells_without_a_value_are_left_out(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "log", "id,text,user\n1,,\\N\n") == [{"id": "1"}]


def test_cells_as_python_prints_them_become_json(tmp_path: Path) -> None:
    text = "id,body,note\n1,\"{'a': None, 'b': [True]}\",{'unfinished\n"
    assert rows_of(tmp_path / "log", text) == [{"id": "1", "body": '{"a":null,"b":[true]}', "note": "{'unfinished"}]


@pytest.mark.parametrize("line", ["one column", "a sentence, and another that is far longer than a name " + "x" * 80])
def test_other_first_lines_are_no_header(line: str) -> None:
    assert tables.csv_header(line.encode()) == []


_DUMP = (
    'SET x = 1;\n\nCOPY public.calls (id, "sentAt", body, note) FROM stdin;\n{}\n\\.\n\n'
    "COPY public.b (a, c) FROM stdin;\n1\t2\n\\.\n"
)


@pytest.mark.parametrize("text", ["id\tsentAt\tbody\tnote\n{}\n", _DUMP])
def test_cells_of_a_dump_are_escaped_with_backslashes(tmp_path: Path, text: str) -> None:
    body = json.dumps({"text": 'two\nlines, "quoted"\tC:\\new'})
    text = text.replace("{}", "\t".join(["1", "2026-10-05 09:30:00", body.replace("\\", "\\\\"), "\\N"]))
    assert tables.csv_header(text.encode()) == ["id", "sentAt", "body", "note"]
    assert rows_of(tmp_path / "log", text)[0] == {"id": "1", "sentAt": "2026-10-05 09:30:00", "body": body}


def test_each_table_of_a_dump_has_its_own_columns(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "log", _DUMP.format("1\t\\N\tx\ty")) == [
        {"id": "1", "body": "x", "note": "y"},
        {"a": "1", "c": "2"},
    ]


def test_backslashes_of_a_table_without_nulls_stay(tmp_path: Path) -> None:
    body = json.dumps({"text": "two\nlines"})
    assert rows_of(tmp_path / "log", f"id\tbody\n1\t{body}\n") == [{"id": "1", "body": body}]


@pytest.mark.parametrize("cell", [json.dumps({"text": 'a "b"\t\nc'}), 'two\nlines, "quoted"'])
def test_quoted_cells_of_a_table_with_nulls_are_unquoted(tmp_path: Path, cell: str) -> None:
    table = io.StringIO()
    csv.writer(table, delimiter="\t", lineterminator="\n").writerows([["id", "body", "note"], ["1", cell, "\\N"]])
    assert rows_of(tmp_path / "log", table.getvalue()) == [{"id": "1", "body": cell}]


def test_a_quoted_text_of_a_dump_keeps_its_quotes(tmp_path: Path) -> None:
    assert rows_of(tmp_path / "log", 'id\tbody\tnote\n1\t"a"\t\\N\n')[0]["body"] == '"a"'
