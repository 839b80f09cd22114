"""Files of human labels."""

import gzip
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pipeline.labels import references
from pipeline.metrics import Reference
from traffic.callsites import Checks
from traffic.errors import InputError, NotFound


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["labels.jsonl", "labels.jsonl.gz"])
def test_json_lines_are_read_plain_or_compressed(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, '{"id": "r1", "label": "refund"}\n\n{"record_id": "r2", "label": "delivery"}\n')
    assert references.load(path, "intent").references == {
        "r1": Reference("label", "refund"),
        "r2": Reference("label", "delivery"),
    }


def test_label_studios_export_is_read_and_a_tie_of_annotators_is_named(tmp_path: Path) -> None:
    def task(name: str, *labels: str) -> dict[str, Any]:
        made = [{"result": [{"from_name": "label", "value": {"choices": [label]}}]} for label in labels]
        return {"id": 7, "data": {"record_id": name}, "annotations": made}

    path = write(tmp_path, "export.json", msgspec.json.encode([task("r1", "refund"), task("r2")]).decode())
    assert references.load(path, "intent").references == {"r1": Reference("label", "refund")}
    path = write(tmp_path, "tie.json", msgspec.json.encode([task("r1", "refund", "delivery")]).decode())
    with pytest.raises(InputError, match=r"tie\.json:1: annotators disagree"):
        references.load(path, "intent")


@pytest.mark.parametrize("name", ["labels.csv", "labels.csv.gz"])
def test_csv_is_read_plain_or_compressed(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, name, 'id,label\nr1,refund\nr2,"a, b"\nr3,\n')
    assert references.load(path, "intent").references == {
        "r1": Reference("label", "refund"),
        "r2": Reference("label", "a, b"),
    }


TWO = {"r1": Reference("label", "refund"), "r2": Reference("label", "delivery")}


@pytest.mark.parametrize(
    "name, text",
    [
        ("l.csv", "ID, Label \r\n r1 ,refund\r\nr2, delivery \r\n"),
        ("l.csv", "id,record_id,label\nr1,,refund\n7,r2,delivery\n"),
        ("l.CSV", "\ufeffid;label\nr1;refund\nr2;delivery\n"),
        ("l.tsv", "id\tlabel\nr1\trefund\nr2\tdelivery\n"),
        ("l.csv", "sep=;\r\nid;label\r\nr1;refund\r\nr2;delivery\r\n"),
        ("l.csv", "id,label\nr1,refund\n,,\nr2,delivery\n,\n"),
        ("l.jsonl", '{"id": " r1 ", "label": " refund "}\n{"id": "r2", "label": "delivery"}\n'),
        ("l.jsonl", '{"id": "r1", "label": "refund"}\n{"id": "r0", "label": " "}\n{"id": "r2", "label": "delivery"}'),
        ("l.json", '[\n {"id": "r1", "label": "refund"},\n {"id": "r2", "label": "delivery"}\n]'),
    ],
)
def test_files_of_spreadsheets_and_programs_are_read(name: str, text: str, tmp_path: Path) -> None:
    assert references.load(write(tmp_path, name, text), "intent").references == TWO


def test_cells_of_an_exported_file_are_restored(tmp_path: Path) -> None:
    loaded = references.load(write(tmp_path, "l.csv", "id,label\n'-r1,'-1\n0,1\n"), "classification")
    assert loaded.references == {"-r1": Reference("label", "-1"), "0": Reference("label", "1")}


def test_scalars_are_labels_of_a_closed_set(tmp_path: Path) -> None:
    path = write(
        tmp_path, "l.jsonl", "".join(f'{{"id": {n}, "label": {v}}}\n' for n, v in enumerate("4 4.0 true".split()))
    )
    loaded = references.load(path, "classification", Checks(labels=("4", "True"))).references
    assert [reference.value for reference in loaded.values()] == ["4", "4", "True"]
    assert references.load(path, "rewrite").references["2"] == Reference("any_of_text", "true")


