"""pipeline/ingest/tables.py."""

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