def test_labels_are_read_in_any_spelling_and_unlisted_ones_are_named(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", "id,label\nr1,Refund.\nr2,lost\nr3,re\u0301clamation\n")
    loaded = references.load(path, "intent", Checks(labels=("refund", "r\u00e9clamation")))
    assert [reference.value for reference in loaded.references.values()] == ["refund", "lost", "r\u00e9clamation"]
    assert loaded.unlisted == {"r2": "lost"}


@pytest.mark.parametrize("label", ["b, a", '["b","a"]', "A; b"])
def test_a_text_of_several_labels_is_a_set(label: str, tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(msgspec.json.encode({"id": "r1", "label": label}))
    loaded = references.load(path, "classification", Checks(labels=("a", "b"), multiple="comma"))
    assert loaded.references["r1"].kind == "label_set"
    assert set(loaded.references["r1"].value) == {"a", "b"}


def test_a_text_of_json_is_json_for_an_extracting_task(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", 'id,label\nr1,"{""b"": 1, ""a"": null}"\n')
    assert references.load(path, "extraction").references == {"r1": Reference("json", {"b": 1, "a": None})}


def test_a_single_value_is_a_text_where_answers_are_no_json(tmp_path: Path) -> None:
    path = write(tmp_path, "l.csv", "id,label\nr1,Rome\nr2,12\n")
    assert references.load(path, "extraction").references == {
        "r1": Reference("any_of_text", ["Rome"]),
        "r2": Reference("any_of_text", ["12"]),
    }


def test_gold_files_state_the_kind_and_null_is_not_a_label(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "gold.jsonl",
        '{"id": "r1", "gold": {"day": ["2 May", "May 2"]}, "gold_kind": "json_any_of", "language": "en"}\n'
        '{"id": "r2", "gold": null, "gold_kind": null}\n'
        '{"id": "r3", "gold": {"function": "f"}, "gold_kind": "tool_call"}\n',
    )
    loaded = references.load(path, "extraction")
    assert loaded.references == {"r1": Reference("json_any_of", {"day": ["2 May", "May 2"]})}
    assert loaded.unusable == {"r3": "tool_call"}


def test_the_kind_is_derived_from_the_value_if_not_stated(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "labels.jsonl",
        '{"id": "r1", "label": {"a": 1}}\n{"id": "r2", "label": ["a"]}\n'
        '{"id": "r3", "label": 7}\n{"id": "r4", "label": "x"}',
    )
    assert [r.kind for r in references.load(path, "rewrite").references.values()] == [
        "json", "label_set", "number", "any_of_text",
    ]  # fmt: skip


def test_line_separators_inside_a_text_do_not_end_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "labels.jsonl", '{"id": "r1", "label": "one\u2028two"}\n')
    assert references.load(path, "rewrite").references["r1"].value == "one\u2028two"


@pytest.mark.parametrize(
    "name, text, part",
    [
        ("l.jsonl", '{"id": "r1", "label": "a"}\n{"id": ', "l.jsonl:2"),
        ("l.jsonl", '{"name": "r1", "label": "a"}\n', "got name, label"),
        ("l.jsonl", '{"id": "r1"}\n', "`label` or `gold`"),
        ("l.csv", "record;label\nr1;a\n", "l.csv:2"),
        ("l.jsonl", "", "no usable label"),
        ("l.json", "[1]", "l.json: "),
    ],
)
def test_invalid_input_is_an_error_with_its_location(name: str, text: str, part: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        references.load(write(tmp_path, name, text), "intent")
    assert part in str(caught.value)


def test_a_text_that_is_no_json_is_an_error_of_an_extracting_task(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"l\.csv:3: "):
        references.load(write(tmp_path, "l.csv", "id,label\nr1,{}\nr2,none\n"), "extraction", Checks(json=True))


def test_an_invalid_gzip_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "l.jsonl.gz"
    path.write_bytes(b"plain text")
    with pytest.raises(InputError, match=r"l\.jsonl\.gz: cannot be read"):
        references.load(path, "intent")


def test_a_missing_file_is_an_error_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no labels file"):
        references.load(tmp_path / "none.csv", "intent")


@pytest.mark.parametrize("row", ['"gold_kind": "label", "label": ["a"]', '"gold_kind": "label_set", "label": 5'])
def test_a_value_that_is_no_label_is_an_error(row: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"l\.jsonl:1: "):
        references.load(write(tmp_path, "l.jsonl", f'{{"id": "r1", {row}}}'), "intent")
